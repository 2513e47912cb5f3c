"""Check partitions against the rules that look beyond the partition, before they are published.

Rules compare with the keys or profiles of a table's other partitions, or with the values of another table.
These are read once a run, in the columns that the rule names, and kept up to date as the run publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from itertools import groupby

import numpy as np
import polars as pl

from tidemill.contracts.checks.table_findings import (
    drift_findings,
    is_partition_unique,
    median_findings,
    newest_time,
    reference_findings,
    unique_findings,
)
from tidemill.contracts.checks.value_index import ValueIndex, comparison_type
from tidemill.contracts.finding import Finding, TableFindings
from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.contracts.profiles.record import Grid, Profile
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import DriftRule, FreshnessRule, ReferenceRule, UniqueRule
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED
from tidemill.core.payload import Payload
from tidemill.ledger.binding import Binding, Product
from tidemill.runs.io.published_view import PublishedView
from tidemill.steps.io.partition_encoder import require_publishable
from tidemill.store.frames import FrameStore
from tidemill.workflow.references import reference_rules
from tidemill.workflow.stage import Flow, Stage


@dataclass(slots=True)
class _PartitionKeys:
    """The keys of a table's partitions, each partition with a number; replaced numbers name nothing."""

    keys: ValueIndex
    names: list[str] = field(default_factory=list)
    current: dict[str, int] = field(default_factory=dict)

    def renumber(self, partition: str) -> int:
        """Give the keys that a partition has from now on a new number."""
        self.names.append(partition)
        self.current[partition] = len(self.names) - 1
        return self.current[partition]

    def find_repeats(self, keys: pl.DataFrame, partition: str) -> dict[int, str]:
        """Return the rows whose values another partition has, with its name."""
        found = self.keys.find_matches(keys)
        return {
            row: self.names[owner]
            for row, owner in found.iter_rows()
            if self.names[owner] != partition and self.current.get(self.names[owner]) == owner
        }


@dataclass(frozen=True, slots=True)
class _ReferencedTable:
    """The values of another table, and the version of the head that has them."""

    keys: ValueIndex
    version: int


class PastProfiles:
    """Profiles published partitions, and one that is about to be; equal content only once.

    All profiles use the grids of the table's first partition: equal values are in equal bins, and
    findings depend on what is published, not on the run.
    """

    def __init__(self, published: PublishedView, frames: FrameStore) -> None:
        self._holdings = published
        self._frames = frames
        self._known: dict[tuple[str, str, tuple[str, ...]], Profile] = {}

    def compare(
        self, stage: str, partition: str, product: Product, frame: pl.DataFrame, *, count: int
    ) -> tuple[list[Profile], Profile | None]:
        """Return the profiles of at most `count` partitions before one, and its own; none if there are none.

        `frame` has the columns to profile. Partitions that lack one of them don't count.
        """
        columns = tuple(frame.columns)
        held = self._with_columns(self._holdings.bindings_before(stage, partition, count), columns)
        if not held:
            return [], None
        first = self._with_columns(self._holdings.first_binding(stage), columns) or held
        self._frames.require({stage: [*first, *held]})
        grid = first[0].product
        before = [self._profile(grid, one.product, columns) for one in held]
        return before, self._profile(grid, product, columns, frame)

    def _with_columns(self, held: Sequence[Binding], columns: tuple[str, ...]) -> list[Binding]:
        return [one for one in held if one.product.columns.keys() >= {*columns}]

    def _profile(
        self,
        first: Product,
        product: Product,
        columns: tuple[str, ...],
        frame: pl.DataFrame | None = None,
    ) -> Profile:
        key = (first.content, product.content, columns)
        if key not in self._known:
            own = product.content == first.content
            grids = None if own else self._profile(first, first, columns).grids
            stored = self._stored_profile(product, columns, grids) if frame is None else None
            if stored is None:
                rows = self._frames.columns(product, columns, None) if frame is None else frame
                stored = profile_frame(rows, grids)
            self._known[key] = stored
        return self._known[key]

    def _stored_profile(
        self, product: Product, columns: tuple[str, ...], grids: Mapping[str, Grid] | None
    ) -> Profile | None:
        """The profile that is stored with the rows, if it uses these grids; it saves reading them."""
        whole = self._frames.profile(product)
        by_name = {} if whole is None else {column.name: column for column in whole.columns}
        if whole is None or not by_name.keys() >= {*columns}:
            return None
        found = Profile(rows=whole.rows, columns=tuple(by_name[name] for name in columns))
        return found if grids is None or found.grids == grids else None


