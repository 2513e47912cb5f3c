"""Check a partition's rows against their contract: those that pass, those that don't, and why.

A clean partition takes one look at each column and no second pass: the number of nulls, the least
and the greatest value settle most rules, the rest is one fused query, and whether the rows are in
order is seen before anything is sorted. Only broken rules are looked at row by row.

What must be unique is judged last, among the rows that no rule before rejects: columns in their
order, then the key. A broken row never costs a good one with the same key its place, and one that
somebody ruled to be good all the same comes after all others. An optional
column that didn't come is filled first, and is then a column like the others. A rule that looks at
other rows (a mean, a rank) sees all rows at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial, reduce
from operator import and_, or_
from typing import Any, TypeVar

import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.query.partitionwise import row_by_row
from tidemill.contracts.checks.casts import fit
from tidemill.contracts.checks.findings import (
    budget_findings,
    row_finding,
    rows_findings,
    unknown_finding,
)
from tidemill.contracts.checks.partition_column import all_inside, keys_of, outside, raw_keys, split
from tidemill.contracts.checks.row_order import by_key, repeats
from tidemill.contracts.checks.row_rules import (
    ColumnRules,
    Query,
    RowRule,
    broken_rule,
    column_rules,
    default_of,
    expression_rules,
    key_rule,
)
from tidemill.contracts.checks.rule_masks import Mask, OneOf, breaks_of, masks_of, one_of
from tidemill.contracts.checks.ruled_rows import REASONS as REASONS
from tidemill.contracts.checks.ruled_rows import Docket, Said, Taken, marked, unwaivable
from tidemill.contracts.finding import Finding
from tidemill.contracts.row_ruling import Disposition
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError, did_you_mean
from tidemill.core.partition import UNPLACED, WHOLE, Partitioning

# A column as it came, and in the contract's type; one and the same where it came in that type.
_Fitted = tuple[pl.Series, pl.Series]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A partition's rows by verdict.

    `good` has the contract's columns (and unknown ones that are kept) in the contract's types and
    order, sorted by key. `bad` has the quarantined rows as they came and in their order, and a
    column `_reasons` (List(String)) of the rules that rejected them; None when there are none.
    A finding with severity "fail" says that the partition must not be published.
    """

    good: pl.DataFrame
    bad: pl.DataFrame | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Broken:
    """A rule that is broken, and by which rows."""

    rule: RowRule
    rows: pl.Series


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows as they came and in the contract's types, what they break, and those that are good."""

    frame: pl.DataFrame
    table: pl.DataFrame
    rows: pl.DataFrame
    broken: list[_Broken]
    good: pl.DataFrame


Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


