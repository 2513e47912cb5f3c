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

from tidemill.analysis.query.column_digests import QueryDigests, query_digests
from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.analysis.query.serialized import UnreadableQuery
from tidemill.contracts.checks.schema import polars_type, schema_of
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.synthetic.values import draw_values
from tidemill.core.errors import ContractError, did_you_mean
from tidemill.core.fingerprint import fingerprint
from tidemill.workflow.incremental_fold import Aggregate, Fold, ResolvedFold

# Increment it when equal rows get different partials, or when partials are merged differently.
_FORMAT = 1
# The number of synthetic rows that test a fold, the number of their groups, and the seed.
_ROWS, _GROUPS, _SEED = 36, 5, 7

_Step: TypeAlias = Callable[[Fold, pl.LazyFrame], pl.LazyFrame]


def partials_query(fold: Fold, rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row per group: the group columns, and a partial for each aggregate."""
    return _aggregate(fold, rows, {name: item.partial for name, item in fold.aggregates.items()})


def merge_query(fold: Fold, parts: pl.LazyFrame) -> pl.LazyFrame:
    """Merge concatenated partials into one row per group."""
    made = {name: item.merge(pl.col(name)) for name, item in fold.aggregates.items()}
    return _aggregate(fold, parts, made)


def result_query(fold: Fold, parts: pl.LazyFrame, types: Mapping[str, pl.DataType]) -> pl.LazyFrame:
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


def _aggregate(fold: Fold, frame: pl.LazyFrame, made: Mapping[str, pl.Expr]) -> pl.LazyFrame:
    # Group order and sums follow the order of rows, so that equal frames give equal bytes.
    return (
        frame.group_by(fold.by, maintain_order=True).agg(**made)
        if fold.by
        else frame.select(**made)
    )


class _InvalidFold(Exception):
    """The fold can't be applied to the contract."""


def resolve_fold(fold: Fold, contract: ContractSpec) -> tuple[ResolvedFold | None, tuple[str, ...]]:
    """Resolve a fold against a contract and test it; return the resolved fold (or None) and its faults."""
    try:
        found = resolve_untested(fold, contract)
    except _InvalidFold as reason:
        return None, (str(reason),)
    return found, tuple(_merge_faults(found, contract))


def resolve_untested(fold: Fold, contract: ContractSpec) -> ResolvedFold:
    """Resolve a fold against a contract, without a test on rows; raises _Unfit if that's impossible."""
    unknown = [name for name in fold.by if name not in contract.names]
    if unknown:
        advice = did_you_mean(unknown[0], contract.names)
        raise _InvalidFold(f"{contract.name} has no column {unknown[0]!r} ({advice})")
    rows = placeholder_frame("rows", schema_of(contract))
    made = _column_digests(partials_query(fold, rows), "partial", {"rows": contract.key})
    schema = _single_value_schema(fold, rows, partials_query, "partial")
    parts = placeholder_frame("parts", schema)
    joined = _column_digests(merge_query(fold, parts), "merge")
    kept = _single_value_schema(fold, parts, merge_query, "merge")
    for name in fold.aggregates:
        if kept[name] != schema[name]:
            raise _InvalidFold(
                f"{name}: merge returns {kept[name]}, but a partial is {schema[name]}"
            )
    whole = _aggregate(
        fold, rows, {n: item.whole for n, item in fold.aggregates.items() if item.whole is not None}
    )
    last = result_query(fold, parts, _schema(whole, "the aggregates"))
    shown = _column_digests(last, "final", {"parts": fold.by})
    needs = {name: made.columns[name].reads.get("rows", ()) for name in schema}
    read = {name for columns in needs.values() for name in columns}
    columns = tuple(name for name in contract.names if name in read)
    types = [[name, str(contract.column(name).dtype)] for name in columns]
    digests = [
        [name, made.columns[name].digest, joined.columns[name].digest] for name in sorted(schema)
    ]
    mark = fingerprint("fold partials", _FORMAT, list(fold.by), types, digests)
    ends = [[name, column.digest] for name, column in shown.columns.items()]
    return ResolvedFold(
        digest=fingerprint("fold", mark, ends),
        partials_digest=mark,
        columns=columns,
        schema=_schema(last, "final"),
        dependencies=needs,
        sources={name: made.columns[name].values.get("rows", ()) for name in schema},
        fold=fold,
    )


def _schema(frame: pl.LazyFrame, what: str) -> dict[str, pl.DataType]:
    try:
        return dict(frame.collect_schema())
    except (PolarsError, PanicException) as error:
        text = str(error).partition("\n")[0]
        raise _InvalidFold(f"Polars can't compute {what}: {text}") from error


def _single_value_schema(
    fold: Fold, frame: pl.LazyFrame, how: _Step, what: str
) -> dict[str, pl.DataType]:
    """Return the schema of a step of a fold; raises _Unfit unless it has one value per group."""
    found = _schema(how(fold, frame), what)
    # Without group columns, Polars collects no values into lists.
    alone = _schema(how(replace(fold, by=()), frame), what)
    for name in fold.aggregates:
        if found[name] != alone[name]:
            raise _InvalidFold(f"{name}: its {what} has several values per group, not one")
    return found


def _column_digests(
    frame: pl.LazyFrame, what: str, keys: Mapping[str, Sequence[str]] | None = None
) -> QueryDigests:
    """Return the column digests of a step of a fold; raises _Unfit unless they are complete."""
    _schema(frame, what)
    try:
        found = query_digests(frame, keys)
    except UnreadableQuery as reason:
        raise _InvalidFold(f"its {what} can't be analysed: {reason}") from reason
    if found.opaque_parts:
        hit = found.opaque_parts[0]
        raise _InvalidFold(f"its {what} is not only Polars expressions: {hit.kind} ({hit.name})")
    if found.unstable:
        raise _InvalidFold(f"its {what} isn't deterministic: {found.unstable}")
    return found


def _merge_faults(found: ResolvedFold, contract: ContractSpec) -> Iterator[str]:
    """Yield a fault for each aggregate that gives different results for split and whole synthetic rows."""
    rows = _synthetic_rows(found, contract)
    cut = _ROWS // 3
    try:
        parts = [
            _run(partials_query, found.fold, part) for part in (rows[:0], rows[:cut], rows[cut:])
        ]
        at_once = _finish(found, _run(partials_query, found.fold, rows))
        spread = [
            _finish(found, _run(merge_query, found.fold, pl.concat(p)))
            for p in (parts, parts[::-1])
        ]
    except (PolarsError, PanicException):
        # It fails on synthetic rows; whether it works on real ones shows in a run.
        return
    for name, item in found.fold.aggregates.items():
        whole, inward, outward = (frame[name] for frame in (at_once, *spread))
        if not equal_up_to_rounding(whole, inward, item.tolerance):
            yield (
                f"{name}={item.said} doesn't merge: for the same rows, {_difference(whole, inward, item)} "
                "when they are in two partitions"
            )
        elif not equal_up_to_rounding(inward, outward, item.tolerance):
            yield f"{name}={item.said} depends on the order in which partitions are merged"


def _synthetic_rows(found: ResolvedFold, contract: ContractSpec) -> pl.DataFrame:
    """Generate rows with the columns that a fold reads, several in each group."""
    chance = np.random.default_rng(_SEED)  # noqa: TID251 - the same rows each time
    columns = []
    for name in found.columns:
        column = contract.column(name)
        try:
            values = draw_values(column, _ROWS, chance)
        except ContractError:
            # No valid value can be generated: use null.
            values = pl.Series(name, [None] * _ROWS, polars_type(column.dtype))
        grouped = name in found.fold.by
        columns.append(values.gather([i % _GROUPS for i in range(_ROWS)]) if grouped else values)
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=_ROWS)


