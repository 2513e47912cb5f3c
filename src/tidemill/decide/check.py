"""Check a partition's rows against their contract: those that pass, those that don't, and why.

A clean partition takes one look at each column and no second pass: the number of nulls, the least and
the greatest value settle most rules, the rest is one fused query, and the key is checked before
anything is sorted. Only rules that are seen to be broken are looked at row by row.

Keys are judged last, among the rows that no other rule rejects: a broken row never costs a good one
with the same key its place. A rule that looks at other rows (a mean, a rank) sees all rows at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import or_
from statistics import median
from typing import TypeAlias

import polars as pl

from tidemill.decide.cut import all_inside, keys_of, outside
from tidemill.decide.fit import fit
from tidemill.decide.order import by_key, repeats
from tidemill.decide.rules import (
    ColumnRules,
    RowRule,
    broken_rule,
    column_rules,
    expression_rules,
    key_rule,
)
from tidemill.domain.contract import ContractSpec, Rows
from tidemill.domain.errors import ContractError, did_you_mean
from tidemill.domain.finding import Finding
from tidemill.domain.partition import UNPLACED, Partitioning

REASONS = "_reasons"
_SHOWN = 3

# A rule that is broken, and by which rows.
Broken: TypeAlias = "tuple[RowRule, pl.Series]"


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


class Checker:
    """A contract made ready to judge many partitions; ContractError when it can't be checked."""

    def __init__(self, spec: ContractSpec) -> None:
        self._spec = spec
        self._names = list(spec.names)
        self._known = frozenset(spec.names)
        self._cut = spec.partitioning
        self._columns = column_rules(spec)
        columns = (rule for column in self._columns for rule in column.others)
        self._fused = (*columns, *expression_rules(spec))
        self._all_pass = [
            _passes(rule).all(ignore_nulls=True).alias(str(index))
            for index, rule in enumerate(self._fused)
        ]
        self._key = key_rule(spec)

    def judge(
        self, frame: pl.DataFrame, *, partition: str | None = None, history: Sequence[int] = ()
    ) -> Judged:
        """Judge all rows of one partition.

        `partition` is its key (None: rows may belong to any). `history` are the row counts of the
        partitions before it, newest last. ContractError when columns are missing or a rule raises.
        """
        unknown = self._unknown(frame)
        missing, table = self._fitted(frame)
        broken = [*self._broken(frame, missing, table, partition)]
        rejected = _rejected(broken)
        # Rows that are refused by a `fail` rule stay: the caller publishes none of them.
        rows = self._with_kept(frame, table, unknown)
        kept = rows if rejected is None else rows.filter(~rejected)
        good, unique = by_key(kept, self._spec.key)
        if not unique:
            among = self._identified(table, rejected)
            repeated = repeats(table, self._spec.key, among)
            if repeated.any():
                broken.append((self._key, repeated))
                rejected = repeated if rejected is None else rejected | repeated
                good = by_key(rows.filter(~rejected), self._spec.key)[0]
        bad = None if rejected is None else _quarantined(frame, rejected, broken)
        findings = [_finding(self._spec, rule, frame, rows) for rule, rows in broken]
        findings += self._unknown_findings(unknown, frame)
        if partition != UNPLACED:
            findings += self._budget_findings(frame.height, bad)
            findings += _rows_findings(self._spec, good.height, history)
        return Judged(good=good, bad=bad, findings=tuple(findings))

    def partition_keys(self) -> pl.Expr:
        """The partition key of each row of a file as it came, as text; null where it has none."""
        if self._cut.is_whole:
            return pl.lit(keys_of(pl.Series([None]), self._cut).item())
        column = next(c for c in self._columns if c.name == self._cut.column)
        return pl.col(column.name).map_batches(
            _Keys(column=column, cut=self._cut), return_dtype=pl.String, is_elementwise=True
        )
