"""Match bad rows with the rulings on them: by all their values, whatever file they come from.

A bad row matches a ruled row if it equals it in every column and breaks only rules that rejected the
ruled row. Values are compared, not hashes: null equals null and NaN equals NaN, also inside lists and
structs. Equal rows are counted: a ruling on one row applies to one row, the first that matches. If
several rulings match a row, the last one applies.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Sequence

import polars as pl

from tidemill.contracts.checks.casts import cast_column
from tidemill.contracts.checks.schema import TEXT_TYPES, schema_of
from tidemill.contracts.finding import UNREAD_RULES, Finding
from tidemill.contracts.row_ruling import Disposition, Ruling
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError
from tidemill.core.lazy_dataclass import dataclass

REASONS = "_reasons"
# The column with a row's number in its quarantine, in displays and exports.
ROW = "_row"
RULINGS_RULE = "rulings"
Reasons = frozenset[str]

_DONE = {
    Disposition.RELEASE: "released",
    Disposition.REPLACE: "replaced",
    Disposition.DROP: "dropped",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedRuling:
    """A ruling with its rows, except those that a later ruling on the same quarantine covers.

    `rows` are the unconverted rows, `waived` the rules that rejected each.
    """

    disposition: Disposition
    rows: pl.DataFrame
    waived: tuple[Reasons, ...]
    replacements: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedRow:
    """A bad row that matches a ruling: its row number, the ruling, and the row's index in the ruling."""

    row: int
    ruling: int
    index: int


def resolve_rulings(
    rulings: Sequence[Ruling], load: Callable[[str], pl.DataFrame]
) -> tuple[ResolvedRuling, ...]:
    """Resolve rulings, in their order, to their rows; `load` returns the rows of an object.

    What was taken back isn't loaded: it may be lost.
    """
    later: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    # Quarantines of which a later ruling is about all rows.
    settled: set[tuple[str, str]] = set()
    found: list[ResolvedRuling] = []
    for ruling in reversed(rulings):
        place = (ruling.object, ruling.key)
        if place in settled:
            continue
        passed = later[place]
        if not ruling.rows:
            settled.add(place)
        if ruling.disposition is Disposition.HOLD:
            passed.update(ruling.rows)
            continue
        if ruling.rows and passed.issuperset(ruling.rows):
            continue
        whole = load(ruling.object)
        numbers = ruling.rows or range(whole.height)
        current = [(at, number) for at, number in enumerate(numbers) if number not in passed]
        passed.update(numbers)
        if not current:
            continue
        rows = whole[[number for _, number in current]]
        found.append(
            ResolvedRuling(
                disposition=ruling.disposition,
                rows=rows.drop(REASONS),
                waived=tuple(map(frozenset, rows.get_column(REASONS).to_list())),
                replacements=load(ruling.fixed)[[at for at, _ in current]]
                if ruling.fixed
                else None,
            )
        )
    return tuple(reversed(found))


class RulingMatcher:
    """Matches the rows of one partition with its rulings.

    Replacement rows only match rulings that are newer than the one that added them.
    """

    def __init__(self, rulings: Sequence[ResolvedRuling], height: int) -> None:
        self.rulings = rulings
        self._since = [-1] * height
        self._spent: set[tuple[int, int]] = set()

    def match(self, bad: pl.DataFrame, numbers: Sequence[int]) -> list[MatchedRow]:
        """Match bad rows (unconverted, with `_reasons`) with these `numbers` to the rulings on them."""
        ids, ruled = _number_equal_rows(bad.drop(REASONS), [item.rows for item in self.rulings])
        wanted = {number for each in ruled for number in each if number is not None}
        reasons = bad.get_column(REASONS).to_list()
        # By row value: the unmatched rows, in order, for each set of reasons and age.
        free: defaultdict[int, dict[tuple[Reasons, int], deque[int]]] = defaultdict(dict)
        for number, name, why in zip(numbers, ids, reasons, strict=True):
            if name in wanted:
                kind = (frozenset(why), self._since[number])
                free[name].setdefault(kind, deque()).append(number)
        return [*self._match_rows(free, ruled)]

    def _match_rows(
        self,
        free: dict[int, dict[tuple[Reasons, int], deque[int]]],
        ruled: Sequence[Sequence[int | None]],
    ) -> Iterator[MatchedRow]:
        newer: defaultdict[int, Counter[Reasons]] = defaultdict(Counter)
        for ruling in reversed(range(len(self.rulings))):
            waived, own = self.rulings[ruling].waived, ruled[ruling]
            passed: Counter[tuple[int, Reasons]] = Counter()
            for of, name in enumerate(own):
                if name is None:
                    continue
                kind = (name, waived[of])
                # A newer ruling with more waived rules is about the same row.
                if passed[kind] < _count_broader(newer[name], waived[of]):
                    passed[kind] += 1
                elif (ruling, of) not in self._spent:
                    row = _pop_first(free[name], waived[of], ruling)
                    if row is not None:
                        yield MatchedRow(row=row, ruling=ruling, index=of)
            for of, name in enumerate(own):
                if name is not None:
                    newer[name][waived[of]] += 1

    def replace_rows(
        self, frame: pl.DataFrame, matched: Sequence[MatchedRow], spec: ContractSpec
    ) -> pl.DataFrame:
        """Remove matched rows from `frame` and append their replacements."""
        gone = {item.row for item in matched}
        self._since = [since for row, since in enumerate(self._since) if row not in gone]
        frame = frame.filter(~row_mask(gone, frame.height))
        for ruling in sorted({item.ruling for item in matched}):
            own = sorted(item.index for item in matched if item.ruling == ruling)
            fixed = self.rulings[ruling].replacements
            assert fixed is not None
            frame = pl.concat(align_rows(fixed[own], frame, spec))
            self._since += [ruling] * len(own)
            self._spent.update((ruling, of) for of in own)
        return frame

    def waived_rules(self, item: MatchedRow) -> Reasons:
        """Return the rules that are waived for a matched row."""
        return self.rulings[item.ruling].waived[item.index]

    def summary(self, matched: Sequence[MatchedRow]) -> Finding:
        """Count the rows by disposition; `matched` are the released and the dropped rows."""
        counts = Counter(self.rulings[item.ruling].disposition for item in matched)
        counts[Disposition.REPLACE] += len(self._spent)
        done = ", ".join(f"{counts[v]} {word}" for v, word in _DONE.items() if counts[v])
        rows = sum(counts.values())
        message = f"{RULINGS_RULE}: {done or 'no rows matched'}"
        return Finding(rule=RULINGS_RULE, severity="info", rows=rows, message=message)


