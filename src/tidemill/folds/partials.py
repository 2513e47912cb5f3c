"""A fold as queries: the partials of a partition, what merges them, and what a stage is handed of them.

Its digests name what these queries compute, so that other words for the same are the same. Two things
are tried on drawn rows: that what comes of a group depends neither on how its rows are spread over
partitions, nor on the order in which those are merged.
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

# Bump it when equal rows get other partials, or when these are merged in another way.
_FORMAT = 1
# Rows that are drawn to try a fold, in so many groups, and what they are drawn by.
_ROWS, _GROUPS, _SEED = 36, 5, 7

_Step: TypeAlias = Callable[[Fold, pl.LazyFrame], pl.LazyFrame]


def partials(fold: Fold, rows: pl.LazyFrame) -> pl.LazyFrame:
    """A row for each group of some rows: its columns, and a partial in the place of each aggregate."""
    return _grouped(fold, rows, {name: item.partial for name, item in fold.aggregates.items()})


def merged(fold: Fold, parts: pl.LazyFrame) -> pl.LazyFrame:
    """A row for each group of partials that are put one below the other, with what merges them."""
    made = {name: item.merge(pl.col(name)) for name, item in fold.aggregates.items()}
    return _grouped(fold, parts, made)


def finished(fold: Fold, parts: pl.LazyFrame, types: Mapping[str, pl.DataType]) -> pl.LazyFrame:
    """What a stage is handed of partials that were merged, in the order of the groups, in some types."""
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
    # The order of rows decides about that of groups, and of sums: the same frames give the same bytes.
    return (
        frame.group_by(fold.by, maintain_order=True).agg(**made)
        if fold.by
        else frame.select(**made)
    )


class _Unfit(Exception):
    """The fold can't be one of this contract."""


def told(fold: Fold, contract: ContractSpec) -> tuple[Folded | None, tuple[str, ...]]:
    """A fold of the rows of a contract, and what is wrong with it; None if it can't be that."""
    try:
        found = folded(fold, contract)
    except _Unfit as reason:
        return None, (str(reason),)
    return found, tuple(_unmergeable(found, contract))


def folded(fold: Fold, contract: ContractSpec) -> Folded:
    """A fold of the rows of a contract, which weren't tried; an exception says why, if it can't be that."""
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
            raise _Unfit(f"{name}: merge gives {kept[name]}, and a partial is {schema[name]}")
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
        said = str(error).partition("\n")[0]
        raise _Unfit(f"Polars can't compute {what}: {said}") from error


def _single(fold: Fold, frame: pl.LazyFrame, how: _Step, what: str) -> dict[str, pl.DataType]:
    """The types of a step of a fold, each of whose expressions gives one value of a group."""
    found = _schema(how(fold, frame), what)
    # Without groups nothing becomes a list on its own.
    alone = _schema(how(replace(fold, by=()), frame), what)
    for name in fold.aggregates:
        if found[name] != alone[name]:
            raise _Unfit(f"{name}: its {what} gives several values of a group, not one")
    return found


def _told(
    frame: pl.LazyFrame, what: str, keys: Mapping[str, Sequence[str]] | None = None
) -> Numbered:
    """What a step of a fold computes, if its expressions say all of it."""
    _schema(frame, what)
    try:
        found = numbered(frame, keys)
    except Unreadable as reason:
        raise _Unfit(f"its {what} can't be told: {reason}") from reason
    if found.hits:
        hit = found.hits[0]
        raise _Unfit(f"its {what} isn't all in expressions of Polars: {hit.kind} ({hit.name})")
    if found.unstable:
        raise _Unfit(f"its {what} gives other values of the same rows: {found.unstable}")
    return found


def _unmergeable(found: Folded, contract: ContractSpec) -> Iterator[str]:
    """The aggregates for which drawn rows, merged in parts, give something else than all at once."""
    rows = _drawn(found, contract)
    cut = _ROWS // 3
    try:
        parts = [_run(partials, found.fold, part) for part in (rows[:0], rows[:cut], rows[cut:])]
        at_once = _end(found, _run(partials, found.fold, rows))
        spread = [_end(found, _run(merged, found.fold, pl.concat(p))) for p in (parts, parts[::-1])]
    except (PolarsError, PanicException):
        # It can't be computed of any rows: whether it can of those that there are is seen in a run.
        return
    for name, item in found.fold.aggregates.items():
        whole, inward, outward = (frame[name] for frame in (at_once, *spread))
        if not same(whole, inward, item.tolerance):
            yield (
                f"{name}={item.said} doesn't merge: of the same rows, {_apart(whole, inward, item)} "
                "when they are in two partitions"
            )
        elif not same(inward, outward, item.tolerance):
            yield f"{name}={item.said} depends on the order in which partitions are merged"


def _drawn(found: Folded, contract: ContractSpec) -> pl.DataFrame:
    """Rows with the columns that a fold reads, several of each group."""
    chance = np.random.default_rng(_SEED)  # noqa: TID251 - the same rows each time
    columns = []
    for name in found.columns:
        column = contract.column(name)
        try:
            values = drawn(column, _ROWS, chance)
        except ContractError:
            # Nothing that is allowed can be drawn; then there is only null.
            values = pl.Series(name, [None] * _ROWS, polars_type(column.dtype))
        grouped = name in found.fold.by
        columns.append(values.gather([i % _GROUPS for i in range(_ROWS)]) if grouped else values)
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=_ROWS)


def _run(step: _Step, fold: Fold, frame: pl.DataFrame) -> pl.DataFrame:
    return step(fold, frame.lazy()).collect(engine="in-memory")


def _end(found: Folded, parts: pl.DataFrame) -> pl.DataFrame:
    return finished(found.fold, parts.lazy(), found.schema).collect(engine="in-memory")


def same(one: pl.Series, other: pl.Series, tolerance: float) -> bool:
    """Whether values are equal; numbers but for a relative difference of `tolerance`."""
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
