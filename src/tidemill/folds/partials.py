"""A fold as three queries: compute the partials of a partition, merge partials, and finish the result.

The digests of a fold identify what these queries compute, so that equivalent expressions are equal.
Synthetic rows test that the result depends neither on how rows are distributed over partitions, nor on the
order in which partitions are merged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.analysis.query.column_digests import Numbered, numbered
from tidemill.analysis.query.placeholders import marked
from tidemill.analysis.query.serialized import Unreadable
from tidemill.contracts.checks.schema import polars_type, schema_of
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.synthetic.values import drawn
from tidemill.core.errors import ContractError, did_you_mean
from tidemill.core.fingerprint import fingerprint
from tidemill.workflow.incremental_fold import Aggregate, Fold, Folded

# Increment it when equal rows get different partials, or when partials are merged differently.
_FORMAT = 1
# The number of synthetic rows that test a fold, the number of their groups, and the seed.
_ROWS, _GROUPS, _SEED = 36, 5, 7

_Step: TypeAlias = Callable[[Fold, pl.LazyFrame], pl.LazyFrame]


def partials(fold: Fold, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row per group: the group columns, and a partial for each aggregate."""
    return _grouped(fold, rows, {name: item.partial for name, item in fold.aggregates.items()})


def merged(fold: Fold, parts: pl.LazyFrame) -> pl.LazyFrame:
    """Merge concatenated partials into one row per group."""
    made = {name: item.merge(pl.col(name)) for name, item in fold.aggregates.items()}
    return _grouped(fold, parts, made)