def unwaivable_rules(spec: ContractSpec) -> frozenset[str]:
    """Return the rules that no ruling can waive: rows that break them can't be kept."""
    placed = [name for name in (*spec.key, spec.partitioning.column) if name]
    missing = {f"{name}.{rule}" for name in placed for rule in ("null", "nan", "partition")}
    unread = {f"{name}{rule}" for name in spec.names for rule in UNREAD_RULES}
    return frozenset({"key", *missing, *unread})


def align_rows(
    rows: pl.DataFrame, frame: pl.DataFrame, spec: ContractSpec
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return `frame`, and `rows` with its columns and types, so that they can be concatenated.

    If a value of `rows` doesn't fit the type in `frame`, both get the contract's type, such as 9.9 next
    to integers of a float column. ContractError if that would change a value.
    """
    columns, others = [], []
    # Frames make the list of their columns anew each time.
    given = {*rows.columns}
    for name, dtype in frame.schema.items():
        own = frame.get_column(name)
        if name not in given:
            columns.append(own)
            others.append(pl.Series(name, [None], dtype=dtype).new_from_index(0, rows.height))
            continue
        series, fitted = cast_column(rows.get_column(name), dtype)
        lost = fitted.is_null() & series.is_not_null()
        wide = schema_of(spec).get(name, dtype)
        if lost.any() and wide != dtype:
            (came, own), (_, fitted) = cast_column(own, wide), cast_column(series, wide)
            if own.null_count() == came.null_count() and fitted.null_count() == series.null_count():
                lost = pl.repeat(False, rows.height, eager=True)
        if lost.any():
            raise ContractError(
                f"corrected rows of {spec.name}: {name} came as {dtype}, and "
                f"{series.filter(lost)[0]!r} doesn't fit; correct it, or rule on the rows again"
            )
        columns.append(own)
        others.append(fitted.alias(name))
    return pl.DataFrame(columns), pl.DataFrame(others)


def row_mask(rows: Collection[int], height: int) -> pl.Series:
    """Return a boolean series that is true for these rows."""
    return pl.repeat(False, height, eager=True).scatter(
        pl.Series(sorted(rows), dtype=pl.UInt32), True
    )


def _count_broader(newer: Counter[Reasons], waived: Reasons) -> int:
    return sum(count for other, count in newer.items() if not other <= waived)


def _pop_first(
    free: dict[tuple[Reasons, int], deque[int]], waived: Reasons, ruling: int
) -> int | None:
    """Take the first unmatched row that breaks only waived rules and is older than the ruling."""
    open_ = [
        rows
        for (reasons, since), rows in free.items()
        if rows and since < ruling and reasons <= waived
    ]
    return min(open_, key=lambda rows: rows[0]).popleft() if open_ else None


def _number_equal_rows(
    bad: pl.DataFrame, ruled: Sequence[pl.DataFrame]
) -> tuple[list[int], list[list[int | None]]]:
    """Number the rows so that equal rows have equal numbers; None for rows that can't equal a bad row."""
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
    numbers: list[list[int | None]] = []
    for comparable in sound:
        part = found[start : start + len(comparable)]
        numbers.append([n if ok else None for n, ok in zip(part, comparable, strict=True)])
        start += len(comparable)
    return found[: bad.height], numbers


def _aligned(rows: pl.DataFrame, bad: pl.DataFrame) -> tuple[pl.DataFrame, list[bool]]:
    """Cast `rows` to the types of `bad`, and mark the rows that the cast doesn't change."""
    none = bad.clear(rows.height)
    if sorted(rows.columns) != sorted(bad.columns):
        return none, [False] * rows.height
    columns, sound = [], pl.repeat(True, rows.height, eager=True)
    for name, dtype in bad.schema.items():
        series = rows.get_column(name)
        if series.dtype != dtype:
            if not _is_castable(series.dtype, dtype):
                return none, [False] * rows.height
            cast = series.cast(dtype, strict=False)
            sound &= cast.cast(series.dtype, strict=False).eq_missing(series)
            series = cast
        columns.append(series)
    return pl.DataFrame(columns), sound.to_list()


def _is_castable(one: pl.DataType, other: pl.DataType) -> bool:
    """Whether two types can hold the same values: readers don't always infer the same type."""
    return (
        (one.is_numeric() and other.is_numeric())
        or (isinstance(one, TEXT_TYPES) and isinstance(other, TEXT_TYPES))
        or isinstance(one, pl.Null)
    )