def _run(step: _Step, fold: Fold, frame: pl.DataFrame) -> pl.DataFrame:
    return step(fold, frame.lazy()).collect(engine="in-memory")


def _finish(found: ResolvedFold, parts: pl.DataFrame) -> pl.DataFrame:
    return result_query(found.fold, parts.lazy(), found.schema).collect(engine="in-memory")


def equal_up_to_rounding(one: pl.Series, other: pl.Series, tolerance: float) -> bool:
    """Whether values are equal; floats up to a relative difference of `tolerance`."""
    if not one.dtype.is_float() or not tolerance:
        return one.equals(other, null_equal=True)
    return bool(_is_near(one, other, tolerance).all())


def _is_near(one: pl.Series, other: pl.Series, tolerance: float) -> pl.Series:
    a, b = pl.lit(one), pl.lit(other)
    near = (a - b).abs() <= tolerance * pl.max_horizontal(a.abs(), b.abs())
    return pl.select(a.eq_missing(b) | near.fill_null(value=False)).to_series()


def _difference(whole: pl.Series, inward: pl.Series, item: Aggregate) -> str:
    pairs = ((whole[row : row + 1], inward[row : row + 1]) for row in range(len(whole)))
    one, other = next(pair for pair in pairs if not equal_up_to_rounding(*pair, item.tolerance))
    return f"it gives {one[0]} at once and {other[0]}"