class TableChecker:
    """Checks the table rules of one run; `versions` are the current versions of the heads."""

    def __init__(
        self,
        flow: Flow,
        published: PublishedView,
        frames: FrameStore,
        versions: Mapping[str, int],
        settle: Callable[[], None],
    ) -> None:
        self._flow = flow
        self._holdings = published
        self._frames = frames
        self._versions = versions
        self._settle = settle
        self._others: dict[tuple[str, str], _PartitionKeys] = {}
        self._tables: dict[tuple[str, str], _ReferencedTable] = {}
        self._past = PastProfiles(published, frames)

    def check(
        self,
        stage: Stage,
        partition: str,
        product: Product,
        payload: Payload | None,
        *,
        rules: str,
        at: float,
    ) -> TableFindings | None:
        """Check a product that is to be published; None if its contract has no table rules.

        `payload` is its object while that isn't stored. ContractError when it must not be published.
        """
        spec = stage.output
        if spec is None or not spec.has_table_rules:
            return None
        heads = {stage.name: self._versions.get(stage.name, 0)}
        # Rows without a partition have no readers.
        if partition == UNPLACED:
            return TableFindings(at=at, heads=heads, rules=rules)
        names = _rule_columns(spec)
        frame = self._frames.columns(product, names, payload) if names else pl.DataFrame()
        findings = [
            *self._sizes(stage, partition, product),
            *self._findings(stage, partition, product, frame),
        ]
        require_publishable(stage, partition, findings)
        self._add_rows(stage, partition, frame)
        heads |= {name: self._table(stage, rule).version for name, rule in self._referred(stage)}
        ages = {column: newest_time(frame[column]) for column in _freshness_columns(spec)}
        return TableFindings(
            at=at,
            heads=heads,
            rules=rules,
            findings=tuple(findings),
            newest={column: moment for column, moment in ages.items() if moment is not None},
        )

    def remove(self, stage: Stage, partition: str) -> None:
        """Remove a partition's rows from the table."""
        for (name, _), others in self._others.items():
            if name == stage.name:
                others.current.pop(partition, None)

    def _sizes(self, stage: Stage, partition: str, product: Product) -> list[Finding]:
        assert stage.output is not None
        rule = stage.output.rows
        if rule is None or rule.vs_last is None:
            return []
        before = self._holdings.bindings_before(stage.name, partition, rule.vs_last)
        return median_findings(stage.output, product.rows, [b.product.rows for b in before])

    def _findings(
        self, stage: Stage, partition: str, product: Product, frame: pl.DataFrame
    ) -> Iterator[Finding]:
        spec = stage.output
        assert spec is not None
        for rule in spec.partition_rules:
            match rule:
                case UniqueRule():
                    others = self._others_of(stage, rule)
                    keys = others.keys.complete_rows(frame.select(rule.columns))
                    repeated = (
                        {}
                        if is_partition_unique(spec, rule)
                        else others.find_repeats(keys, partition)
                    )
                    yield from unique_findings(spec, rule, keys, repeated)
                case ReferenceRule():
                    known = self._table(stage, rule).keys
                    keys = known.complete_rows(frame.select(rule.columns))
                    table = stage.refers[rule.name]
                    yield from reference_findings(spec, rule, keys, known, table)
                case DriftRule():
                    own = frame.select(rule.columns)
                    before, now = self._past.compare(
                        stage.name, partition, product, own, count=rule.vs_last
                    )
                    if now is not None:
                        yield from drift_findings(spec, rule, before, now)
                case FreshnessRule():
                    pass  # freshness is about the head, and is checked when the run ends

    def _add_rows(self, stage: Stage, partition: str, frame: pl.DataFrame) -> None:
        """Add the rows to the table."""
        assert stage.output is not None
        for rule in stage.output.table_rules:
            if isinstance(rule, UniqueRule) and not is_partition_unique(stage.output, rule):
                others = self._others_of(stage, rule)
                others.keys.add(frame.select(rule.columns), others.renumber(partition))

    def _others_of(self, stage: Stage, rule: UniqueRule) -> _PartitionKeys:
        found = self._others.get((stage.name, rule.name))
        if found is None:
            assert stage.output is not None
            types = {name: stage.output.column(name).dtype for name in rule.columns}
            found = _PartitionKeys(
                ValueIndex({name: comparison_type(t, t) for name, t in types.items()})
            )
            if not is_partition_unique(stage.output, rule):
                bound = self._bound(stage.name)
                numbers = {key: found.renumber(key) for key in bound}
                self._fill(found.keys, bound, rule.columns, numbers)
            self._others[stage.name, rule.name] = found
        return found

    def _referred(self, stage: Stage) -> list[tuple[str, ReferenceRule]]:
        return [(stage.refers[rule.name], rule) for rule in reference_rules(stage)]

    def _table(self, stage: Stage, rule: ReferenceRule) -> _ReferencedTable:
        found = self._tables.get((stage.name, rule.name))
        if found is None:
            other = self._flow[stage.refers[rule.name]]
            assert stage.output is not None
            assert other.output is not None
            keys = ValueIndex(
                {
                    name: comparison_type(
                        stage.output.column(name).dtype, other.output.column(to).dtype
                    )
                    for name, to in zip(rule.columns, rule.to, strict=True)
                }
            )
            # The whole table is computed by now; once it is stored, the head's version has it.
            self._settle()
            bound = self._bound(other.name)
            self._fill(keys, bound, rule.to, dict.fromkeys(bound, 0))
            found = _ReferencedTable(keys, self._versions.get(other.name, 0))
            self._tables[stage.name, rule.name] = found
        return found

    def _bound(self, stage: str) -> dict[str, Binding]:
        noted = self._holdings.noted.get(stage, {})
        return {key: held for key, held in noted.items() if held is not None and key != UNPLACED}

    def _fill(
        self,
        keys: ValueIndex,
        bound: Mapping[str, Binding],
        columns: Sequence[str],
        numbers: Mapping[str, int],
    ) -> None:
        """Add the values of published partitions, except of those without these columns."""
        having = [
            (held.recipe, key)
            for key, held in bound.items()
            if held.product.columns.keys() >= {*columns}
        ]
        # Partitions of one recipe have the same column types.
        for _, group in groupby(sorted(having), key=lambda item: item[0]):
            names = [key for _, key in group]
            parts = [bound[key] for key in names]
            rows = [held.product.rows for held in parts]
            owners = np.repeat([numbers[key] for key in names], rows).astype(np.uint32)
            keys.add(self._frames.all_columns(parts, columns), pl.Series(owners))


def _rule_columns(spec: ContractSpec) -> list[str]:
    """The columns that table rules read."""
    rules = [rule.columns for rule in spec.partition_rules if not isinstance(rule, FreshnessRule)]
    return list(
        dict.fromkeys([*(name for names in rules for name in names), *_freshness_columns(spec)])
    )


def _freshness_columns(spec: ContractSpec) -> list[str]:
    return [rule.column for rule in spec.table_rules if isinstance(rule, FreshnessRule)]
