"""Find the rows again that somebody ruled on: by all their values, whatever file they come in.

A row is one that was ruled on when it equals it in every column and breaks no rule but those that
rejected it then. Values are compared, no hashes of them: null equals null and NaN equals NaN, inside
lists and structs too. Equal rows are counted: a ruling on one of them is one on one of them, the first
that comes. Of rulings on the same row the last counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from tidemill.contracts.checks.casts import fit
from tidemill.contracts.checks.schema import schema_of
from tidemill.contracts.finding import Finding
from tidemill.contracts.row_ruling import Disposition, Ruling
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError

REASONS = "_reasons"
# The number of a row in its quarantine, where rows are shown or exported.
ROW = "_row"
RULED = "rulings"
Reasons = frozenset[str]

_TEXT = (pl.String, pl.Enum, pl.Categorical)
_DONE = {
    Disposition.RELEASE: "released",
    Disposition.REPLACE: "replaced",
    Disposition.DROP: "dropped",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A ruling with its rows at hand: those that no later ruling on the same quarantine speaks of.

    `rows` are as they came, `waived` the rules that rejected each, `fixed` what takes their place.
    """

    disposition: Disposition
    rows: pl.DataFrame
    waived: tuple[Reasons, ...]
    fixed: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A bad row that is one that was ruled on: its number, and the row of which ruling it is."""

    row: int
    ruling: int
    of: int


def spoken(rulings: Sequence[Ruling], load: Callable[[str], pl.DataFrame]) -> tuple[Said, ...]:
    """Rulings in their order with their rows, which `load` gives for the name of an object."""
    later: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    found: list[Said] = []
    for ruling in reversed(rulings):
        whole, passed = load(ruling.object), later[ruling.object, ruling.key]
        numbers = ruling.rows or range(whole.height)
        own = [(at, number) for at, number in enumerate(numbers) if number not in passed]
        passed.update(numbers)
        if ruling.disposition is Disposition.HOLD or not own:
            continue
        rows = whole[[number for _, number in own]]
        found.append(
            Said(
                disposition=ruling.disposition,
                rows=rows.drop(REASONS),
                waived=tuple(map(frozenset, rows.get_column(REASONS).to_list())),
                fixed=load(ruling.fixed)[[at for at, _ in own]] if ruling.fixed else None,
            )
        )
    return tuple(reversed(found))


class Docket:
    """The rulings on one partition while its rows are judged.

    Rows that took the place of others are only subject to what was said after them.
    """

    def __init__(self, rulings: Sequence[Said], height: int) -> None:
        self.rulings = rulings
        self._since = [-1] * height
        self._spent: set[tuple[int, int]] = set()

    def match(self, bad: pl.DataFrame, numbers: Sequence[int]) -> list[Taken]:
        """Which of the bad rows (as they came, with `_reasons`), whose `numbers` these are, were ruled on."""
        ids, ruled = _alike(bad.drop(REASONS), [item.rows for item in self.rulings])
        wanted = {number for each in ruled for number in each if number is not None}
        reasons = bad.get_column(REASONS).to_list()
        # By row value: the rows that are still free, in their order, of each set of reasons and age.
        free: defaultdict[int, dict[tuple[Reasons, int], deque[int]]] = defaultdict(dict)
        for number, name, why in zip(numbers, ids, reasons, strict=True):
            if name in wanted:
                kind = (frozenset(why), self._since[number])
                free[name].setdefault(kind, deque()).append(number)
        return [*self._taken(free, ruled)]

    def _taken(
        self,
        free: dict[int, dict[tuple[Reasons, int], deque[int]]],
        ruled: Sequence[Sequence[int | None]],
    ) -> Iterator[Taken]:
        newer: defaultdict[int, Counter[Reasons]] = defaultdict(Counter)
        for ruling in reversed(range(len(self.rulings))):
            waived, own = self.rulings[ruling].waived, ruled[ruling]
            passed: Counter[tuple[int, Reasons]] = Counter()
            for of, name in enumerate(own):
                if name is None:
                    continue
                kind = (name, waived[of])
                # Who ruled again on a row because it broke more rules spoke of this very row.
                if passed[kind] < _wider(newer[name], waived[of]):
                    passed[kind] += 1
                elif (ruling, of) not in self._spent:
                    row = _first(free[name], waived[of], ruling)
                    if row is not None:
                        yield Taken(row=row, ruling=ruling, of=of)
            for of, name in enumerate(own):
                if name is not None:
                    newer[name][waived[of]] += 1

    def replace(
        self, frame: pl.DataFrame, taken: Sequence[Taken], spec: ContractSpec
    ) -> pl.DataFrame:
        """`frame` without some rows, and at its end those that take their place."""
        gone = {item.row for item in taken}
        self._since = [since for row, since in enumerate(self._since) if row not in gone]
        frame = frame.filter(~marked(gone, frame.height))
        for ruling in sorted({item.ruling for item in taken}):
            own = sorted(item.of for item in taken if item.ruling == ruling)
            fixed = self.rulings[ruling].fixed
            assert fixed is not None
            frame = pl.concat(beside(fixed[own], frame, spec))
            self._since += [ruling] * len(own)
            self._spent.update((ruling, of) for of in own)
        return frame

    def waived(self, item: Taken) -> Reasons:
        """The rules that are waived for a row that was ruled on."""
        return self.rulings[item.ruling].waived[item.of]

    def finding(self, taken: Sequence[Taken]) -> Finding:
        """How many rows became what; `taken` are those that were released or dropped."""
        counts = Counter(self.rulings[item.ruling].disposition for item in taken)
        counts[Disposition.REPLACE] += len(self._spent)
        told = ", ".join(f"{counts[v]} {does}" for v, does in _DONE.items() if counts[v])
        rows = sum(counts.values())
        message = f"{RULED}: of the rows that were ruled on {told or 'none came'}"
        return Finding(rule=RULED, severity="info", rows=rows, message=message)


def unwaivable(spec: ContractSpec) -> frozenset[str]:
    """The rules that no ruling waives: rows that break them can't be kept."""
    placed = [name for name in (*spec.key, spec.partitioning.column) if name]
    missing = {f"{name}.{rule}" for name in placed for rule in ("null", "nan", "partition")}
    return frozenset({"key", *missing, *(f"{name}.type" for name in spec.names)})


