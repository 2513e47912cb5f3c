"""Judge what is to be published by the rules that look beyond it, against what is published by then.

What a rule is held against (the keys of a table's other partitions, the values of another table) is read
once a run, in the columns that the rule names, and kept up as the run publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import polars as pl

from tidemill.contracts.checks.table_findings import (
    apart,
    drift_findings,
    median_findings,
    newest,
    reference_findings,
    unique_findings,
)
from tidemill.contracts.checks.value_index import Index, common_type
from tidemill.contracts.finding import Finding, Verdict
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import DriftRule, FreshnessRule, ReferenceRule, UniqueRule
from tidemill.core.partition import UNPLACED
from tidemill.ledger.binding import Binding, Product
from tidemill.runs.io.past_profiles import Past
from tidemill.runs.io.published_view import PublishedView
from tidemill.steps.io.data_step import refuse
from tidemill.store.frames import Frames
from tidemill.workflow.references import references
from tidemill.workflow.stage import Flow, Stage


@dataclass(slots=True)
class _Others:
    """The keys of a table's partitions, each under a number of its own; an old number names nothing."""

    keys: Index
    names: list[str] = field(default_factory=list)
    current: dict[str, int] = field(default_factory=dict)

    def number(self, partition: str) -> int:
        """A new number for what a partition holds from now on."""
        self.names.append(partition)
        self.current[partition] = len(self.names) - 1
        return self.current[partition]

    def repeated(self, keys: pl.DataFrame, partition: str) -> dict[int, str]:
        """The rows whose values another partition holds, with its name."""
        found = self.keys.matches(keys)
        return {
            row: self.names[owner]
            for row, owner in found.iter_rows()
            if self.names[owner] != partition and self.current.get(self.names[owner]) == owner
        }


@dataclass(frozen=True, slots=True)
class _Table:
    """The values of another table, and the version of its head that had them."""

    keys: Index
    version: int


