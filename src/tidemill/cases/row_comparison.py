"""Compare the rows that are expected with those that there are, by the columns that are expected."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import polars as pl

from tidemill.cases.cell_values import cell_text, comparable_cells
from tidemill.cases.row_pairs import NearFloats, equal_pairs, pair_rows
from tidemill.cases.stage_case import CellPair, RowDifference

# Floats that are equal in so many digits are equal: sums depend on the order of rows.
_RELATIVE = 1e-9
# Rows that match no other one exactly are paired by their cells for display, if they are so few.
_PAIRED = 60

Row = tuple[Any, ...]
# A cell that isn't compared.
ANY: Any = object()
# NaN doesn't equal itself.
_NAN = "\0nan"
MISSING, UNEXPECTED, CHANGED = "missing", "unexpected", "changed"


def compare_rows(
    expected: pl.DataFrame,
    actual: pl.DataFrame,
    *,
    key: Sequence[str] = (),
    ordered: bool = False,
    tolerance: float = 0.0,
    partial: bool = False,
    gaps: Mapping[str, Collection[int]] | None = None,
) -> tuple[RowDifference, ...]:
    """The rows that differ in the columns of `expected`, which `actual` has in the same types.

    Rows are paired by the `key` if it tells them apart, else in any order; `ordered` ones by their
    place. If it is `partial`, rows that aren't expected don't count. `gaps` are cells of expected rows that
    aren't compared: the numbers of their rows.
    """
    comparison = _RowPairing(expected, actual, tolerance, gaps or {})
    if ordered and not partial:
        return comparison.by_place(key)
    # A part of the key tells rows apart, too, such as those of one partition.
    named = [name for name in key if name in expected.columns]
    if named:
        paired = comparison.by_key(named, partial=partial)
        if paired is not None:
            return paired
    return comparison.in_any_order(partial=partial)


def same_values(one: Any, other: Any, tolerance: float = 0.0) -> bool:
    """Whether two values are equal: missing ones, NaN, and floats up to a tolerance, also within lists."""
    if one is ANY or other is ANY:
        return True
    if one is None or other is None:
        return one is other
    if isinstance(one, float) and isinstance(other, float):
        return _same_floats(one, other, tolerance)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(
            same_values(one[name], other[name], tolerance) for name in one
        )
    if isinstance(one, list) and isinstance(other, list):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(same_values(*pair, tolerance) for pair in pairs)
    return bool(one == other)


def _same_floats(one: float, other: float, tolerance: float) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    if one == other:
        return True
    if math.isinf(one) or math.isinf(other):
        return False
    return abs(one - other) <= max(tolerance, _RELATIVE * max(abs(one), abs(other)))


class _RowPairing:
    """Two tables with the same columns, as rows of comparable values."""

    def __init__(
        self,
        expected: pl.DataFrame,
        actual: pl.DataFrame,
        tolerance: float,
        gaps: Mapping[str, Collection[int]],
    ) -> None:
        self._names = expected.columns
        shown = actual.select(self._names)
        self._frames = {"expected": expected, "actual": shown}
        self._expected = _rows(expected, expected.height, gaps)
        self._actual = _rows(shown, actual.height, {})
        # Cells that aren't compared can't tell which rows are alike.
        self._whole = [at for at, name in enumerate(self._names) if not gaps.get(name)]
        self._tolerance = tolerance

    def by_place(self, key: Sequence[str]) -> tuple[RowDifference, ...]:
        """Compare the first row with the first, the second with the second."""
        shared = min(len(self._expected), len(self._actual))
        found = [
            difference
            for place in range(shared)
            if (difference := self._changed(place, place, key)) is not None
        ]
        found += [self._lone(MISSING, place) for place in range(shared, len(self._expected))]
        found += [self._lone(UNEXPECTED, place) for place in range(shared, len(self._actual))]
        return tuple(found)

    def by_key(self, key: Sequence[str], *, partial: bool) -> tuple[RowDifference, ...] | None:
        """Compare rows with equal keys; None if the keys don't tell the rows of a table apart."""
        wanted, there = (
            self._places_by_key(self._expected, key),
            self._places_by_key(self._actual, key),
        )
        if wanted is None or there is None:
            return None
        found = []
        for values, place in wanted.items():
            if values not in there:
                found.append(self._lone(MISSING, place))
            elif (changed := self._changed(place, there[values], key)) is not None:
                found.append(changed)
        if not partial:
            found += [
                self._lone(UNEXPECTED, place)
                for values, place in there.items()
                if values not in wanted
            ]
        return tuple(found)

    def _places_by_key(self, rows: Sequence[Row], key: Sequence[str]) -> dict[Hashable, int] | None:
        at = [self._names.index(name) for name in key]
        places: dict[Hashable, int] = {}
        for place, row in enumerate(rows):
            values = tuple(map(_hashable, (row[index] for index in at)))
            if values in places or any(row[index] is None or row[index] is ANY for index in at):
                return None
            places[values] = place
        return places

    def in_any_order(self, *, partial: bool) -> tuple[RowDifference, ...]:
        """Pair equal rows wherever they are, and name the rest."""
        missing, unexpected = self._unmatched()
        found = []
        if len(missing) <= _PAIRED and len(unexpected) <= _PAIRED and not partial:
            for place in [*missing]:
                other = self._most_alike(place, unexpected)
                if other is not None:
                    missing.remove(place)
                    unexpected.remove(other)
                    changed = self._changed(place, other, ())
                    found += [changed] if changed is not None else []
        found += [self._lone(MISSING, place) for place in missing]
        if not partial:
            found += [self._lone(UNEXPECTED, place) for place in unexpected]
        return tuple(found)

    def _unmatched(self) -> tuple[list[int], list[int]]:
        """The places of rows that have no equal in the other table, each used once."""
        groups: defaultdict[Row, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for side, rows in enumerate((self._expected, self._actual)):
            for place, row in enumerate(rows):
                alike = tuple(_without_floats(row[at]) for at in self._whole)
                groups[alike][side].append(place)
        missing: list[int] = []
        unexpected: list[int] = []
        for wanted, there in groups.values():
            pairs = self._pairs(wanted, there)
            missing += [place for place in wanted if place not in pairs]
            unexpected += sorted({*there} - {*pairs.values()})
        return sorted(missing), sorted(unexpected)

    def _pairs(self, wanted: Sequence[int], there: Sequence[int]) -> dict[int, int]:
        """Pairs of rows that differ at most in floats, and are the same."""
        found = equal_pairs(
            {place: _hashable(self._expected[place]) for place in wanted},
            {other: _hashable(self._actual[other]) for other in there},
        )
        if len(found) in (len(wanted), len(there)):
            return found
        first = self._expected[wanted[0]]
        floats = [at for at in self._whole if isinstance(first[at], float)]
        if not floats:
            return pair_rows(wanted, there, self._are_same, known=found)
        # The column that tells most rows apart leaves the fewest to compare.
        at = max(floats, key=lambda at: len({self._actual[other][at] for other in there}))
        known = NearFloats({other: self._actual[other][at] for other in there}, self._slack)
        # From the least on, rows that take the first near one leave those after them to others.
        wanted = sorted(wanted, key=lambda place: self._expected[place][at])
        return pair_rows(
            wanted,
            there,
            self._are_same,
            near=lambda place: known.near(self._expected[place][at]),
            known=found,
        )

    def _slack(self, value: float) -> float:
        """By how much a float may differ from `value`, with room for rounding."""
        return self._tolerance * (1 + _RELATIVE) + 2 * _RELATIVE * abs(value)

    def _are_same(self, place: int, other: int) -> bool:
        pairs = zip(self._expected[place], self._actual[other], strict=True)
        return all(same_values(one, two, self._tolerance) for one, two in pairs)

    def _most_alike(self, place: int, others: Sequence[int]) -> int | None:
        """The row with the most equal cells; None if none has at least half of them."""
        row = self._expected[place]

        def alike(other: int) -> int:
            pairs = zip(row, self._actual[other], strict=True)
            return sum(same_values(one, two, self._tolerance) for one, two in pairs)

        best = max(others, key=alike, default=None)
        return best if best is not None and 2 * alike(best) >= len(row) else None

    def _changed(self, place: int, other: int, key: Sequence[str]) -> RowDifference | None:
        pairs = zip(self._names, self._expected[place], self._actual[other], strict=True)
        differing = [name for name, one, two in pairs if not same_values(one, two, self._tolerance)]
        if not differing:
            return None
        changes = tuple(
            CellPair(
                column=name,
                expected=self._cell("expected", place, name),
                actual=self._cell("actual", other, name),
            )
            for name in differing
        )
        shown = [name for name in key if name in self._names and name not in differing] or [
            name for name in self._names if name not in differing
        ]
        row = {name: self._cell("actual", other, name) for name in shown}
        return RowDifference(kind=CHANGED, row=row, changes=changes)

    def _lone(self, kind: str, place: int) -> RowDifference:
        side = "expected" if kind == MISSING else "actual"
        return RowDifference(
            kind=kind, row={name: self._cell(side, place, name) for name in self._names}
        )

    def _cell(self, side: str, place: int, name: str) -> str:
        if side == "expected" and self._expected[place][self._names.index(name)] is ANY:
            return ""
        return cell_text(self._frames[side][name][place])


def _rows(frame: pl.DataFrame, height: int, gaps: Mapping[str, Collection[int]]) -> list[Row]:
    columns = []
    for series in frame.get_columns():
        holes = gaps.get(series.name, ())
        cells = comparable_cells(series)
        columns.append(
            [ANY if at in holes else cell for at, cell in enumerate(cells)] if holes else cells
        )
    return [*zip(*columns, strict=True)] if columns else [()] * height


def _without_floats(value: Any) -> Any:
    """A value that is equal for values that may be the same: floats are left out."""
    if isinstance(value, float):
        return "\0float"
    if isinstance(value, list):
        return tuple(map(_without_floats, value))
    if isinstance(value, Mapping):
        return tuple((name, _without_floats(item)) for name, item in value.items())
    return value


def _hashable(value: Any) -> Hashable:
    """A value that equals that of an equal value, and can be a key."""
    if isinstance(value, float) and math.isnan(value):
        return _NAN
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    if isinstance(value, Mapping):
        return tuple((name, _hashable(item)) for name, item in value.items())
    hashed: Hashable = value
    return hashed
