"""Compare two tables row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

import polars as pl

from tidemill.core.lazy_dataclass import dataclass

_LEFT, _RIGHT, _SIDE = "_left_", "_right_", "_side"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDiff:
    """The rows that only one of two tables has, and those with equal keys that differ.

    `added` rows are only in the left table, `removed` ones only in the right one. `columns` counts the rows
    in which each column differs, `largest` has the largest difference of numbers. `unlike` are the
    columns that aren't in both tables with the same type. Without a key a changed row counts as one added
    and one removed. `examples` are some of these rows, with `_side` as the first column.
    """

    key: tuple[str, ...]
    added: int
    removed: int
    changed: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    largest: Mapping[str, float] = field(default_factory=dict)
    unlike: tuple[str, ...] = ()
    examples: pl.DataFrame = field(compare=False)


def diff_rows(
    left: pl.DataFrame, right: pl.DataFrame, key: Sequence[str], *, max_examples: int = 10
) -> RowDiff:
    """Compare all common columns of two tables, matching rows by key; up to `max_examples` of each kind."""
    unlike = tuple(
        name
        for name in dict.fromkeys([*left.columns, *right.columns])
        if left.schema.get(name) != right.schema.get(name)
    )
    shared = [name for name in left.columns if name not in unlike]
    if not key or not set(key) <= set(shared):
        return _diff_without_key(left, right, shared, unlike, max_examples)
    others = [name for name in shared if name not in key]
    both = left.select(shared).join(
        right.select(*key, *(pl.col(name).alias(_RIGHT + name) for name in others)),
        on=list(key),
        how="inner",
        nulls_equal=True,
    )
    differs = [
        pl.col(name).ne_missing(pl.col(_RIGHT + name)).alias(_LEFT + name) for name in others
    ]
    marks = both.select(differs)
    counts = {name: int(marks[_LEFT + name].sum()) for name in others}
    changed = (
        both.filter(marks.select(pl.any_horizontal(pl.all())).to_series())
        if others
        else both.clear()
    )
    added = _unmatched(left.select(shared), right, key)
    removed = _unmatched(right.select(shared), left, key)
    examples = [
        _examples(added, "added", max_examples),
        _examples(removed, "removed", max_examples),
        _changed_examples(
            changed.select(shared), _earlier_rows(changed, key, others).select(shared), max_examples
        ),
    ]
    return RowDiff(
        key=tuple(key),
        added=added.height,
        removed=removed.height,
        changed=changed.height,
        columns={name: count for name, count in counts.items() if count},
        largest=dict(
            _largest_differences(changed, [name for name, count in counts.items() if count])
        ),
        unlike=unlike,
        examples=pl.concat(examples),
    )


def _earlier_rows(changed: pl.DataFrame, key: Sequence[str], others: Sequence[str]) -> pl.DataFrame:
    return changed.select(*key, *(pl.col(_RIGHT + name).alias(name) for name in others))


def _changed_examples(after: pl.DataFrame, before: pl.DataFrame, most: int) -> pl.DataFrame:
    """Pair each changed row with its earlier values."""
    sides = (_examples(after, "changed to", most), _examples(before, "changed from", most))
    pairs = pl.concat([side.with_row_index(_LEFT) for side in sides])
    return pairs.sort(_LEFT, maintain_order=True).drop(_LEFT)


def _largest_differences(
    changed: pl.DataFrame, names: Sequence[str]
) -> Iterator[tuple[str, float]]:
    for name in names:
        if changed.schema[name].is_numeric():
            after, before = (changed[side].cast(pl.Float64) for side in (name, _RIGHT + name))
            differences = (after - before).abs()
            # A null that became a value has no difference, nor do rows that differ in other columns.
            known = differences.filter(differences.is_not_nan() & (differences > 0))
            if known.len():
                yield name, float(known.max())  # type: ignore[arg-type]


def _unmatched(rows: pl.DataFrame, other: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    return rows.join(other.select(key), on=list(key), how="anti", nulls_equal=True)


def _examples(rows: pl.DataFrame, side: str, most: int) -> pl.DataFrame:
    return rows.head(most).select(pl.lit(side).alias(_SIDE), pl.all())


def _diff_without_key(
    left: pl.DataFrame,
    right: pl.DataFrame,
    shared: list[str],
    unlike: tuple[str, ...],
    most: int,
) -> RowDiff:
    """Compare rows without a key: count how often each occurs."""
    if not shared:
        more_rows = left.height - right.height
        added, removed = max(0, more_rows), max(0, -more_rows)
        return RowDiff(key=(), added=added, removed=removed, unlike=unlike, examples=pl.DataFrame())
    left, right = left.select(shared), right.select(shared)
    counted = pl.concat(
        [
            left.with_columns(pl.lit(1, dtype=pl.Int64).alias(_SIDE)),
            right.with_columns(pl.lit(-1, dtype=pl.Int64).alias(_SIDE)),
        ]
    )
    sums = counted.group_by(shared, maintain_order=True).agg(pl.col(_SIDE).sum())
    more, less = sums.filter(pl.col(_SIDE) > 0), sums.filter(pl.col(_SIDE) < 0)
    examples = pl.concat(
        [
            _examples(more.drop(_SIDE), "added", most),
            _examples(less.drop(_SIDE), "removed", most),
        ]
    )
    return RowDiff(
        key=(),
        added=int(more[_SIDE].sum()),
        removed=-int(less[_SIDE].sum()),
        unlike=unlike,
        examples=examples,
    )
