"""What the rules that look beyond a partition find in one, held against what is published now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
import polars as pl

from tidemill.contracts.checks.findings import sample_of
from tidemill.contracts.checks.value_index import Index
from tidemill.contracts.finding import Finding
from tidemill.contracts.profiles.partition_profile import compare, merge
from tidemill.contracts.profiles.record import ColumnProfile, Distance, Profile
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import DriftRule, ReferenceRule, UniqueRule


def median_findings(spec: ContractSpec, rows: int, history: Sequence[int]) -> list[Finding]:
    """That a partition has far more or fewer rows than those before it, of which the last are newest."""
    rule = spec.rows
    if rule is None or rule.vs_last is None or rule.within is None:
        return []
    last = history[-rule.vs_last :]
    # One partition is no habit.
    if len(last) < 2:
        return []
    usual = median(last)
    if abs(rows - usual) <= rule.within * usual:
        return []
    message = (
        f"rows: {rows} rows are not within {rule.within:.0%} of {usual:g}, the median of the last "
        f"{len(last)}; find out where they went or came from"
    )
    return [Finding(rule="rows", severity=rule.on_fail, rows=rows, message=message)]


def apart(spec: ContractSpec, rule: UniqueRule) -> bool:
    """Whether no two partitions can have the same values: the partition follows from them."""
    return spec.partitioning.is_whole or spec.partitioning.column in rule.columns


def unique_findings(
    spec: ContractSpec, rule: UniqueRule, keys: pl.DataFrame, others: Mapping[int, str]
) -> list[Finding]:
    """That rows repeat values: of rows before in the partition, or in others.

    `others` maps the rows (of `keys`, which have a value in every column) that another partition has to
    the name of that partition.
    """
    broken = _at(list(others), keys.height)
    # The rows of a partition have different keys already.
    if not spec.key or not {*spec.key} <= {*rule.columns}:
        broken |= ~keys.select(pl.struct(pl.all()).is_first_distinct()).to_series()
    if not broken.any():
        return []
    first = next(iter(others.values()), "")
    place = f", also in {first}" if first else ""
    says = f"repeat {' and '.join(rule.columns)}{_such(keys.filter(broken))}{place}"
    hint = f"remove the repetition at the source, or change the rule ({spec.place})"
    return [_finding(rule, int(broken.sum()), keys.height, says, hint)]


def reference_findings(
    spec: ContractSpec, rule: ReferenceRule, keys: pl.DataFrame, known: Index, stage: str
) -> list[Finding]:
    """That rows have values which are not `known` in the table of `stage`."""
    strange = keys.filter(~_at(known.matches(keys)["row"].to_numpy(), keys.height))
    if not strange.height:
        return []
    named = " and ".join(rule.columns)
    says = f"have a value of {named} that is not among {' and '.join(rule.to)} of {stage}{_such(strange)}"
    hint = f"add it there, fix the source, or change the rule ({spec.place})"
    return [_finding(rule, strange.height, keys.height, says, hint)]


def drift_findings(
    spec: ContractSpec, rule: DriftRule, before: Sequence[Profile], own: Profile
) -> list[Finding]:
    """That columns are further from the partitions `before`, taken together, than they may be."""
    if not own.rows or not before:
        return []
    past, count = merge(before), len(before)
    then = "the partition before" if count == 1 else f"the {count} partitions before"
    hint = f"find out what changed, or change the rule ({spec.place})"
    return [
        Finding(
            rule=rule.name,
            severity=rule.on_fail,
            rows=own.rows,
            message=f"{rule.name}: {problem}; {hint}",
        )
        for found in compare(past, own)
        if (problem := _drifted(rule, found, past[found.name], own[found.name], then))
    ]


def _drifted(
    rule: DriftRule, found: Distance, old: ColumnProfile, new: ColumnProfile, then: str
) -> str:
    # Without any value there is no distribution, and so no distance that would tell.
    if old.present and not new.present:
        return f"{found.name} has no values any more, it had some in {then}"
    distance: float | None = getattr(found, rule.by)
    if distance is None or distance <= rule.limit:
        return ""
    return f"{rule.by} of {found.name} to {then} is {distance:.3g}, above {rule.limit:g}"


def _at(rows: Sequence[int] | np.ndarray, height: int) -> pl.Series:
    """A mask that is true at some rows."""
    mask = np.zeros(height, dtype=bool)
    mask[np.asarray(rows, dtype=np.intp)] = True
    return pl.Series(mask)


def _such(rows: pl.DataFrame) -> str:
    return f", such as {sample_of(rows.head(100))}"


def _finding(rule: UniqueRule | ReferenceRule, rows: int, of: int, says: str, hint: str) -> Finding:
    return Finding(
        rule=rule.name,
        severity=rule.on_fail,
        rows=rows,
        message=f"{rule.name}: {rows} of {of} rows {says}; {hint}",
    )


def newest(series: pl.Series) -> float | None:
    """The newest moment of a Date or Datetime column, in Unix seconds; None without any value.

    A day counts from its midnight, and a time without a zone is read as UTC.
    """
    value = series.cast(pl.Datetime("us")).dt.timestamp("us").max() if series.len() else None
    return None if value is None else float(value) / 1e6  # type: ignore[arg-type]
