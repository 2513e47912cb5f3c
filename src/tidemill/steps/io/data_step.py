"""Run ingest and transform steps: read or compute rows, check them, and name the result by content."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from tidemill.analysis.code.mutable_state import HeldState
from tidemill.analysis.hashing.row_sample import sample_rows
from tidemill.analysis.query.summary import Reads
from tidemill.contracts.checks.casts import cast_column
from tidemill.contracts.checks.checker import CheckedPartition, checker_of
from tidemill.contracts.checks.findings import undeclared_column_findings, unplaced_findings
from tidemill.contracts.checks.row_order import may_depend_on_order
from tidemill.contracts.checks.ruled_rows import resolve_rulings
from tidemill.contracts.checks.schema import schema_of
from tidemill.contracts.finding import Finding
from tidemill.contracts.spec import ContractSpec
from tidemill.core.partition import UNPLACED
from tidemill.ledger.binding import Binding, Product
from tidemill.reuse.recipe import Recipe
from tidemill.reuse.stale_columns import narrow_contract
from tidemill.sources.scan import feeds_only, mostly_unplaced
from tidemill.steps.io.audit_watch import AuditWatch
from tidemill.steps.io.ingest_reader import IngestReader, SourceRows
from tidemill.steps.io.input_frames import InputFrames
from tidemill.steps.io.invocation import TransformCaller, collect_query
from tidemill.steps.io.partition_encoder import PartitionEncoder, Unhashed, require_publishable
from tidemill.steps.step_messages import Inputs, StepOutput, Work, count_rows
from tidemill.store.frames import FrameStore
from tidemill.store.profiles import PartitionProfiler
from tidemill.workflow.stage import Stage

if TYPE_CHECKING:
    from tidemill.folds.io.partials_cache import FoldSession

T = TypeVar("T")


class DataStepRunner:
    """Runs the ingest and transform steps of one run.

    `states` is the mutable state that the code of each transform held before it was first called, `opaque`
    are the stages whose queries may contain Python functions.
    """

    def __init__(
        self,
        reader: IngestReader,
        frames: FrameStore,
        profiles: PartitionProfiler,
        states: Mapping[str, HeldState],
        opaque: Container[str] = (),
    ) -> None:
        self._intake = reader
        self._frames = frames
        self.frames = InputFrames(frames)
        self._encoder = PartitionEncoder(frames, profiles)
        # By stage and columns: the contract of these columns alone, and those that the query returns.
        self._narrow_contracts: dict[tuple[str, tuple[str, ...]], ContractSpec] = {}
        self._selections: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        self._order_matters: dict[str, bool] = {}
        self._caller = TransformCaller(states)
        self._opaque = opaque

    def ingest(self, stage: Stage, work: Work) -> StepOutput:
        """Read a partition from its files; rows that fail the contract go to quarantine."""
        assert stage.output is not None
        if work.partition == UNPLACED:
            return self._ingest_unplaced(stage, work)
        if not feeds_only(work.partition, work.files):
            return self._ingest_all_columns(stage, work)
        # Dropped columns and the text of numbers are only read when rows go to quarantine as they came.
        read = self._intake.read_contract_columns(stage, work.partition, work.files)
        rows = _sampled(stage, read)
        judged = checker_of(read.contract).check(rows, partition=work.partition)
        if judged.bad is not None and (work.rulings or not read.original):
            return self._ingest_all_columns(stage, work)
        unknown = undeclared_column_findings(stage.output, read.dropped, rows.height)
        judged = replace(judged, findings=(*judged.findings, *unknown))
        return self._encoder.output(stage, work.partition, judged)

    def _ingest_unplaced(self, stage: Stage, work: Work) -> StepOutput:
        """Quarantine the rows without a partition; ContractError when most rows of a file have none.

        A partition of a table counts as a file: there the share of the whole table counts.
        """
        spec = stage.output
        assert spec is not None
        read = self._intake.read_all_columns(stage, work.partition, work.files)
        judged = self._judge(stage, work, _sampled(stage, read), read.contract)
        # People have looked at rows with rulings.
        if not work.rulings:
            found = mostly_unplaced(work.files, spec.max_bad)
            if not self._intake.reads_files(stage, work.partition):
                unplaced = sum(file.rows.get(UNPLACED, 0) for file in work.files.values())
                found = "", unplaced, work.source_rows
            more = unplaced_findings(spec, *found) if found is not None else []
            judged = replace(judged, findings=(*judged.findings, *more))
        return self._encoder.output(stage, work.partition, judged)

    def _ingest_all_columns(self, stage: Stage, work: Work) -> StepOutput:
        read = self._intake.read_all_columns(stage, work.partition, work.files)
        return self._check(stage, work, _sampled(stage, read), contract=read.contract)

    def ingest_together(self, stage: Stage, works: Sequence[Work]) -> dict[str, StepOutput]:
        """Ingest partitions, of own files or all of the same ones; return only those whose rows all pass."""
        assert stage.output is not None
        if not self._intake.reads_files(stage, works[0].partition):
            return {}
        kept = {
            work.partition: self._intake.read_contract_columns(stage, work.partition, work.files)
            for work in works
        }
        rows = {key: _sampled(stage, read) for key, read in kept.items()}
        clean: dict[str, pl.DataFrame] = {}
        checker = checker_of(kept[works[0].partition].contract)
        if checker.matches_partitions(rows):
            clean = checker.clean_partitions(pl.concat(rows.values(), rechunk=True))
        drafts: dict[str, Unhashed] = {}
        for key, good in clean.items():
            unknown = undeclared_column_findings(stage.output, kept[key].dropped, good.height)
            if (draft := self._clean_draft(stage, key, good, unknown)) is not None:
                drafts[key] = draft
        outputs = self._encoder.encode(drafts)
        for work in works:
            if work.partition not in outputs:
                self._intake.put_back(stage, work.files, kept[work.partition])
        return outputs

    def transform(
        self, stage: Stage, work: Work, reads: Reads, folder: FoldSession | None
    ) -> StepOutput:
        """Compute a partition; only the stale columns where the others can stay.

        StepError when the query reads a column that isn't among `reads`, the ones of the step's key.
        """
        if work.held is not None:
            updated = self._update_columns(stage, work, work.held, reads, folder)
            if updated is not None:
                return updated
        with self._watch(stage) as opened:
            query, touched = self._query(stage, work, reads, folder)
            rows = self._collect(stage, work, query)
        return self._check(stage, work, rows, opened.describe(touched))

    def transform_together(
        self, stage: Stage, works: Sequence[Work], recipe: Recipe
    ) -> dict[str, StepOutput]:
        """Compute several partitions by one query, or by a query each that are collected at once.

        Left out are those that have to be computed alone: with too few rows for the query to give each
        the same as alone, or with rows that don't pass.
        """
        columns = works[0].columns
        inputs = {work.partition: work.inputs for work in works}
        compute = self._clean_by_one_query
        if recipe.min_batch_rows is None:
            compute = self._clean_by_queries
        clean, touched = compute(stage, columns, inputs, recipe.reads)
        if columns and touched:
            return {}
        narrow = self._narrow(stage, columns)
        drafts: dict[str, Unhashed] = {}
        for work in works:
            good = clean.get(work.partition)
            if good is None or good.height < (recipe.min_batch_rows or 0):
                continue
            draft: Unhashed | None = None
            if work.held is None:
                draft = self._clean_draft(stage, work.partition, good, touched=touched)
            elif not checker_of(narrow).row_count_findings(good.height):
                draft = self._encoder.draft_columns(stage, narrow, columns, work.held, good)
            if draft is not None:
                drafts[work.partition] = draft
        return self._encoder.encode(drafts)

    def _clean_by_queries(
        self,
        stage: Stage,
        columns: tuple[str, ...],
        inputs: Mapping[str, Inputs],
        reads: Reads,
    ) -> tuple[dict[str, pl.DataFrame], tuple[str, ...]]:
        """Like `_clean_by_one_query`, for a query that mustn't see rows of several partitions."""
        queries: dict[str, pl.LazyFrame] = {}
        touched: dict[str, None] = {}
        for partition, bound in inputs.items():
            frames = self.frames.of_partition(stage, bound, None, reads)
            query, found = self._caller.query(stage, partition, frames, reads)
            queries[partition] = self._select(stage, columns, query)
            touched |= dict.fromkeys(found)
        collected = pl.collect_all(queries.values(), engine="in-memory")
        self.frames.confirm(*inputs.values())
        rows = dict(zip(queries, collected, strict=True))
        checker = checker_of(self._narrow(stage, columns))
        if not checker.matches_partitions(rows):
            return {}, (*touched,)
        return checker.clean_partitions(pl.concat(rows.values(), rechunk=True)), (*touched,)

    def _clean_by_one_query(
        self,
        stage: Stage,
        columns: tuple[str, ...],
        inputs: Mapping[str, Inputs],
        reads: Reads,
    ) -> tuple[dict[str, pl.DataFrame], tuple[str, ...]]:
        """Compute all or some columns of the partitions without findings; also the hidden inputs touched."""
        frames = self.frames.of_all(stage, list(inputs.values()), reads)
        query, touched = self._caller.query(stage, "together", frames, reads)
        # Streaming would be faster for so many rows, but those of one partition are computed in memory.
        rows = self._select(stage, columns, query).collect(engine="in-memory")
        self.frames.confirm(*inputs.values())
        clean = checker_of(self._narrow(stage, columns)).clean_partitions(rows)
        assert clean.keys() <= inputs.keys(), "the query returned rows of another partition"
        return clean, touched

    def _update_columns(
        self, stage: Stage, work: Work, held: Product, reads: Reads, folder: FoldSession | None
    ) -> StepOutput | None:
        """Recompute the stale columns of a partition, and put them beside those that it has.

        None when all columns have to be computed: the rows changed, or not all of them pass.
        """
        narrow = self._narrow(stage, work.columns)
        query, touched = self._query(stage, work, reads, folder)
        rows = self._collect(stage, work, self._select(stage, work.columns, query))
        judged = checker_of(narrow).check(rows, partition=work.partition)
        if touched or judged.bad is not None or judged.findings:
            return None
        draft = self._encoder.draft_columns(stage, narrow, work.columns, held, judged.good)
        return self._encoder.encode({work.partition: draft}).get(work.partition)

    def _select(self, stage: Stage, columns: tuple[str, ...], query: pl.LazyFrame) -> pl.LazyFrame:
        """Select some columns of a query, and those that are needed to check them; all if none is named."""
        if not columns:
            return query
        if (stage.name, columns) not in self._selections:
            # A query that is known by its columns gives the same ones for every partition.
            schema, names = query.collect_schema(), self._narrow(stage, columns).names
            self._selections[stage.name, columns] = [name for name in names if name in schema]
        return query.select(self._selections[stage.name, columns])

    def _narrow(self, stage: Stage, columns: tuple[str, ...]) -> ContractSpec:
        """The contract of some columns alone; of all if none is named."""
        assert stage.output is not None
        if not columns:
            return stage.output
        if (stage.name, columns) not in self._narrow_contracts:
            spec = narrow_contract(stage.output, columns)
            assert spec is not None
            self._narrow_contracts[stage.name, columns] = spec
        return self._narrow_contracts[stage.name, columns]

    def check_rows(self, stage: Stage, work: Work, rows: pl.DataFrame) -> StepOutput:
        """Check the rows of a partition that was computed elsewhere, and make them its output."""
        return self._check(stage, work, rows)

    def recheck(self, stage: Stage, partition: str, binding: Binding) -> Product | None:
        """Check published rows against the contract as it is now; None when the step has to run.

        It has to run when rows don't pass, and when a rule depends on the order in which they came:
        they are stored in the order of the key.
        """
        assert stage.output is not None
        if stage.output.key and self._depends_on_order(stage):
            return None
        frame = self.frames.of_stage(stage.name, (binding,), stage.output).collect()
        self._frames.confirm((binding,))
        judged = checker_of(stage.output).check(frame, partition=partition)
        if judged.bad is not None:
            return None
        require_publishable(stage, partition, judged.findings)
        kept = tuple(item for item in binding.product.findings if item.severity == "info")
        return replace(binding.product, findings=(*kept, *judged.findings))

    def _depends_on_order(self, stage: Stage) -> bool:
        assert stage.output is not None
        if stage.name not in self._order_matters:
            self._order_matters[stage.name] = may_depend_on_order(stage.output)
        return self._order_matters[stage.name]

    def has_missing(self, names: Collection[str]) -> bool:
        """Return whether some of these objects are neither stored nor about to be."""
        return bool(self._frames.find_missing(names))

    def _query(
        self, stage: Stage, work: Work, reads: Reads, folder: FoldSession | None
    ) -> tuple[pl.LazyFrame, tuple[str, ...]]:
        """The query of a transform on its inputs, and the hidden inputs that its code touched."""
        frames = self.frames.of_partition(stage, work.inputs, folder, reads)
        return self.frames.blame_damage(
            work.inputs, lambda: self._caller.query(stage, work.partition, frames, reads)
        )

    def _watch(self, stage: Stage) -> AuditWatch:
        """A watch of the execution of a query.

        A query that is known has no Python functions, so it isn't watched, nor in batches or by column.
        """
        active = stage.name in self._opaque and not stage.is_vouched_for
        return AuditWatch(stage.place, active=active)

    def _collect(self, stage: Stage, work: Work, query: pl.LazyFrame) -> pl.DataFrame:
        count = count_rows(work.inputs)
        rows = self.frames.blame_damage(
            work.inputs, lambda: collect_query(stage, work.partition, query, count)
        )
        self.frames.confirm(work.inputs)
        return rows

    def _check(
        self,
        stage: Stage,
        work: Work,
        rows: pl.DataFrame,
        touched: tuple[str, ...] = (),
        *,
        contract: ContractSpec | None = None,
    ) -> StepOutput:
        """Check the rows of a partition, and make them its output."""
        judged = self._judge(stage, work, rows, contract)
        return self._encoder.output(stage, work.partition, judged, touched)

    def _judge(
        self, stage: Stage, work: Work, rows: pl.DataFrame, contract: ContractSpec | None
    ) -> CheckedPartition:
        """Check the rows of a partition against its contract and the rulings on its rows."""
        assert stage.output is not None
        rulings = resolve_rulings(work.rulings, partial(self.frames.ruled_rows, work))
        return checker_of(contract or stage.output).check(
            rows, partition=work.partition, rulings=rulings
        )

    def _clean_draft(
        self,
        stage: Stage,
        partition: str,
        good: pl.DataFrame,
        findings: Sequence[Finding] = (),
        touched: tuple[str, ...] = (),
    ) -> Unhashed | None:
        """Draft the output of rows that all pass; None when there are too few or too many of them."""
        assert stage.output is not None
        findings = (*checker_of(stage.output).row_count_findings(good.height), *findings)
        if any(finding.severity == "fail" for finding in findings):
            return None
        judged = CheckedPartition(good=good, bad=None, findings=findings)
        return self._encoder.draft(stage, partition, judged, touched)


def _sampled(stage: Stage, read: SourceRows) -> pl.DataFrame:
    """Take the sample of an ingest; of text, by its values, however they are written."""
    if stage.sample == 1.0:
        return read.rows
    values = None if read.contract is stage.output else _values(read, stage.sample_columns)
    return sample_rows(read.rows, stage.sample_columns, stage.sample, values)


def _values(read: SourceRows, names: Sequence[str]) -> pl.DataFrame:
    schema = schema_of(read.contract)
    texts = {column.name: column.text for column in read.contract.columns}
    return read.rows.select(
        cast_column(read.rows[name], schema[name], texts[name])[1] if name in texts else name
        for name in names
        if name in read.rows.columns
    )
