"""How two tables of the same kind differ, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

_LEFT, _RIGHT, _SIDE = "_left_", "_right_", "_side"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsApart:
    """Rows that only one of two tables has, and those with the same `key` that differ.

    `added` are only in the left one, `removed` only in the right one; `columns` count in how many rows
    each differs, and `largest` by how much at most where both have a number; `unlike` are the columns that
    not both have with the same type. Without a key a row that differs is one more and one less. `examples`
    are some of these rows, with `_side` in front.
    """

    key: tuple[str, ...]
    added: int
    removed: int
    changed: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    largest: Mapping[str, float] = field(default_factory=dict)
    unlike: tuple[str, ...] = ()
    examples: pl.DataFrame = field(compare=False)


def rows_apart(
    left: pl.DataFrame, right: pl.DataFrame, key: Sequence[str], *, most: int = 10
) -> RowsApart:
    """Compare two tables by their key, and all columns that both have; with up to `most` examples of each."""
    unlike = tuple(
        name
        for name in dict.fromkeys([*left.columns, *right.columns])
        if left.schema.get(name) != right.schema.get(name)
    )
    shared = [name for name in left.columns if name not in unlike]
    if not key or not set(key) <= set(shared):
        return _whole(left, right, shared, unlike, most)
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
    added = _only(left.select(shared), right, key)
    removed = _only(right.select(shared), left, key)
    examples = [
        _shown(added, "added", most),
        _shown(removed, "removed", most),
        _changes(changed.select(shared), _before(changed, key, others).select(shared), most),
    ]
    return RowsApart(
        key=tuple(key),
        added=added.height,
        removed=removed.height,
        changed=changed.height,
        columns={name: count for name, count in counts.items() if count},
        largest=dict(_largest(changed, [name for name, count in counts.items() if count])),
        unlike=unlike,
        examples=pl.concat(examples),
    )


def _before(changed: pl.DataFrame, key: Sequence[str], others: Sequence[str]) -> pl.DataFrame:
    return changed.select(*key, *(pl.col(_RIGHT + name).alias(name) for name in others))


def _changes(after: pl.DataFrame, before: pl.DataFrame, most: int) -> pl.DataFrame:
    """What became of each row, right before what it was."""
    sides = (_shown(after, "changed to", most), _shown(before, "changed from", most))
    pairs = pl.concat([side.with_row_index(_LEFT) for side in sides])
    return pairs.sort(_LEFT, maintain_order=True).drop(_LEFT)


def _largest(changed: pl.DataFrame, names: Sequence[str]) -> Iterator[tuple[str, float]]:
    for name in names:
        if changed.schema[name].is_numeric():
            after, before = (changed[side].cast(pl.Float64) for side in (name, _RIGHT + name))
            apart = (after - before).abs()
            # A value may have come where there was none, beside rows that differ elsewhere.
            known = apart.filter(apart.is_not_nan() & (apart > 0))
            if known.len():
                yield name, float(known.max())  # type: ignore[arg-type]


def _only(rows: pl.DataFrame, other: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    return rows.join(other.select(key), on=list(key), how="anti", nulls_equal=True)


def _shown(rows: pl.DataFrame, side: str, most: int) -> pl.DataFrame:
    return rows.head(most).select(pl.lit(side).alias(_SIDE), pl.all())


def _whole(
    left: pl.DataFrame,
    right: pl.DataFrame,
    shared: list[str],
    unlike: tuple[str, ...],
    most: int,
) -> RowsApart:
    """Rows without a key: how many more or less there are of each."""
    if not shared:
        more_rows = left.height - right.height
        added, removed = max(0, more_rows), max(0, -more_rows)
        return RowsApart(
            key=(), added=added, removed=removed, unlike=unlike, examples=pl.DataFrame()
        )
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
            _shown(more.drop(_SIDE), "added", most),
            _shown(less.drop(_SIDE), "removed", most),
        ]
    )
    return RowsApart(
        key=(),
        added=int(more[_SIDE].sum()),
        removed=-int(less[_SIDE].sum()),
        unlike=unlike,
        examples=examples,
    )