class Bench:
    """Gives the verdicts of one run; `versions` are those that the heads have by now."""

    def __init__(
        self,
        flow: Flow,
        holdings: PublishedView,
        frames: Frames,
        versions: Mapping[str, int],
        settle: Callable[[], None],
    ) -> None:
        self._flow = flow
        self._holdings = holdings
        self._frames = frames
        self._versions = versions
        self._settle = settle
        self._others: dict[tuple[str, str], _Others] = {}
        self._tables: dict[tuple[str, str], _Table] = {}
        self._past = Past(holdings, frames)

    def verdict(
        self,
        stage: Stage,
        partition: str,
        product: Product,
        payload: bytes | None,
        *,
        rules: str,
        at: float,
    ) -> Verdict | None:
        """The verdict on a product that is to be published; None without a rule that looks further.

        `payload` is its object while that isn't stored. ContractError when it must not be published.
        """
        spec = stage.output
        if spec is None or not spec.looks_further:
            return None
        heads = {stage.name: self._versions.get(stage.name, 0)}
        # Rows without a place are read by nobody.
        if partition == UNPLACED:
            return Verdict(at=at, heads=heads, rules=rules)
        names = _named(spec)
        frame = self._frames.columns(product, names, payload) if names else pl.DataFrame()
        findings = [
            *self._sizes(stage, partition, product),
            *self._found(stage, partition, product, frame),
        ]
        refuse(stage, partition, findings)
        self._keep(stage, partition, frame)
        heads |= {name: self._table(stage, rule).version for name, rule in self._referred(stage)}
        ages = {column: newest(frame[column]) for column in _aging(spec)}
        return Verdict(
            at=at,
            heads=heads,
            rules=rules,
            findings=tuple(findings),
            newest={column: moment for column, moment in ages.items() if moment is not None},
        )

    def removed(self, stage: Stage, partition: str) -> None:
        """What a partition held is no longer in the table."""
        for (name, _), others in self._others.items():
            if name == stage.name:
                others.current.pop(partition, None)

    def _sizes(self, stage: Stage, partition: str, product: Product) -> list[Finding]:
        assert stage.output is not None
        rule = stage.output.rows
        if rule is None or rule.vs_last is None:
            return []
        before = self._holdings.before(stage.name, partition, rule.vs_last)
        return median_findings(stage.output, product.rows, [b.product.rows for b in before])

    def _found(
        self, stage: Stage, partition: str, product: Product, frame: pl.DataFrame
    ) -> Iterator[Finding]:
        spec = stage.output
        assert spec is not None
        for rule in spec.wider:
            match rule:
                case UniqueRule():
                    others = self._of(stage, rule)
                    keys = others.keys.fitted(frame.select(rule.columns))
                    repeated = {} if apart(spec, rule) else others.repeated(keys, partition)
                    yield from unique_findings(spec, rule, keys, repeated)
                case ReferenceRule():
                    known = self._table(stage, rule).keys
                    keys = known.fitted(frame.select(rule.columns))
                    table = stage.refers[rule.name]
                    yield from reference_findings(spec, rule, keys, known, table)
                case DriftRule():
                    own = frame.select(rule.columns)
                    before, now = self._past.beside(
                        stage.name, partition, product, own, count=rule.vs_last
                    )
                    if now is not None:
                        yield from drift_findings(spec, rule, before, now)
                case FreshnessRule():
                    pass  # it is about the head, whenever a run ends

    def _keep(self, stage: Stage, partition: str, frame: pl.DataFrame) -> None:
        """From now on the rows belong to the table."""
        assert stage.output is not None
        for rule in stage.output.wider:
            if isinstance(rule, UniqueRule) and not apart(stage.output, rule):
                others = self._of(stage, rule)
                others.keys.add(frame.select(rule.columns), others.number(partition))

    def _of(self, stage: Stage, rule: UniqueRule) -> _Others:
        found = self._others.get((stage.name, rule.name))
        if found is None:
            assert stage.output is not None
            types = {name: stage.output.column(name).dtype for name in rule.columns}
            found = _Others(Index({name: common_type(t, t) for name, t in types.items()}))
            if not apart(stage.output, rule):
                bound = self._bound(stage.name)
                numbers = {key: found.number(key) for key in bound}
                self._fill(found.keys, bound, rule.columns, numbers)
            self._others[stage.name, rule.name] = found
        return found

    def _referred(self, stage: Stage) -> list[tuple[str, ReferenceRule]]:
        return [(stage.refers[rule.name], rule) for rule in references(stage)]

    def _table(self, stage: Stage, rule: ReferenceRule) -> _Table:
        found = self._tables.get((stage.name, rule.name))
        if found is None:
            other = self._flow[stage.refers[rule.name]]
            assert stage.output is not None
            assert other.output is not None
            keys = Index(
                {
                    name: common_type(
                        stage.output.column(name).dtype, other.output.column(to).dtype
                    )
                    for name, to in zip(rule.columns, rule.to, strict=True)
                }
            )
            # All of it is made by now; when it is stored, too, its version is the one that has it.
            self._settle()
            bound = self._bound(other.name)
            self._fill(keys, bound, rule.to, dict.fromkeys(bound, 0))
            found = _Table(keys, self._versions.get(other.name, 0))
            self._tables[stage.name, rule.name] = found
        return found

    def _bound(self, stage: str) -> dict[str, Binding]:
        noted = self._holdings.noted.get(stage, {})
        return {key: held for key, held in noted.items() if held is not None and key != UNPLACED}

    def _fill(
        self,
        keys: Index,
        bound: Mapping[str, Binding],
        columns: Sequence[str],
        numbers: Mapping[str, int],
    ) -> None:
        """Keep the values of published partitions; one from before it had these columns has none."""
        having = [
            (held.recipe, key)
            for key, held in bound.items()
            if held.product.columns.keys() >= {*columns}
        ]
        # Under one recipe a column has one type.
        for _, group in groupby(sorted(having), key=lambda item: item[0]):
            names = [key for _, key in group]
            parts = [bound[key] for key in names]
            rows = [held.product.rows for held in parts]
            owners = np.repeat([numbers[key] for key in names], rows).astype(np.uint32)
            keys.add(self._frames.all_columns(parts, columns), pl.Series(owners))


def _named(spec: ContractSpec) -> list[str]:
    """The columns that have to be looked at."""
    rules = [rule.columns for rule in spec.wider if not isinstance(rule, FreshnessRule)]
    return list(dict.fromkeys([*(name for names in rules for name in names), *_aging(spec)]))


def _aging(spec: ContractSpec) -> list[str]:
    return [rule.column for rule in spec.wider if isinstance(rule, FreshnessRule)]