def finished(fold: Fold, parts: pl.LazyFrame, types: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """Turn merged partials into the result that a stage gets, sorted by group and cast to `types`."""
    made = {
        name: pl.col(name) if item.final is None else item.final(pl.col(name))
        for name, item in fold.aggregates.items()
    }
    ordered = parts.sort(fold.by, maintain_order=True) if fold.by else parts
    return ordered.select(
        *fold.by,
        **{name: e.cast(types[name]) if name in types else e for name, e in made.items()},
    )


def _grouped(fold: Fold, frame: pl.LazyFrame, made: Mapping[str, pl.Expr]) -> pl.LazyFrame:
    # Group order and sums follow the order of rows, so that equal frames give equal bytes.
    return (
        frame.group_by(fold.by, maintain_order=True).agg(**made)
        if fold.by
        else frame.select(**made)
    )


class _Unfit(Exception):
    """The fold can't be applied to the contract."""


def told(fold: Fold, contract: ContractSpec) -> tuple[Folded | None, tuple[str, ...]]:
    """Resolve a fold against a contract and test it; return the resolved fold (or None) and its faults."""
    try:
        found = folded(fold, contract)
    except _Unfit as reason:
        return None, (str(reason),)
    return found, tuple(_unmergeable(found, contract))


def folded(fold: Fold, contract: ContractSpec) -> Folded:
    """Resolve a fold against a contract, without a test on rows; raises _Unfit if that's impossible."""
    unknown = [name for name in fold.by if name not in contract.names]
    if unknown:
        advice = did_you_mean(unknown[0], contract.names)
        raise _Unfit(f"{contract.name} has no column {unknown[0]!r} ({advice})")
    rows = marked("rows", schema_of(contract))
    made = _told(partials(fold, rows), "partial", {"rows": contract.key})
    schema = _single(fold, rows, partials, "partial")
    parts = marked("parts", schema)
    joined = _told(merged(fold, parts), "merge")
    kept = _single(fold, parts, merged, "merge")
    for name in fold.aggregates:
        if kept[name] != schema[name]:
            raise _Unfit(f"{name}: merge returns {kept[name]}, but a partial is {schema[name]}")
    whole = _grouped(
        fold, rows, {n: item.whole for n, item in fold.aggregates.items() if item.whole is not None}
    )
    last = finished(fold, parts, _schema(whole, "the aggregates"))
    shown = _told(last, "final", {"parts": fold.by})
    needs = {name: made.columns[name].reads.get("rows", ()) for name in schema}
    read = {name for columns in needs.values() for name in columns}
    columns = tuple(name for name in contract.names if name in read)
    types = [[name, str(contract.column(name).dtype)] for name in columns]
    digests = [
        [name, made.columns[name].digest, joined.columns[name].digest] for name in sorted(schema)
    ]
    mark = fingerprint("fold partials", _FORMAT, list(fold.by), types, digests)
    ends = [[name, column.digest] for name, column in shown.columns.items()]
    return Folded(
        digest=fingerprint("fold", mark, ends),
        kept=mark,
        columns=columns,
        schema=_schema(last, "final"),
        needs=needs,
        fold=fold,
    )


def _schema(frame: pl.LazyFrame, what: str) -> dict[str, pl.DataType]:
    try:
        return dict(frame.collect_schema())
    except (PolarsError, PanicException) as error:
        text = str(error).partition("\n")[0]
        raise _Unfit(f"Polars can't compute {what}: {text}") from error


def _single(fold: Fold, frame: pl.LazyFrame, how: _Step, what: str) -> dict[str, pl.DataType]:
    """Return the schema of a step of a fold; raises _Unfit unless it has one value per group."""
    found = _schema(how(fold, frame), what)
    # Without group columns, Polars collects no values into lists.
    alone = _schema(how(replace(fold, by=()), frame), what)
    for name in fold.aggregates:
        if found[name] != alone[name]:
            raise _Unfit(f"{name}: its {what} has several values per group, not one")
    return found


def _told(
    frame: pl.LazyFrame, what: str, keys: Mapping[str, Sequence[str]] | None = None
) -> Numbered:
    """Return the column digests of a step of a fold; raises _Unfit unless they are complete."""
    _schema(frame, what)
    try:
        found = numbered(frame, keys)
    except Unreadable as reason:
        raise _Unfit(f"its {what} can't be analysed: {reason}") from reason
    if found.hits:
        hit = found.hits[0]
        raise _Unfit(f"its {what} is not only Polars expressions: {hit.kind} ({hit.name})")
    if found.unstable:
        raise _Unfit(f"its {what} isn't deterministic: {found.unstable}")
    return found


def _unmergeable(found: Folded, contract: ContractSpec) -> Iterator[str]:
    """Yield a fault for each aggregate that gives different results for split and whole synthetic rows."""
    rows = _drawn(found, contract)
    cut = _ROWS // 3
    try:
        parts = [_run(partials, found.fold, part) for part in (rows[:0], rows[:cut], rows[cut:])]
        at_once = _end(found, _run(partials, found.fold, rows))
        spread = [_end(found, _run(merged, found.fold, pl.concat(p))) for p in (parts, parts[::-1])]
    except (PolarsError, PanicException):
        # It fails on synthetic rows; whether it works on real ones shows in a run.
        return
    for name, item in found.fold.aggregates.items():
        whole, inward, outward = (frame[name] for frame in (at_once, *spread))
        if not same(whole, inward, item.tolerance):
            yield (
                f"{name}={item.said} doesn't merge: for the same rows, {_apart(whole, inward, item)} "
                "when they are in two partitions"
            )
        elif not same(inward, outward, item.tolerance):
            yield f"{name}={item.said} depends on the order in which partitions are merged"


def _drawn(found: Folded, contract: ContractSpec) -> pl.DataFrame:
    """Generate rows with the columns that a fold reads, several in each group."""
    chance = np.random.default_rng(_SEED)  # noqa: TID251 - the same rows each time
    columns = []
    for name in found.columns:
        column = contract.column(name)
        try:
            values = drawn(column, _ROWS, chance)
        except ContractError:
            # No valid value can be generated: use null.
            values = pl.Series(name, [None] * _ROWS, polars_type(column.dtype))
        grouped = name in found.fold.by
        columns.append(values.gather([i % _GROUPS for i in range(_ROWS)]) if grouped else values)
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=_ROWS)


def _run(step: _Step, fold: Fold, frame: pl.DataFrame) -> pl.DataFrame:
    return step(fold, frame.lazy()).collect(engine="in-memory")


def _end(found: Folded, parts: pl.DataFrame) -> pl.DataFrame:
    return finished(found.fold, parts.lazy(), found.schema).collect(engine="in-memory")


def same(one: pl.Series, other: pl.Series, tolerance: float) -> bool:
    """Whether values are equal; floats up to a relative difference of `tolerance`."""
    if not one.dtype.is_float() or not tolerance:
        return one.equals(other, null_equal=True)
    return bool(_near(one, other, tolerance).all())


def _near(one: pl.Series, other: pl.Series, tolerance: float) -> pl.Series:
    a, b = pl.lit(one), pl.lit(other)
    near = (a - b).abs() <= tolerance * pl.max_horizontal(a.abs(), b.abs())
    return pl.select(a.eq_missing(b) | near.fill_null(value=False)).to_series()


def _apart(whole: pl.Series, inward: pl.Series, item: Aggregate) -> str:
    pairs = ((whole[row : row + 1], inward[row : row + 1]) for row in range(len(whole)))
    one, other = next(pair for pair in pairs if not same(*pair, item.tolerance))
    return f"it gives {one[0]} at once and {other[0]}"
