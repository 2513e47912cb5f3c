"""Fill in the columns that the rows of a case don't name, so that the rows pass their contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache

import polars as pl

from tidemill.cases.cell_values import cell_text
from tidemill.contracts.checks.checker import REASONS, checker_of
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.synthetic.random_source import RandomSource
from tidemill.contracts.synthetic.rows import numbering_contract, sample_rows
from tidemill.contracts.table_rules import ReferenceRule
from tidemill.core.errors import ContractError
from tidemill.core.identity import ByIdentity

_ROUNDS = 30
_NUMBER = "\0number"


def complete_rows(
    spec: ContractSpec,
    named: pl.DataFrame,
    chance: RandomSource,
    *,
    gaps: Mapping[str, Sequence[int]] | None = None,
    partition: str = "",
    tables: Mapping[str, pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """Add the columns of the contract that `named` lacks, drawn from it; rows keep their order.

    `gaps` are cells of other columns that aren't named: the numbers of their rows. They are drawn, too, if
    the column can't be null. Values are drawn again until the rows pass all rules about these columns, as far
    as that is possible. A partition that isn't named is `partition`. Optional columns aren't drawn. `tables`
    have what references refer to, by the names of their contracts.
    """
    holes = {
        name: frozenset(numbers)
        for name, numbers in (gaps or {}).items()
        if numbers and name in spec.names and not spec.column(name).nullable
    }
    drawn = [
        column.name
        for column in spec.columns
        if column.name in holes or (column.name not in named.columns and not column.optional)
    ]
    if not drawn:
        return named
    draw = _ColumnSource(spec, drawn, chance, partition, tables or {})
    fresh = draw.rows(named.height)
    rows = _joined(spec, named, fresh, holes)
    judge = _Judge(spec, drawn, holes)
    for _ in range(_ROUNDS):
        again = judge.rows_to_redraw(rows)
        if not again:
            break
        numbers = pl.Series(_NUMBER, again, dtype=pl.UInt32)
        fresh = fresh.with_row_index(_NUMBER)
        kept = fresh.filter(~pl.col(_NUMBER).is_in(again))
        both = pl.concat([kept, draw.rows(len(again)).insert_column(0, numbers)])
        fresh = both.sort(_NUMBER).drop(_NUMBER)
        rows = _joined(spec, named, fresh, holes)
    return rows


class _ColumnSource:
    """Draws some columns of a contract."""

    def __init__(
        self,
        spec: ContractSpec,
        names: Sequence[str],
        chance: RandomSource,
        partition: str,
        tables: Mapping[str, pl.DataFrame],
    ) -> None:
        self._chance = chance
        self._tables = tables
        referred = frozenset(name for name, table in tables.items() if table.height)
        bare = _bare_contract(ByIdentity(spec), tuple(names), referred)
        self._place = None if bare.partitioning.is_whole else partition or None
        column = spec.partitioning.column
        keys = [name for name in spec.key if name in names and name != column]
        # Different values in a column of the key make keys different, if it has enough of them.
        self._contracts = [*(_with_unique(ByIdentity(bare), name) for name in keys), bare]

    def rows(self, count: int) -> pl.DataFrame:
        """Draw so many rows."""
        while len(self._contracts) > 1:
            try:
                return self._sample(count)
            except ContractError:
                del self._contracts[0]
        return self._sample(count)

    def _sample(self, count: int) -> pl.DataFrame:
        spec = self._contracts[0]
        return sample_rows(spec, count, self._chance, partition=self._place, given=self._tables)


# The same object for the same columns, for which a checker is compiled once.
@lru_cache(maxsize=256)
def _with_unique(key: ByIdentity[ContractSpec], name: str) -> ContractSpec:
    (spec,) = key.values
    columns = (
        replace(column, unique=True) if column.name == name else column for column in spec.columns
    )
    return replace(spec, columns=tuple(columns))


def generate_rows(
    spec: ContractSpec,
    rows: int,
    chance: RandomSource,
    *,
    partition: str = "",
    tables: Mapping[str, pl.DataFrame] | None = None,
    fewer: bool = False,
) -> pl.DataFrame:
    """Rows that pass a contract; `fewer` if a partition can't have so many, such as one row per day."""
    known = tables or {}
    referred = frozenset(name for name, table in known.items() if table.height)
    spec = _with_usable_rules(ByIdentity(spec), referred)
    counts = (rows, *(n for n in (rows // 2, 3, 1) if fewer and n < rows))
    for count in counts[:-1]:
        with suppress(ContractError):
            return sample_rows(spec, count, chance, partition=partition or None, given=known)
    return sample_rows(spec, counts[-1], chance, partition=partition or None, given=known)


def _joined(
    spec: ContractSpec, named: pl.DataFrame, fresh: pl.DataFrame, holes: Mapping[str, Set[int]]
) -> pl.DataFrame:
    """Put drawn columns beside those that are named, and drawn cells into their gaps."""
    if not named.width:
        return fresh
    columns = {series.name: series for series in (*fresh, *named)}
    for name, numbers in holes.items():
        columns[name] = _filled(named[name], fresh[name], numbers)
    order = [name for name in spec.names if name in columns]
    return pl.DataFrame([columns[name] for name in dict.fromkeys((*order, *columns))])


def _filled(named: pl.Series, fresh: pl.Series, numbers: Set[int]) -> pl.Series:
    if named.dtype != fresh.dtype:
        # As a source has them, next to values that aren't of the type.
        texts = [None if cell is None else cell_text(cell) for cell in fresh.to_list()]
        fresh = pl.Series(fresh.name, texts, dtype=pl.String)
        named = named.cast(pl.String)
    is_drawn = pl.Series([number in numbers for number in range(named.len())], dtype=pl.Boolean)
    return fresh.zip_with(is_drawn, named)


@lru_cache(maxsize=256)
def _bare_contract(
    key: ByIdentity[ContractSpec], names: tuple[str, ...], referred: frozenset[str]
) -> ContractSpec:
    """The contract of some columns alone, without rules over several of them."""
    (spec,) = key.values
    usable = _with_usable_rules(key, referred).table_rules
    return replace(
        spec,
        columns=tuple(column for column in spec.columns if column.name in names),
        key=(),
        rules=(),
        rows=None,
        budget=None,
        table_rules=tuple(
            rule
            for rule in usable
            if isinstance(rule, ReferenceRule) and {*rule.columns} <= {*names}
        ),
        unknown_columns="fail",
    )


@lru_cache(maxsize=256)
def _with_usable_rules(key: ByIdentity[ContractSpec], referred: frozenset[str]) -> ContractSpec:
    """The contract with the references whose tables have rows; others can't be met."""
    (spec,) = key.values
    usable = (
        rule
        for rule in spec.table_rules
        if isinstance(rule, ReferenceRule) and rule.contract in referred
    )
    return replace(spec, table_rules=tuple(usable))


class _Judge:
    """Finds the rows whose drawn cells break a rule."""

    def __init__(
        self, spec: ContractSpec, drawn: Sequence[str], holes: Mapping[str, Set[int]]
    ) -> None:
        self._checker = checker_of(numbering_contract(spec))
        self._rules = frozenset(_rules_about(spec, [name for name in drawn if name not in holes]))
        self._in_holes = [
            (frozenset(_rules_about(spec, [name])), numbers) for name, numbers in holes.items()
        ]

    def rows_to_redraw(self, rows: pl.DataFrame) -> list[int]:
        """The numbers of rows that break a rule about a drawn cell."""
        bad = self._checker.check(rows.with_row_index(_NUMBER)).bad
        if bad is None:
            return []
        broken = zip(bad[_NUMBER].to_list(), bad[REASONS].to_list(), strict=True)
        return [number for number, rules in broken if self._is_drawn(number, {*rules})]

    def _is_drawn(self, number: int, rules: set[str]) -> bool:
        if rules & self._rules:
            return True
        return any(number in numbers and rules & about for about, numbers in self._in_holes)


_KINDS = (
    *("type", "null", "nan", "partition", "min", "max", "min_exclusive", "max_exclusive"),
    *("min_length", "max_length", "regex", "isin", "unique"),
)


def _rules_about(spec: ContractSpec, names: Sequence[str]) -> Iterator[str]:
    """The rules that read one of some columns."""
    for name in names:
        yield from (f"{name}.{kind}" for kind in _KINDS)
    if {*spec.key} & {*names}:
        yield "key"
    for rule in spec.rules:
        if {*rule.expr.meta.root_names()} & {*names}:
            yield rule.name
