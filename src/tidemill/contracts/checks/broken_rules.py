"""Record which rows break which rules, and split rows into accepted and quarantined ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_

import polars as pl

from tidemill.contracts.checks.row_rules import RowRule
from tidemill.contracts.checks.ruled_rows import REASONS
from tidemill.core.lazy_dataclass import dataclass

_BITS = 62


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A broken rule, and the rows that break it."""

    rule: RowRule
    rows: pl.Series


def rejected_rows(broken: Iterable[BrokenRule]) -> pl.Series | None:
    """Mark the rows that a rule quarantines; None if there is no such rule."""
    masks = [item.rows for item in broken if item.rule.on_fail == "quarantine"]
    return reduce(or_, masks) if masks else None


def without_rows(rows: pl.DataFrame, rejected: pl.Series | None) -> pl.DataFrame:
    """Drop the marked rows, if any."""
    return rows if rejected is None else rows.filter(~rejected)


def without_cleared(broken: Sequence[BrokenRule], cleared: pl.Series) -> list[BrokenRule]:
    """Return the rules that rows which aren't cleared break, each rule once."""
    rules = {item.rule.id: item.rule for item in broken}
    found: dict[str, pl.Series] = {}
    for item in broken:
        rows = item.rows & ~cleared if item.rule.on_fail == "quarantine" else item.rows
        known = found.get(item.rule.id)
        found[item.rule.id] = rows if known is None else known | rows
    return [BrokenRule(rules[name], rows) for name, rows in found.items() if rows.any()]


def quarantined_rows(frame: pl.DataFrame, broken: Sequence[BrokenRule]) -> pl.DataFrame | None:
    """Return the quarantined rows with the column `_reasons`; None if there are none."""
    rejected = rejected_rows(broken)
    if rejected is None:
        return None
    reasons = reasons_of(
        (item.rule.id, item.rows.filter(rejected))
        for item in broken
        if item.rule.on_fail == "quarantine"
    )
    return frame.filter(rejected).with_columns(reasons)


def reasons_of(broken: Iterable[tuple[str, pl.Series]]) -> pl.Series:
    """Return, for each row, the list of the rules that it breaks, from the rows of each broken rule."""
    rules, masks = zip(*broken, strict=True)
    # Rows break few combinations of rules. Each is a number, or several, of which the bits are the rules.
    starts = range(0, len(rules), _BITS)
    codes = pl.select(_code(masks[start : start + _BITS]).alias(str(start)) for start in starts)
    distinct = codes.unique()
    numbers = [
        sum(code << start for code, start in zip(row, starts, strict=True))
        for row in distinct.iter_rows()
    ]
    reasons = [[rule for bit, rule in enumerate(rules) if number >> bit & 1] for number in numbers]
    listed = distinct.with_columns(pl.Series(REASONS, reasons, dtype=pl.List(pl.String)))
    return codes.join(listed, on=codes.columns, how="left", maintain_order="left")[REASONS]


def _code(masks: Sequence[pl.Series]) -> pl.Expr:
    """For each row, a number with a bit for each mask."""
    bits = (pl.lit(mask).cast(pl.UInt64) * (1 << bit) for bit, mask in enumerate(masks))
    return pl.sum_horizontal(bits).fill_null(0)
