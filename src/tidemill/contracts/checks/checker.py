"""Check the rows of a partition against their contract: split good rows from bad ones, with reasons.

A clean partition needs a single pass: the null count, minimum and maximum of a column decide most of its
rules, one fused query decides the rest, and rows are only sorted if they aren't in order. Only broken
rules are evaluated row by row.

Uniqueness is checked last, among the rows that no earlier rule rejects: columns in their order, then the
key. So a bad row never displaces a good one with the same key, and released rows come after all others. A
missing optional column is filled first and then checked like the others. A rule that aggregates over rows
(a mean, a rank) sees all rows of the input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache, partial, reduce
from operator import and_, or_
from typing import TypeVar

import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.query.partitionwise import is_row_wise
from tidemill.contracts.checks.broken_columns import (
    broken_bounds,
    broken_missing,
    broken_partition,
)
from tidemill.contracts.checks.broken_rules import (
    BrokenRule,
    quarantined_rows,
    rejected_rows,
    without_cleared,
    without_rows,
)
from tidemill.contracts.checks.casts import cast_column, has_value
from tidemill.contracts.checks.findings import (
    budget_findings,
    evaluated_finding,
    rows_findings,
    undeclared_column_findings,
)
from tidemill.contracts.checks.partition_column import (
    are_all_inside,
    partition_keys,
    raw_partition_keys,
    split_by_partition,
)
from tidemill.contracts.checks.row_order import repeated_rows, sort_by_key
from tidemill.contracts.checks.row_rules import (
    ColumnRules,
    RowRule,
    RuleQuery,
    column_rules,
    default_series,
    expression_rules,
    key_rule,
    rule_error,
)
from tidemill.contracts.checks.rule_masks import (
    Mask,
    UniquenessMask,
    column_masks,
    uniqueness_mask,
    violates,
)
from tidemill.contracts.checks.ruled_rows import REASONS as REASONS
from tidemill.contracts.checks.ruled_rows import (
    MatchedRow,
    ResolvedRuling,
    RulingMatcher,
    row_mask,
    unwaivable_rules,
)
from tidemill.contracts.checks.text_cells import without_marks
from tidemill.contracts.finding import Finding
from tidemill.contracts.row_ruling import Disposition
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError, did_you_mean
from tidemill.core.identity import ByIdentity
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED, WHOLE

# An unconverted column and its cast to the contract's type; the same object if nothing was cast.
_Fitted = tuple[pl.Series, pl.Series]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPartition:
    """The good and the bad rows of a partition.

    `good` has the contract's columns (and unknown ones that are kept) in the contract's types and
    order, sorted by key. `bad` has the quarantined rows, unconverted and in their original order, and a
    column `_reasons` (List(String)) of the rules that rejected them; None if there are none. A finding
    with severity "fail" means that the partition must not be published.
    """

    good: pl.DataFrame
    bad: pl.DataFrame | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """The rows unconverted and cast, the rules that they break, and the good rows."""

    frame: pl.DataFrame
    table: pl.DataFrame
    rows: pl.DataFrame
    broken: list[BrokenRule]
    good: pl.DataFrame


Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)


class Checker:
    """A compiled contract that checks many partitions; ContractError if it can't be compiled."""

    def __init__(self, spec: ContractSpec) -> None:
        self.spec = spec
        self._names = list(spec.names)
        self._partitioning = spec.partitioning
        self.columns = column_rules(spec)
        self._key = key_rule(spec)
        self._reads_text = any(column.text.cells for column in self.columns)
        self._unique = [(column.name, column.unique) for column in self.columns if column.unique]
        self._defaults = {
            column.name: pl.lit(default_series(column, rules.dtype)).first().alias(column.name)
            for column, rules in zip(spec.columns, self.columns, strict=True)
            if column.optional
        }
        of_columns = (query for column in self.columns for query in column.queries)
        self._queries = (*of_columns, *expression_rules(spec))
        self._all_pass = [
            query.passes.all(ignore_nulls=True).alias(str(index))
            for index, query in enumerate(self._queries)
        ]

    def check(
        self,
        frame: pl.DataFrame,
        *,
        partition: str | None = None,
        rulings: Sequence[ResolvedRuling] = (),
    ) -> CheckedPartition:
        """Check all rows of one partition against every rule except table rules.

        `partition` is its key (None: rows may belong to any), `rulings` the rulings on its rows, newest
        last. ContractError if columns are missing or a rule raises.
        """
        if self._defaults:
            frame = self.fill_defaults(frame, frame.columns)
        unknown = self.undeclared_columns(frame.columns)
        found = self._check(frame, unknown, partition)
        ruled: list[Finding] = []
        if rulings:
            found, ruled = self._apply_rulings(
                found, unknown, partition, RulingMatcher(rulings, frame.height)
            )
        frame, good, bad = found.frame, found.good, self._bad_rows(found)
        findings = [evaluated_finding(item.rule, frame, item.rows) for item in found.broken]
        findings += undeclared_column_findings(self.spec, unknown, frame.height)
        # Rows without a partition are all bad: their share of the source is judged, not of these.
        if partition != UNPLACED:
            findings += budget_findings(self.spec, frame.height, 0 if bad is None else bad.height)
            findings += rows_findings(self.spec, good.height)
        return CheckedPartition(good=good, bad=bad, findings=(*findings, *ruled))

    def clean_partitions(self, frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
        """Return the partitions in a frame whose rows all pass, by key.

        Their only findings are `row_count_findings`. Other partitions must be checked one by one, and so
        must all partitions if a rule compares rows of different partitions.
        """
        frame = self.fill_defaults(frame, frame.columns)
        if not self._is_partitionwise or self.undeclared_columns(frame.columns):
            return {}
        found = self._check(frame, (), None)
        parts = split_by_partition(found.good, self._partitioning)
        if found.broken:
            broken = reduce(or_, (item.rows for item in found.broken))
            keys = partition_keys(
                found.table.get_column(self._partitioning.column), self._partitioning
            )
            for key in keys.filter(broken).unique():
                parts.pop(key, None)
        return parts

    def matches_partitions(self, rows: Mapping[str, pl.DataFrame]) -> bool:
        """Whether frames of partitions have the same schema, and each has only rows of its partition."""
        partitioning, first = self._partitioning, next(iter(rows.values()))
        # Names and types are compared four times as fast as schemas.
        names, types = first.columns, first.dtypes
        of_key = dict(zip(names, types, strict=True)).get(partitioning.column)
        if not self._is_partitionwise or of_key != self._partition_column.dtype:
            return False
        return all(
            (frame.columns, frame.dtypes) == (names, types)
            and not frame.get_column(partitioning.column).null_count()
            and are_all_inside(frame.get_column(partitioning.column), partitioning, partition)
            for partition, frame in rows.items()
        )

    def row_count_findings(self, rows: int) -> tuple[Finding, ...]:
        """Return the findings of a partition with this many rows that all pass."""
        return tuple(rows_findings(self.spec, rows))

    @cached_property
    def _is_partitionwise(self) -> bool:
        """Whether the result for a row is independent of rows of other partitions."""
        schema = {column.name: column.dtype for column in self.columns}
        kept = self.spec.unknown_columns == "keep"
        keyed = self._partitioning.column in self.spec.key
        alone = kept or not keyed or self._unique
        return not alone and all(is_row_wise(query.passes, schema) for query in self._queries)

    def _check(
        self, frame: pl.DataFrame, unknown: Sequence[str], partition: str | None
    ) -> _Evaluation:
        fitted, table = self._cast(frame)
        broken = [*self._broken_columns(fitted, table, partition), *self._broken_queries(table)]
        for name, rule in self._unique:
            broken += _repeated_values(table, name, rule, rejected_rows(broken))
        rows = table
        if unknown and self.spec.unknown_columns == "keep":
            rows = table.hstack(self._as_it_came(frame.select(unknown)))
        good, unique = sort_by_key(without_rows(rows, rejected_rows(broken)), self.spec.key)
        if not unique:
            repeated = self._repeated_keys(table, rejected_rows(broken))
            broken += repeated
            good, _ = sort_by_key(without_rows(rows, rejected_rows(broken)), self.spec.key)
        return _Evaluation(frame, table, rows, broken, good)

    def _apply_rulings(
        self,
        found: _Evaluation,
        unknown: Sequence[str],
        partition: str | None,
        docket: RulingMatcher,
    ) -> tuple[_Evaluation, list[Finding]]:
        """Apply rulings to the rows, and report what they did."""
        taken = self._match(found, docket)
        while replaced := [
            t for t in taken if docket.rulings[t.ruling].disposition is Disposition.REPLACE
        ]:
            frame = docket.replace_rows(found.frame, replaced, self.spec)
            found = self._check(frame, unknown, partition)
            taken = self._match(found, docket)
        dropped = {t.row for t in taken if docket.rulings[t.ruling].disposition is Disposition.DROP}
        never = unwaivable_rules(self.spec)
        released = {t.row: docket.waived_rules(t) - never for t in taken if t.row not in dropped}
        conflicts = [*self._release_conflicts(found, released)]
        for item in conflicts:
            for row in item.rows.arg_true() if item.rule.on_fail == "quarantine" else ():
                released.pop(row, None)
        cleared = row_mask({*dropped, *released}, found.frame.height)
        broken = without_cleared([*found.broken, *conflicts], cleared)
        rejected = rejected_rows(broken)
        gone = row_mask(dropped, found.frame.height)
        good = found.rows.filter(~gone if rejected is None else ~(gone | rejected))
        done = [t for t in taken if t.row in dropped or t.row in released]
        good, _ = sort_by_key(good, self.spec.key)
        return _Evaluation(found.frame, found.table, found.rows, broken, good), [
            docket.summary(done)
        ]

    def _bad_rows(self, found: _Evaluation) -> pl.DataFrame | None:
        bad = quarantined_rows(found.frame, found.broken)
        return None if bad is None else self._as_it_came(bad)

    def _as_it_came(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows without the marks of damaged cells, which only text files have."""
        return without_marks(rows) if self._reads_text else rows

    def _match(self, found: _Evaluation, docket: RulingMatcher) -> list[MatchedRow]:
        rejected, bad = rejected_rows(found.broken), self._bad_rows(found)
        if bad is None or rejected is None:
            return []
        never, numbers = unwaivable_rules(self.spec), rejected.arg_true().to_list()
        reasons = dict(zip(numbers, bad.get_column(REASONS).to_list(), strict=True))
        return [
            item
            for item in docket.match(bad, numbers)
            if docket.rulings[item.ruling].disposition is not Disposition.RELEASE
            or never.isdisjoint(reasons[item.row])
        ]

    def _release_conflicts(
        self, found: _Evaluation, released: Mapping[int, frozenset[str]]
    ) -> Iterator[BrokenRule]:
        """Yield the uniqueness rules broken by released rows that repeat a good or earlier released row."""
        kept, rejected = dict(released), rejected_rows(found.broken)
        if rejected is None or not kept:
            return
        rules = [((name,), rule) for name, rule in self._unique]
        for columns, rule in [*rules, *([(self.spec.key, self._key)] if self.spec.key else [])]:
            repeats = _repeating_rows(found.table.select(columns), ~rejected, sorted(kept))
            rows = {row for row in repeats if rule.id not in kept[row]}
            if rows:
                yield BrokenRule(rule, row_mask(rows, found.frame.height))
            if rule.on_fail == "quarantine":
                kept = {row: waived for row, waived in kept.items() if row not in rows}

    def fill_defaults(self, frame: Frame, columns: Sequence[str]) -> Frame:
        """Add missing optional columns, with their defaults, to a frame that has these columns."""
        missing = [default for name, default in self._defaults.items() if name not in columns]
        return frame.with_columns(missing) if missing else frame

    def partition_keys(self) -> pl.Expr:
        """Return an expression for the partition key of each row of a file, as text; null if it has none."""
        if self._partitioning.is_whole:
            return pl.lit(WHOLE)
        keys = partial(
            raw_partition_keys,
            dtype=self._partition_column.dtype,
            partitioning=self._partitioning,
            text=self._partition_column.text,
        )
        # Not marked as element-wise, or Polars would call it for every chunk, that is for every file.
        return pl.col(self._partition_column.name).map_batches(keys, return_dtype=pl.String)

    @property
    def _partition_column(self) -> ColumnRules:
        return next(item for item in self.columns if item.name == self._partitioning.column)

    def masks(
        self, schema: Mapping[str, pl.DataType], partition: str | None
    ) -> tuple[list[Mask], list[UniquenessMask]]:
        """Return the rules as masks over a cast frame with this input schema, in the order of `check`."""
        masks = [
            mask
            for column in self.columns
            for mask in column_masks(column, schema[column.name], self._partitioning, partition)
        ]
        masks += [
            Mask(rule=query.rule, violation=violates(query.passes)) for query in self._queries
        ]
        types = {column.name: column.dtype for column in self.columns}
        ones = [uniqueness_mask(rule, (name,), types) for name, rule in self._unique]
        if self.spec.key:
            ones.append(uniqueness_mask(self._key, self.spec.key, types))
        return masks, ones

    def undeclared_columns(self, names: list[str]) -> list[str]:
        """Return the undeclared columns; ContractError if a declared column is missing."""
        if REASONS in names:
            raise ContractError(
                f"column name {REASONS!r} is reserved for the reasons of quarantined rows; rename or drop it"
            )
        if names == self._names:
            return []
        here, known = set(names), set(self._names)
        for name in self._names:
            if name not in here:
                raise ContractError(
                    f"column {name!r} of contract {self.spec.name} is missing "
                    f"({did_you_mean(name, names)})"
                )
        return [name for name in names if name not in known]

    def _cast(self, frame: pl.DataFrame) -> tuple[list[_Fitted], pl.DataFrame]:
        """Return the columns unconverted (missing values are null) and cast, and the cast table."""
        shaped = frame.columns == self._names
        columns = frame.get_columns() if shaped else list(map(frame.get_column, self._names))
        fitted = [
            cast_column(series, item.dtype, item.text)
            for series, item in zip(columns, self.columns, strict=True)
        ]
        if shaped and all(
            given is values for given, (_, values) in zip(columns, fitted, strict=True)
        ):
            return fitted, frame
        return fitted, pl.DataFrame([values for _, values in fitted])

    def _broken_columns(
        self, fitted: list[_Fitted], table: pl.DataFrame, partition: str | None
    ) -> Iterator[BrokenRule]:
        for column, (source, values) in zip(self.columns, fitted, strict=True):
            if source is not values or not column.nullable:
                yield from broken_missing(column, source, values)
            if column.lower is not None or column.upper is not None:
                for query in broken_bounds(column, values):
                    yield from self._broken(table, query)
            if partition is not None and column.name == self._partitioning.column:
                yield from broken_partition(column, values, self._partitioning, partition)

    def _broken_queries(self, table: pl.DataFrame) -> Iterator[BrokenRule]:
        if not self._queries:
            return
        try:
            verdicts = table.select(self._all_pass).row(0)
        except PolarsError:
            # Evaluate the rules one by one, so that the error names the rule that raises.
            for query in self._queries:
                self._rows(table, query)
            raise
        for query, passed in zip(self._queries, verdicts, strict=True):
            if not passed:
                yield from self._broken(table, query)

    def _broken(self, table: pl.DataFrame, query: RuleQuery) -> Iterator[BrokenRule]:
        rows = self._rows(table, query)
        if rows.any():
            yield BrokenRule(query.rule, rows)

    def _rows(self, table: pl.DataFrame, query: RuleQuery) -> pl.Series:
        """Mark the rows that break a rule; an aggregate (a mean) applies to every row."""
        breaks = violates(query.passes).alias("\0breaks")
        try:
            return table.with_columns(breaks).get_column("\0breaks")
        except PolarsError as error:
            raise rule_error(self.spec, query.rule.id, error) from error

    def _repeated_keys(
        self, table: pl.DataFrame, rejected: pl.Series | None
    ) -> Iterator[BrokenRule]:
        identified = [has_value(table.get_column(name)) for name in self.spec.key]
        among = reduce(and_, identified if rejected is None else [*identified, ~rejected])
        rows = repeated_rows(table, self.spec.key, among)
        if rows.any():
            yield BrokenRule(self._key, rows)


@lru_cache(maxsize=256)
def _cached_checker(key: ByIdentity[ContractSpec]) -> Checker:
    # Comparing two contracts by value costs more than a check.
    (spec,) = key.values
    return Checker(spec)


def check_rows(
    frame: pl.DataFrame,
    spec: ContractSpec,
    *,
    partition: str | None = None,
    rulings: Sequence[ResolvedRuling] = (),
) -> CheckedPartition:
    """Check rows with the cached checker of a contract; see `Checker.check`."""
    return checker_of(spec).check(frame, partition=partition, rulings=rulings)


def checker_of(spec: ContractSpec) -> Checker:
    """Return the cached checker of a contract."""
    return _cached_checker(ByIdentity(spec))


def _repeated_values(
    table: pl.DataFrame, name: str, rule: RowRule, rejected: pl.Series | None
) -> Iterator[BrokenRule]:
    """Yield the rule if rows repeat the value of an earlier row; rejected rows don't count as earlier."""
    values = table.get_column(name)
    # All nulls together count as one distinct value.
    if values.n_unique() >= values.len() - max(values.null_count() - 1, 0):
        return
    among = has_value(values) if rejected is None else has_value(values) & ~rejected
    rows = repeated_rows(table, (name,), among)
    if rows.any():
        yield BrokenRule(rule, rows)


def _repeating_rows(table: pl.DataFrame, good: pl.Series, rows: Sequence[int]) -> list[int]:
    """Return the members of `rows` that repeat the values of a good row or of an earlier member."""
    ordered = pl.concat([table.filter(good), table[rows]])
    among = reduce(and_, map(has_value, ordered.get_columns()))
    repeated = repeated_rows(ordered, table.columns, among)[-len(rows) :]
    return [row for row, is_so in zip(rows, repeated, strict=True) if is_so]