def beside(
    rows: pl.DataFrame, frame: pl.DataFrame, spec: ContractSpec
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`frame`, and `rows` with its columns and types.

    Where a value of `rows` has no such type, both come in that of the contract: 9.9 beside integers of a
    column of floats. ContractError when that changes a value.
    """
    columns, others = [], []
    for name, dtype in frame.schema.items():
        own = frame.get_column(name)
        if name not in rows.columns:
            columns.append(own)
            others.append(pl.Series(name, [None], dtype=dtype).new_from_index(0, rows.height))
            continue
        series, fitted = fit(rows.get_column(name), dtype)
        lost = fitted.is_null() & series.is_not_null()
        wide = schema_of(spec).get(name, dtype)
        if lost.any() and wide != dtype:
            (came, own), (_, fitted) = fit(own, wide), fit(series, wide)
            if own.null_count() == came.null_count() and fitted.null_count() == series.null_count():
                lost = pl.repeat(False, rows.height, eager=True)
        if lost.any():
            raise ContractError(
                f"corrected rows of {spec.name}: {name} came as {dtype}, and "
                f"{series.filter(lost)[0]!r} is no such value; correct it, or rule anew"
            )
        columns.append(own)
        others.append(fitted.alias(name))
    return pl.DataFrame(columns), pl.DataFrame(others)


def marked(rows: Collection[int], height: int) -> pl.Series:
    """A column of bits in which these rows are set."""
    return pl.repeat(False, height, eager=True).scatter(
        pl.Series(sorted(rows), dtype=pl.UInt32), True
    )


def _wider(newer: Counter[Reasons], waived: Reasons) -> int:
    return sum(count for other, count in newer.items() if not other <= waived)


def _first(free: dict[tuple[Reasons, int], deque[int]], waived: Reasons, ruling: int) -> int | None:
    """The first free row that breaks no more than what is waived, and is older than the ruling."""
    open_ = [
        rows
        for (reasons, since), rows in free.items()
        if rows and since < ruling and reasons <= waived
    ]
    return min(open_, key=lambda rows: rows[0]).popleft() if open_ else None


def _alike(
    bad: pl.DataFrame, ruled: Sequence[pl.DataFrame]
) -> tuple[list[int], list[list[int | None]]]:
    """A number for each row, equal for equal rows; None for one that can't be equal to any bad row."""
    parts, sound = [bad], []
    for rows in ruled:
        aligned, comparable = _aligned(rows, bad)
        parts.append(aligned)
        sound.append(comparable)
    whole = pl.concat(parts)
    grouped = whole.with_row_index("\0row").group_by(bad.columns).agg(pl.col("\0row"))
    rows = grouped.with_row_index("\0name").select("\0name", "\0row").explode("\0row")
    names = rows.sort("\0row").get_column("\0name")
    found, start = names.to_list(), bad.height
    told: list[list[int | None]] = []
    for comparable in sound:
        own = found[start : start + len(comparable)]
        told.append([n if ok else None for n, ok in zip(own, comparable, strict=True)])
        start += len(comparable)
    return found[: bad.height], told


def _aligned(rows: pl.DataFrame, bad: pl.DataFrame) -> tuple[pl.DataFrame, list[bool]]:
    """`rows` in the types of `bad`, and which of them are unchanged by that."""
    none = bad.clear(rows.height)
    if sorted(rows.columns) != sorted(bad.columns):
        return none, [False] * rows.height
    columns, sound = [], pl.repeat(True, rows.height, eager=True)
    for name, dtype in bad.schema.items():
        series = rows.get_column(name)
        if series.dtype != dtype:
            if not _akin(series.dtype, dtype):
                return none, [False] * rows.height
            cast = series.cast(dtype, strict=False)
            sound &= cast.cast(series.dtype, strict=False).eq_missing(series)
            series = cast
        columns.append(series)
    return pl.DataFrame(columns), sound.to_list()


def _akin(one: pl.DataType, other: pl.DataType) -> bool:
    """Whether two types hold the same values in another form: the same feed isn't always read alike."""
    return (
        (one.is_numeric() and other.is_numeric())
        or (isinstance(one, _TEXT) and isinstance(other, _TEXT))
        or isinstance(one, pl.Null)
    )
