"""The tables of one case: given rows, generated rows, and what stages compute from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Literal
from zlib import crc32

import numpy as np
import polars as pl

from tidemill.cases.case_faults import upstream_of
from tidemill.cases.case_partitions import (
    Moments,
    default_keys,
    partition_moments,
    spread_moments,
)
from tidemill.cases.cell_values import CellError, source_table, typed_table
from tidemill.cases.stage_case import SYNTHETIC_ROWS, GivenTable, StageCase
from tidemill.cases.synthetic_columns import complete_rows, generate_rows
from tidemill.cases.table_rules import table_rule_findings
from tidemill.contracts.checks.checker import REASONS, CheckedPartition, checker_of
from tidemill.contracts.finding import Finding
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import Budget
from tidemill.core.errors import StepError
from tidemill.core.identity import ByIdentity
from tidemill.core.partition import UNPLACED, WHOLE, Grain, place_name
from tidemill.folds.partials import partials_query, result_query
from tidemill.memos.io.in_memory import InMemoryMemos
from tidemill.memos.io.lookup import MemoSession
from tidemill.reuse.recipe import all_input_columns
from tidemill.sources.text_files import text_contract
from tidemill.steps.io.audit_watch import AuditWatch
from tidemill.steps.io.invocation import TransformCaller, call_stage, collect_query
from tidemill.steps.io.partition_encoder import require_publishable
from tidemill.workflow.partition_mapping import (
    output_partitions,
    partitionings_of,
    visible_partitions,
    visible_to_unpartitioned,
)
from tidemill.workflow.source import Files
from tidemill.workflow.stage import DATA, Flow, Input, Kind, Stage
from tidemill.workflow.window import Window

# By partition, the rows that a stage publishes.
Parts = dict[str, pl.DataFrame]
# Bad rows of different partitions and sources may differ in their types.
_CONCAT: Literal["diagonal_relaxed"] = "diagonal_relaxed"
_ADVICE = "give rows that belong together, or the partition of the case"


class CaseTables:
    """Computes the tables of one case when they are asked for, each once.

    `broken` has the rules that rows of each stage broke, `computed` the stages that were computed or whose
    given rows were checked. `readers` are the contracts with which texts are read, which cases share.
    """

    def __init__(
        self, flow: Flow, case: StageCase, readers: dict[tuple[str, bool], ContractSpec]
    ) -> None:
        self.flow = flow
        self.case = case
        self._readers = readers
        self.broken: defaultdict[str, set[str]] = defaultdict(set)
        self.computed: list[str] = []
        self.notes: list[str] = []
        self.cuts = partitionings_of(flow)
        self._parts: dict[str, Parts] = {}
        self._bad: defaultdict[str, list[pl.DataFrame]] = defaultdict(list)
        self._open: set[str] = set()
        self._caller = TransformCaller({})
        self._memos = InMemoryMemos()
        self._moments: Moments | None = None

    @property
    def rejected(self) -> dict[str, pl.DataFrame]:
        """The quarantined rows of each stage that has some, as they came, with their reasons."""
        return {name: pl.concat(parts, how=_CONCAT) for name, parts in self._bad.items()}

    def rows(self, name: str) -> pl.DataFrame:
        """All rows that a stage publishes, partition by partition."""
        parts = self.parts(name)
        spec = self._spec(name)
        if not parts:
            return typed_table(GivenTable(rows=()), spec, spec.names)
        return pl.concat([parts[key] for key in sorted(parts)], how=_CONCAT)

    def parts(self, name: str) -> Parts:
        """What a stage publishes: what is given, computed from that, or generated."""
        if name not in self._parts:
            self._open.add(name)
            self._parts[name] = self._made(self.flow[name])
            self._open.discard(name)
        return self._parts[name]

    def frames(self, stage: Stage, seen: Mapping[str, Sequence[str]]) -> dict[str, pl.LazyFrame]:
        """The frames that a stage gets when it sees these partitions of its inputs."""
        return {
            item.name: self._frame(item, [self.parts(item.name)[key] for key in seen[item.name]])
            if seen.get(item.name)
            else self._frame(item, [])
            for item in stage.frames
        }

    def visible(self, stage: Stage, partition: str) -> dict[str, tuple[str, ...]]:
        """The partitions of each input that a step reads; StepError if a required input has none."""
        keys = self._keys(stage)
        if partition == WHOLE:
            seen = visible_to_unpartitioned(stage, self.cuts, keys)
        else:
            own = self.cuts[stage.name]
            seen = {
                item.name: visible_partitions(
                    item, partition, own, self.cuts[item.name], keys[item.name]
                )
                or ()
                for item in stage.frames
            }
        for item in stage.frames:
            if not seen.get(item.name) and not item.optional:
                there = ", ".join(keys[item.name]) or "no rows"
                raise StepError(
                    f"{place_name(stage.name, partition)} needs {item.name}, which has {there}: {_ADVICE}",
                    stage=stage.name,
                    partition=partition,
                )
        return seen

    def check(self, stage: Stage, partition: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Check the rows of a partition as a run does; return those that pass.

        BrokenContract when the partition must not be published.
        """
        return self._check(stage, partition, rows, self._spec(stage.name)).good

    def _spec(self, name: str) -> ContractSpec:
        spec = self.flow[name].output
        assert spec is not None
        return spec if self.case.limits else _without_limits(ByIdentity(spec))

    def _made(self, stage: Stage) -> Parts:
        case = self.case
        if stage.name in case.given:
            return self._given(stage, case.given[stage.name])
        is_tested = stage.name == case.stage
        depends = is_tested or not upstream_of(self.flow, stage.name).isdisjoint(case.given)
        # Without given rows only sources are generated: tables of one source then have its keys.
        if stage.kind is Kind.TRANSFORM and (depends or not case.given):
            return self._computed(stage)
        return self._generated(stage)

    def _given(self, stage: Stage, table: GivenTable) -> Parts:
        """The rows of a case, completed and checked; those of a tested ingest as its source has them."""
        self.computed.append(stage.name)
        spec = self._reading_contract(stage, table)
        is_source = stage.kind is Kind.INGEST and stage.name == self.case.stage
        if table.is_synthetic:
            return self._generated(stage, table.count)
        try:
            rows = source_table(table, spec) if is_source else typed_table(table, spec)
            if stage.kind is Kind.INGEST and not is_source:
                others = [name for name in table.columns if name not in spec.names]
                rows = rows.hstack(source_table(table).select(others)) if others else rows
        except CellError as error:
            raise CellError(f"given.{stage.name}: {error}") from None
        if not rows.height:
            return self._nothing(stage, rows)
        rows = complete_rows(
            spec,
            rows,
            self._chance(stage.name),
            gaps={name: table.gaps(name) for name in rows.columns},
            partition=self._default_key(stage),
            tables=self._referred(stage),
        )
        return self._published(stage, rows, spec)

    def _nothing(self, stage: Stage, rows: pl.DataFrame) -> Parts:
        """An empty table: without partitions, it is still published."""
        if not self.cuts[stage.name].is_whole:
            return {}
        spec = self._spec(stage.name)
        return {WHOLE: typed_table(GivenTable(rows=()), spec, spec.names)}

    def _published(self, stage: Stage, rows: pl.DataFrame, spec: ContractSpec) -> Parts:
        keyed = rows.with_columns(checker_of(spec).partition_keys().alias("\0key"))
        found: Parts = {}
        parts = keyed.partition_by("\0key", as_dict=True, maintain_order=True, include_key=False)
        for (key,), part in parts.items():
            partition = UNPLACED if key is None else str(key)
            good = self._check(stage, partition, part, spec).good
            if partition != UNPLACED:
                found[partition] = good
        self._check_table(stage, found)
        return found

    def _reading_contract(self, stage: Stage, table: GivenTable) -> ContractSpec:
        """The contract of given rows; cells of a CSV are read as the files of the source are."""
        spec = self._spec(stage.name)
        if stage.kind is not Kind.INGEST or not table.is_text:
            return spec
        # A source is another object each time, for which a checker would be compiled anew.
        known = (stage.name, self.case.limits)
        if known not in self._readers:
            source = call_stage(stage, WHOLE, {})
            reader = text_contract(spec, source, "csv") if isinstance(source, Files) else spec
            self._readers[known] = reader
        return self._readers[known]

    def _generated(self, stage: Stage, count: int = SYNTHETIC_ROWS) -> Parts:
        """Rows that pass the contract, in each partition of the case."""
        spec = self._spec(stage.name)
        chance, tables = self._chance(stage.name), self._referred(stage)
        whole = self.cuts[stage.name].is_whole
        keys = [WHOLE] if whole else default_keys(self.cuts[stage.name], self._known_moments())
        found: Parts = {}
        for key in keys:
            found[key] = generate_rows(
                spec, count, chance, partition="" if whole else key, tables=tables, fewer=True
            )
            # What one partition has no room for, others have none for either.
            count = min(count, found[key].height)
        return found

    def _computed(self, stage: Stage) -> Parts:
        """Compute every partition of a transform that its inputs allow, or the one of the case."""
        self.computed.append(stage.name)
        keys = output_partitions(stage, self.cuts, self._keys(stage))
        if self.case.partition and stage.name == self.case.stage:
            keys = [self.case.partition]
        found = {key: self._step(stage, key) for key in keys}
        if not keys:
            self.notes.append(f"{stage.name} has no partition to compute: {_ADVICE}")
        self._check_table(stage, found)
        return found

    def _step(self, stage: Stage, partition: str) -> pl.DataFrame:
        frames = self.frames(stage, self.visible(stage, partition))
        reads = all_input_columns(stage)
        with (
            MemoSession(self._memos).activate(),
            AuditWatch(stage.place, active=not stage.is_vouched_for) as opened,
        ):
            query, touched = self._caller.query(stage, partition, frames, reads)
            rows = collect_query(stage, partition, query, 0)
        self.notes += [f"{stage.name} {touch}" for touch in opened.describe(touched)]
        return self._check(stage, partition, rows, self._spec(stage.name)).good

    def _frame(self, item: Input, parts: Sequence[pl.DataFrame]) -> pl.LazyFrame:
        spec = item.contract
        assert spec is not None
        whole = typed_table(GivenTable(rows=()), spec, spec.names)
        rows = pl.concat([whole, *parts], how=_CONCAT) if parts else whole
        columns = item.columns
        if item.fold is None:
            return rows.select(columns or spec.names).lazy()
        # A fold that only counts rows reads no column, so any will do.
        held = rows.select(columns or spec.names[:1]).rechunk().lazy()
        partials = partials_query(item.fold.fold, held).collect(engine="in-memory")
        folded = result_query(item.fold.fold, partials.lazy(), item.fold.schema)
        return folded.collect(engine="in-memory").lazy()

    def _keys(self, stage: Stage) -> dict[str, list[str]]:
        """The partitions of each input; one that is optional has none unless the case has rows of it."""
        return {
            item.name: sorted(self.parts(item.name)) if self._exists(item) else []
            for item in stage.frames
        }

    def _exists(self, item: Input) -> bool:
        upstream = upstream_of(self.flow, item.name)
        return not item.optional or not upstream.isdisjoint(self.case.given)

    def _check(
        self, stage: Stage, partition: str, rows: pl.DataFrame, spec: ContractSpec
    ) -> CheckedPartition:
        checked = checker_of(spec).check(rows, partition=partition)
        self._note_broken(stage, checked.findings)
        if checked.bad is not None and checked.bad.height:
            self.broken[stage.name].update(r for rules in checked.bad[REASONS] for r in rules)
            self._bad[stage.name].append(checked.bad)
        require_publishable(stage, partition, checked.findings)
        return checked

    def _check_table(self, stage: Stage, parts: Parts) -> None:
        """Check the rules about a whole table that the tables of the case decide."""
        spec = self._spec(stage.name)
        others = {
            rule: self.rows(to)
            for rule, to in stage.refers.items()
            if to not in self._open
            and not upstream_of(self.flow, to).isdisjoint(self.case.given)
            and self.flow[to].kind in DATA
        }
        findings = table_rule_findings(spec, parts, others, stage.refers)
        self._note_broken(stage, findings)
        require_publishable(stage, WHOLE, findings)

    def _note_broken(self, stage: Stage, findings: Sequence[Finding]) -> None:
        rules = {finding.rule for finding in findings if finding.severity != "info"}
        self.broken[stage.name].update(rules)

    def _referred(self, stage: Stage) -> dict[str, pl.DataFrame]:
        """The tables that references of a stage mean, by the names of their contracts."""
        return {
            self._spec(to).name: self.rows(to)
            for to in dict.fromkeys(stage.refers.values())
            if to not in self._open
        }

    def _chance(self, name: str) -> np.random.Generator:
        """A generator of each table's own: other tables don't change its rows."""
        seeds = np.random.SeedSequence([self.case.seed, crc32(name.encode())])
        return np.random.Generator(np.random.PCG64(seeds))

    def _default_key(self, stage: Stage) -> str:
        """The partition of rows that don't name one."""
        cut = self.cuts[stage.name]
        return "" if cut.is_whole else default_keys(cut, self._known_moments())[0]

    def _known_moments(self) -> Moments:
        """The partitions that the case and its rows name."""
        if self._moments is None:
            named: dict[str, list[str]] = {}
            for name, table in self.case.given.items():
                column = self.cuts[name].column
                if not self.cuts[name].is_whole and column in table.columns:
                    named[name] = self._named_keys(self.flow[name], table)
            if self.case.partition:
                named = {self.case.stage: [self.case.partition], **named}
            self._moments = partition_moments(named, self.cuts)
            if not self._moments.times:
                self._moments = replace(self._moments, times=spread_moments(self._windows()))
        return self._moments

    def _windows(self) -> list[tuple[Window, Grain]]:
        """The windows of models and evaluations, which must not be empty."""
        upstream = upstream_of(self.flow, self.case.stage)
        return [
            (item.window, grain)
            for name in sorted(upstream)
            if self.flow[name].kind in (Kind.MODEL, Kind.EVALUATE)
            for item in self.flow[name].inputs
            if item.window is not None and (grain := self.cuts[item.name].grain) is not None
        ]

    def _named_keys(self, stage: Stage, table: GivenTable) -> list[str]:
        spec = self._reading_contract(stage, table)
        rows = source_table(table).select(self.cuts[stage.name].column)
        keys = rows.select(checker_of(spec).partition_keys()).to_series()
        return sorted(keys.drop_nulls().unique())


@lru_cache(maxsize=256)
def _without_limits(key: ByIdentity[ContractSpec]) -> ContractSpec:
    """The contract without rules about whole partitions: of two rows, one bad row is a half."""
    (spec,) = key.values
    return replace(spec, budget=Budget(max_bad=1), rows=None)