class Checker:
    """A contract made ready to judge many partitions; ContractError when it can't be checked."""

    def __init__(self, spec: ContractSpec) -> None:
        self.spec = spec
        self._names = list(spec.names)
        self._cut = spec.partitioning
        self.columns = column_rules(spec)
        self._key = key_rule(spec)
        self._unique = [(column.name, column.unique) for column in self.columns if column.unique]
        self._defaults = {
            column.name: pl.lit(default_of(column, rules.dtype)).first().alias(column.name)
            for column, rules in zip(spec.columns, self.columns, strict=True)
            if column.optional
        }
        of_columns = (query for column in self.columns for query in column.others)
        self._queries = (*of_columns, *expression_rules(spec))
        self._all_pass = [
            query.passes.all(ignore_nulls=True).alias(str(index))
            for index, query in enumerate(self._queries)
        ]

    def judge(
        self,
        frame: pl.DataFrame,
        *,
        partition: str | None = None,
        rulings: Sequence[Said] = (),
    ) -> Judged:
        """Judge all rows of one partition, by the rules that look no further.

        `partition` is its key (None: rows may belong to any), `rulings` what was said of its rows,
        newest last. ContractError when columns are missing or a rule raises.
        """
        if self._defaults:
            frame = self.completed(frame, frame.columns)
        unknown = self.unknown(frame.columns)
        found = self._found(frame, unknown, partition)
        told: list[Finding] = []
        if rulings:
            found, told = self._ruled(found, unknown, partition, Docket(rulings, frame.height))
        frame, good = found.frame, found.good
        bad = _quarantined(frame, found.broken)
        findings = [row_finding(item.rule, frame, item.rows) for item in found.broken]
        findings += unknown_finding(self.spec, unknown, frame.height)
        # Rows without a place are no partition: all of them are bad, and any number may come.
        if partition != UNPLACED:
            findings += budget_findings(self.spec, frame.height, 0 if bad is None else bad.height)
            findings += rows_findings(self.spec, good.height)
        return Judged(good=good, bad=bad, findings=(*findings, *told))

    def clean(self, frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
        """The rows of those partitions, of many, of which nothing is to be said but `findings`, by key.

        Others have to be judged alone, and so have all of them by a contract that looks at rows together.
        """
        frame = self.completed(frame, frame.columns)
        if not self._apart or self.unknown(frame.columns):
            return {}
        found = self._found(frame, (), None)
        parts = split(found.good, self._cut)
        if found.broken:
            broken = reduce(or_, (item.rows for item in found.broken))
            keys = keys_of(found.table.get_column(self._cut.column), self._cut)
            for key in keys.filter(broken).unique():
                parts.pop(key, None)
        return parts

    def has_places(self, rows: Mapping[str, pl.DataFrame]) -> bool:
        """Whether frames of partitions are alike, and each holds rows of its own partition alone."""
        cut, first = self._cut, next(iter(rows.values()))
        if not self._apart or first.schema.get(cut.column) != self._place.dtype:
            return False
        return all(
            frame.schema == first.schema
            and not frame.get_column(cut.column).null_count()
            and all_inside(frame.get_column(cut.column), cut, partition)
            for partition, frame in rows.items()
        )

    def findings(self, rows: int) -> tuple[Finding, ...]:
        """What is to be said of a partition of so many rows that all pass."""
        return tuple(rows_findings(self.spec, rows))

    @cached_property
    def _apart(self) -> bool:
        """Whether what a row is said to be depends on no row of another partition."""
        schema = {column.name: column.dtype for column in self.columns}
        kept = self.spec.unknown_columns == "keep"
        keyed = self._cut.column in self.spec.key
        alone = kept or not keyed or self._unique
        return not alone and all(row_by_row(query.passes, schema) for query in self._queries)

    def _found(self, frame: pl.DataFrame, unknown: Sequence[str], partition: str | None) -> _Found:
        fitted, table = self._fitted(frame)
        broken = [*self._broken_columns(fitted, table, partition), *self._broken_queries(table)]
        for name, rule in self._unique:
            broken += _repeated_values(table, name, rule, _rejected(broken))
        rows = table
        if unknown and self.spec.unknown_columns == "keep":
            rows = table.hstack(frame.select(unknown))
        good, unique = by_key(_without(rows, _rejected(broken)), self.spec.key)
        if not unique:
            repeated = self._repeated(table, _rejected(broken))
            broken += repeated
            good, _ = by_key(_without(rows, _rejected(broken)), self.spec.key)
        return _Found(frame, table, rows, broken, good)

    def _ruled(
        self, found: _Found, unknown: Sequence[str], partition: str | None, docket: Docket
    ) -> tuple[_Found, list[Finding]]:
        """The rows with what was said of them done, and what that was."""
        taken = self._match(found, docket)
        while replaced := [
            t for t in taken if docket.rulings[t.ruling].disposition is Disposition.REPLACE
        ]:
            frame = docket.replace(found.frame, replaced, self.spec)
            found = self._found(frame, unknown, partition)
            taken = self._match(found, docket)
        dropped = {t.row for t in taken if docket.rulings[t.ruling].disposition is Disposition.DROP}
        never = unwaivable(self.spec)
        released = {t.row: docket.waived(t) - never for t in taken if t.row not in dropped}
        lost = [*self._unkept(found, released)]
        for item in lost:
            for row in item.rows.arg_true() if item.rule.on_fail == "quarantine" else ():
                released.pop(row, None)
        cleared = marked({*dropped, *released}, found.frame.height)
        broken = _cleared([*found.broken, *lost], cleared)
        rejected = _rejected(broken)
        gone = marked(dropped, found.frame.height)
        good = found.rows.filter(~gone if rejected is None else ~(gone | rejected))
        done = [t for t in taken if t.row in dropped or t.row in released]
        good, _ = by_key(good, self.spec.key)
        return _Found(found.frame, found.table, found.rows, broken, good), [docket.finding(done)]

    def _match(self, found: _Found, docket: Docket) -> list[Taken]:
        rejected, bad = _rejected(found.broken), _quarantined(found.frame, found.broken)
        if bad is None or rejected is None:
            return []
        never, numbers = unwaivable(self.spec), rejected.arg_true().to_list()
        reasons = dict(zip(numbers, bad.get_column(REASONS).to_list(), strict=True))
        return [
            item
            for item in docket.match(bad, numbers)
            if docket.rulings[item.ruling].disposition is not Disposition.RELEASE
            or never.isdisjoint(reasons[item.row])
        ]

    def _unkept(self, found: _Found, released: Mapping[int, frozenset[str]]) -> Iterator[_Broken]:
        """The released rows that can't be kept beside the good ones, and beside those before them."""
        kept, rejected = dict(released), _rejected(found.broken)
        if rejected is None or not kept:
            return
        rules = [((name,), rule) for name, rule in self._unique]
        for columns, rule in [*rules, *([(self.spec.key, self._key)] if self.spec.key else [])]:
            again = _again(found.table.select(columns), ~rejected, sorted(kept))
            rows = {row for row in again if rule.id not in kept[row]}
            if rows:
                yield _Broken(rule, marked(rows, found.frame.height))
            if rule.on_fail == "quarantine":
                kept = {row: waived for row, waived in kept.items() if row not in rows}

    def completed(self, frame: Frame, columns: Sequence[str]) -> Frame:
        """`frame`, which has these columns, with the optional ones that it lacks as their defaults."""
        missing = [default for name, default in self._defaults.items() if name not in columns]
        return frame.with_columns(missing) if missing else frame

    def partition_keys(self) -> pl.Expr:
        """The partition key of each row of a file as it came, as text; null where it has none."""
        if self._cut.is_whole:
            return pl.lit(WHOLE)
        keys = partial(raw_keys, dtype=self._place.dtype, cut=self._cut)
        # Not marked as element-wise: Polars would call it for every chunk, that is for every file.
        return pl.col(self._place.name).map_batches(keys, return_dtype=pl.String)

    @property
    def _place(self) -> ColumnRules:
        """The column that tells the partition of a row."""
        return next(item for item in self.columns if item.name == self._cut.column)

    def masks(
        self, schema: Mapping[str, pl.DataType], partition: str | None
    ) -> tuple[list[Mask], list[OneOf]]:
        """The rules as masks over a `fitted` frame that came with a schema, in the order of `judge`."""
        masks = [
            mask
            for column in self.columns
            for mask in masks_of(column, schema[column.name], self._cut, partition)
        ]
        masks += [Mask(rule=query.rule, breaks=breaks_of(query.passes)) for query in self._queries]
        types = {column.name: column.dtype for column in self.columns}
        ones = [one_of(rule, (name,), types) for name, rule in self._unique]
        if self.spec.key:
            ones.append(one_of(self._key, self.spec.key, types))
        return masks, ones

    def unknown(self, given: list[str]) -> list[str]:
        """The columns that the contract doesn't name; ContractError when one that it names is missing."""
        if REASONS in given:
            raise ContractError(
                f"column {REASONS!r} is for the reasons of quarantined rows; rename or drop it"
            )
        if given == self._names:
            return []
        here, known = set(given), set(self._names)
        for name in self._names:
            if name not in here:
                raise ContractError(
                    f"column {name!r} of contract {self.spec.name} is missing "
                    f"({did_you_mean(name, given)})"
                )
        return [name for name in given if name not in known]

    def _fitted(self, frame: pl.DataFrame) -> tuple[list[_Fitted], pl.DataFrame]:
        """The contract's columns as they came (missing values are null) and in its types; and a table."""
        shaped = frame.columns == self._names
        columns = frame.get_columns() if shaped else map(frame.get_column, self._names)
        fitted = [
            fit(series, item.dtype) for series, item in zip(columns, self.columns, strict=True)
        ]
        if shaped and all(source is values for source, values in fitted):
            return fitted, frame
        return fitted, pl.DataFrame([values for _, values in fitted])

    def _broken_columns(
        self, fitted: list[_Fitted], table: pl.DataFrame, partition: str | None
    ) -> Iterator[_Broken]:
        for column, (source, values) in zip(self.columns, fitted, strict=True):
            if source is not values or not column.nullable:
                yield from _missing(column, source, values)
            if column.least is not None or column.most is not None:
                for query in _beyond(column, values):
                    yield from self._broken(table, query)
            if partition is not None and column.name == self._cut.column:
                yield from _misplaced(column, values, self._cut, partition)

    def _broken_queries(self, table: pl.DataFrame) -> Iterator[_Broken]:
        if not self._queries:
            return
        try:
            verdicts = table.select(self._all_pass).row(0)
        except PolarsError:
            # Looked at one by one, the rule that raises is named.
            for query in self._queries:
                self._rows(table, query)
            raise
        for query, passed in zip(self._queries, verdicts, strict=True):
            if not passed:
                yield from self._broken(table, query)

    def _broken(self, table: pl.DataFrame, query: Query) -> Iterator[_Broken]:
        rows = self._rows(table, query)
        if rows.any():
            yield _Broken(query.rule, rows)

    def _rows(self, table: pl.DataFrame, query: Query) -> pl.Series:
        """Which rows break a rule; a verdict on all rows at once (a mean) is one on each."""
        breaks = breaks_of(query.passes).alias("\0breaks")
        try:
            return table.with_columns(breaks).get_column("\0breaks")
        except PolarsError as error:
            raise broken_rule(self.spec, query.rule.id, error) from error

    def _repeated(self, table: pl.DataFrame, rejected: pl.Series | None) -> Iterator[_Broken]:
        identified = [_present(table.get_column(name)) for name in self.spec.key]
        among = reduce(and_, identified if rejected is None else [*identified, ~rejected])
        rows = repeats(table, self.spec.key, among)
        if rows.any():
            yield _Broken(self._key, rows)


@lru_cache(maxsize=256)
def _checker(spec: _Same) -> Checker:
    return Checker(spec.value)


class _Same:
    """A contract by its identity: comparing two contracts part by part costs more than a check."""

    __slots__ = ("value",)

    def __init__(self, value: ContractSpec) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value


def judge(
    frame: pl.DataFrame,
    spec: ContractSpec,
    *,
    partition: str | None = None,
    rulings: Sequence[Said] = (),
) -> Judged:
    """`Checker(spec).judge(...)` with the checker kept for the next call."""
    return checker_of(spec).judge(frame, partition=partition, rulings=rulings)


def checker_of(spec: ContractSpec) -> Checker:
    """The checker of a contract, made once and kept for the next call."""
    return _checker(_Same(spec))


def _missing(column: ColumnRules, source: pl.Series, values: pl.Series) -> Iterator[_Broken]:
    nulls = source.null_count()
    if values.null_count() > nulls:
        yield _Broken(column.type, values.is_null() & source.is_not_null())
    if column.nullable:
        return
    if nulls:
        yield _Broken(column.null, source.is_null())
    # The sum of a column without NaN is NaN only when it has infinities of both signs.
    if column.is_float and values.sum() != values.sum() and values.is_nan().any():
        yield _Broken(column.nan, values.is_nan().fill_null(False))


def _beyond(column: ColumnRules, values: pl.Series) -> Iterator[Query]:
    """The bounds that some value breaks; of a column without values the least is None."""
    if column.least is not None:
        bound, query, beyond = column.least
        least: Any = values.min()
        if least is not None and beyond(least, bound):
            yield query
    if column.most is not None:
        bound, query, beyond = column.most
        most: Any = values.max()
        if most is not None and beyond(most, bound):
            yield query


def _misplaced(
    column: ColumnRules, values: pl.Series, cut: Partitioning, partition: str
) -> Iterator[_Broken]:
    if not all_inside(values, cut, partition):
        yield _Broken(column.partition, outside(values, cut, partition).fill_null(False))


def _repeated_values(
    table: pl.DataFrame, name: str, rule: RowRule, rejected: pl.Series | None
) -> Iterator[_Broken]:
    """The rows whose value an earlier row has; rows that are rejected already take no value away."""
    values = table.get_column(name)
    # Nulls are one of the different values, if there are any.
    if values.n_unique() >= values.len() - max(values.null_count() - 1, 0):
        return
    among = _present(values) if rejected is None else _present(values) & ~rejected
    rows = repeats(table, (name,), among)
    if rows.any():
        yield _Broken(rule, rows)


def _present(series: pl.Series) -> pl.Series:
    present = series.is_not_null()
    return present & series.is_not_nan().fill_null(False) if series.dtype.is_float() else present


def _rejected(broken: Iterable[_Broken]) -> pl.Series | None:
    masks = [item.rows for item in broken if item.rule.on_fail == "quarantine"]
    return reduce(or_, masks) if masks else None


def _without(rows: pl.DataFrame, rejected: pl.Series | None) -> pl.DataFrame:
    return rows if rejected is None else rows.filter(~rejected)


def _again(table: pl.DataFrame, good: pl.Series, rows: Sequence[int]) -> list[int]:
    """Those of `rows` whose values a good row has, or one of them before it."""
    ordered = pl.concat([table.filter(good), table[rows]])
    among = reduce(and_, map(_present, ordered.get_columns()))
    repeated = repeats(ordered, table.columns, among)[-len(rows) :]
    return [row for row, is_so in zip(rows, repeated, strict=True) if is_so]


def _cleared(broken: Sequence[_Broken], cleared: pl.Series) -> list[_Broken]:
    """What is broken still by the rows that nobody cleared, each rule once."""
    rules = {item.rule.id: item.rule for item in broken}
    found: dict[str, pl.Series] = {}
    for item in broken:
        rows = item.rows & ~cleared if item.rule.on_fail == "quarantine" else item.rows
        known = found.get(item.rule.id)
        found[item.rule.id] = rows if known is None else known | rows
    return [_Broken(rules[name], rows) for name, rows in found.items() if rows.any()]


def _quarantined(frame: pl.DataFrame, broken: Sequence[_Broken]) -> pl.DataFrame | None:
    rejected = _rejected(broken)
    if rejected is None:
        return None
    reasons = reasons_of(
        (item.rule.id, item.rows.filter(rejected))
        for item in broken
        if item.rule.on_fail == "quarantine"
    )
    return frame.filter(rejected).with_columns(reasons)


def reasons_of(broken: Iterable[tuple[str, pl.Series]]) -> pl.Series:
    """The rules that each row breaks, in their order, of rules with the rows that break them."""
    rules = [pl.when(rows).then(pl.lit(rule)) for rule, rows in broken]
    return pl.select(pl.concat_list(rules).list.drop_nulls().alias(REASONS)).to_series()
