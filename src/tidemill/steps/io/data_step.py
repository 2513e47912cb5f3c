"""Do the work of a data step: hand a stage its frames, judge what it gave, name it by content."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.analysis.code.mutable_state import State
from tidemill.analysis.hashing.column_hash import Hasher, column_hashes, rowset_hash
from tidemill.analysis.hashing.row_sample import portion
from tidemill.analysis.query.summary import Reads
from tidemill.contracts.checks.checker import Judged, checker_of
from tidemill.contracts.checks.findings import unknown_finding
from tidemill.contracts.checks.row_order import depends_on_order
from tidemill.contracts.checks.ruled_rows import spoken
from tidemill.contracts.checks.schema import schema_of
from tidemill.contracts.finding import Finding
from tidemill.contracts.row_ruling import Ruling
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import ContractError, StepError
from tidemill.core.fingerprint import object_name
from tidemill.core.partition import WHOLE
from tidemill.folds.io.partials_cache import Folder
from tidemill.ledger.binding import Binding, Product, content_of
from tidemill.reuse.stale_columns import narrowed, with_part
from tidemill.sources.scan import is_apart
from tidemill.steps.io.ingest_reader import Intake
from tidemill.steps.io.invocation import Caller, collected
from tidemill.steps.step_messages import Again, Inputs, Objects, rows_in
from tidemill.store.frames import PARQUET, Frames, encode
from tidemill.store.profiles import Profiles, due, encode_profile
from tidemill.workflow.source import SourceFile
from tidemill.workflow.stage import Input, Stage

T = TypeVar("T")


class Workroom:
    """Executes ingest and transform steps of one run; `states` are of the code of its transforms."""

    def __init__(
        self,
        intake: Intake,
        frames: Frames,
        profiles: Profiles,
        folder: Folder,
        states: Mapping[str, State],
    ) -> None:
        self._intake = intake
        self._folder = folder
        self._frames = frames
        self._profiles = profiles
        self._hashers: dict[object, Hasher] = {}
        self._narrowed: dict[tuple[str, tuple[str, ...]], ContractSpec] = {}
        self._given: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        self._ordered: dict[str, bool] = {}
        self._caller = Caller(states)

    def ingest(
        self,
        stage: Stage,
        partition: str,
        files: Mapping[str, SourceFile],
        rulings: Sequence[Ruling] = (),
    ) -> tuple[Product, Objects]:
        """Read one partition's rows from its files and publish those that pass, or that were released."""
        assert stage.output is not None
        if not is_apart(partition, files):
            return self._judged(stage, partition, self._whole(stage, partition, files), rulings)
        # Columns that the contract drops are only read when there are rows to quarantine as they came.
        narrow, dropped = self._intake.kept(stage, partition, files)
        narrow = _sampled(stage, narrow)
        judged = checker_of(stage.output).judge(narrow, partition=partition)
        if judged.bad is not None and (rulings or stage.output.unknown_columns == "drop"):
            return self._judged(stage, partition, self._whole(stage, partition, files), rulings)
        found = unknown_finding(stage.output, dropped, narrow.height)
        judged = replace(judged, findings=(*judged.findings, *found))
        return self._product(stage, partition, judged)

    def ingest_together(
        self, stage: Stage, files: Mapping[str, Mapping[str, SourceFile]]
    ) -> dict[str, tuple[Product, Objects]]:
        """What `ingest` gives for many partitions with files of their own, where all of their rows pass."""
        assert stage.output is not None
        checker = checker_of(stage.output)
        if not self._intake.has_files(stage, next(iter(files))):
            return {}
        kept = {key: self._intake.kept(stage, key, own) for key, own in files.items()}
        rows = {key: _sampled(stage, narrow) for key, (narrow, _) in kept.items()}
        parts: dict[str, pl.DataFrame] = {}
        if checker.has_places(rows):
            parts = checker.clean(pl.concat(rows.values(), rechunk=True))
        made: dict[str, tuple[Product, Objects]] = {}
        for key, good in parts.items():
            dropped = unknown_finding(stage.output, kept[key][1], good.height)
            if product := self._passed(stage, key, good, dropped):
                made[key] = product
        for key in kept.keys() - made.keys():
            self._intake.put_back(stage, files[key], kept[key])
        return made

    def _whole(self, stage: Stage, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        return _sampled(stage, self._intake.whole(stage, partition, files))

    def transform(
        self,
        stage: Stage,
        partition: str,
        inputs: Inputs,
        reads: Reads,
        rulings: Sequence[Ruling] = (),
    ) -> tuple[Product, Objects, tuple[str, ...]]:
        """Call the stage on its inputs and publish the rows that pass; what else it reached for.

        StepError when its query asks for a column that isn't among `reads`, the ones of its key.
        """
        frames = self.frames_for(stage, inputs)
        query, touched = self._sound(
            inputs, lambda: self._caller.query(stage, partition, frames, reads)
        )
        rows = rows_in(inputs)
        frame = self._sound(inputs, lambda: collected(stage, partition, query, rows))
        return (*self._judged(stage, partition, frame, rulings), touched)

    def together(
        self,
        stage: Stage,
        inputs: Mapping[str, Inputs],
        reads: Reads,
        least: int,
    ) -> dict[str, tuple[Product, Objects, tuple[str, ...]]]:
        """What `transform` gives for many partitions, whose `inputs` are by partition, from one call.

        Partitions are left out that have to be made alone: those that have fewer than `least` rows, or
        of which some row doesn't pass.
        """
        parts, touched = self._parts(stage, (), inputs, reads)
        return {
            partition: (*product, touched)
            for partition, good in parts.items()
            if good.height >= least and (product := self._passed(stage, partition, good))
        }

    def columns_together(
        self,
        works: Sequence[Again],
        inputs: Mapping[str, Inputs],
        reads: Reads,
        least: int,
    ) -> dict[str, tuple[Product, Objects]]:
        """What `columns` gives for many partitions, the same columns of each, from one call."""
        stage = works[0].stage
        narrow = self._narrow(stage, works[0].columns)
        parts, touched = self._parts(stage, works[0].columns, inputs, reads)
        made: dict[str, tuple[Product, Objects]] = {}
        for work in works if not touched else ():
            good = parts.get(work.partition)
            if good is None or good.height < least or checker_of(narrow).findings(good.height):
                continue
            renewed = self._renewed(work, narrow, good)
            if renewed is not None:
                made[work.partition] = renewed
        return made

    def _parts(
        self,
        stage: Stage,
        columns: tuple[str, ...],
        inputs: Mapping[str, Inputs],
        reads: Reads,
    ) -> tuple[dict[str, pl.DataFrame], tuple[str, ...]]:
        """All or some columns of those partitions of which nothing is to be said; and what was touched."""
        assert stage.output is not None
        frames = self._frames_of_all(stage, list(inputs.values()))
        query, touched = self._caller.query(stage, "together", frames, reads)
        spec = stage.output
        if columns:
            spec, query = self._narrow(stage, columns), self._asked(stage, columns, query)
        # Streaming would be faster for so many rows, but those of one partition are computed in memory.
        parts = checker_of(spec).clean(query.collect(engine="in-memory"))
        assert parts.keys() <= inputs.keys(), "rows of a partition that none of these is"
        return parts, touched

    def _frames_of_all(self, stage: Stage, inputs: Sequence[Inputs]) -> dict[str, pl.LazyFrame]:
        """A frame for every input, with the rows of many partitions or of the one that all of them see."""
        found: dict[str, pl.LazyFrame] = {}
        for item in stage.frames:
            assert item.contract is not None
            bound = [binding for each in inputs for binding in each.get(item.name, {}).values()]
            if item.contract.partitioning.is_whole:
                bound = bound[:1]
            self._frames.require({item.name: bound})
            found[item.name] = self._frames.together(item.name, bound, item.contract, item.columns)
        return found

    def columns(
        self,
        work: Again,
        inputs: Inputs,
        reads: Reads,
    ) -> tuple[Product, Objects] | None:
        """Compute some columns of a partition anew, and put them beside those that it has.

        None when all have to be computed: the rows aren't those that are there, or not all pass.
        """
        stage, partition = work.stage, work.partition
        narrow = self._narrow(stage, work.columns)
        frames = self.frames_for(stage, inputs)
        query, touched = self._sound(
            inputs, lambda: self._caller.query(stage, partition, frames, reads)
        )
        query = self._asked(stage, work.columns, query)
        rows = rows_in(inputs)
        frame = self._sound(inputs, lambda: collected(stage, partition, query, rows))
        judged = checker_of(narrow).judge(frame, partition=partition)
        if touched or judged.bad is not None or judged.findings:
            return None
        return self._renewed(work, narrow, judged.good)

    def _asked(self, stage: Stage, columns: tuple[str, ...], query: pl.LazyFrame) -> pl.LazyFrame:
        """Some columns of a query, and those that it takes to judge them."""
        if (stage.name, columns) not in self._given:
            # A query that is known by its columns gives the same ones for every partition.
            given, names = query.collect_schema(), self._narrow(stage, columns).names
            self._given[stage.name, columns] = [name for name in names if name in given]
        return query.select(self._given[stage.name, columns])

    def _renewed(
        self, work: Again, narrow: ContractSpec, good: pl.DataFrame
    ) -> tuple[Product, Objects] | None:
        """What is held, with those of its columns that are others now; None if the rows aren't those held."""
        held = work.held
        hashes = self._hashes(narrow, good)
        other = {name: hashed for name, hashed in hashes.items() if held.columns[name] != hashed}
        same = rowset_hash(good, narrow.key, hashes) == held.rowset
        if not same or not other.keys() <= {*work.columns}:
            return None
        if not other:
            return held, ()
        good = good.select(list(other))
        name, payload = self._frames.encode(good, self._profile(work.stage, good, other))
        product = with_part(held, name, len(payload), other)
        return None if product is None else (product, ((payload, PARQUET),))

    def _narrow(self, stage: Stage, columns: tuple[str, ...]) -> ContractSpec:
        if (stage.name, columns) not in self._narrowed:
            assert stage.output is not None
            spec = narrowed(stage.output, columns)
            assert spec is not None
            self._narrowed[stage.name, columns] = spec
        return self._narrowed[stage.name, columns]

    def recheck(self, stage: Stage, partition: str, binding: Binding) -> Product | None:
        """What is published, judged anew by the contract as it is now; None when the step has to run.

        That is when rows don't pass, and where a rule depends on the order in which they came: they are
        stored in the order of the key.
        """
        assert stage.output is not None
        if stage.output.key and self._depends_on_order(stage):
            return None
        self._frames.require({stage.name: (binding,)})
        frame = self._frames.load((binding,), stage.output).collect()
        judged = checker_of(stage.output).judge(frame, partition=partition)
        if judged.bad is not None:
            return None
        refuse(stage, partition, judged.findings)
        kept = tuple(item for item in binding.product.findings if item.severity == "info")
        return replace(binding.product, findings=(*kept, *judged.findings))

    def _depends_on_order(self, stage: Stage) -> bool:
        assert stage.output is not None
        if stage.name not in self._ordered:
            self._ordered[stage.name] = depends_on_order(stage.output)
        return self._ordered[stage.name]

    def missing(self, names: Collection[str]) -> bool:
        """Whether some of these objects are neither stored nor on their way."""
        return bool(self._frames.missing(names))

    def _sound(self, inputs: Inputs, work: Callable[[], T]) -> T:
        """What `work` gives; when it fails on a damaged object, that is the error, not the user's code."""
        try:
            return work()
        except (StepError, PolarsError, PanicException):
            self._frames.verify(_bindings(inputs))
            raise

    def frames_for(self, stage: Stage, inputs: Inputs) -> dict[str, pl.LazyFrame]:
        """A LazyFrame for every frame input; one that has no partitions is empty, or a fold of nothing."""
        self._frames.require(_bindings(inputs))
        return {item.name: self._frame(item, inputs.get(item.name, {})) for item in stage.frames}

    def _frame(self, item: Input, bound: Mapping[str, Binding]) -> pl.LazyFrame:
        assert item.contract is not None
        if item.fold is not None:
            return self._sound({item.name: bound}, lambda: self._folder.fold(item, bound))
        return self._frames.load(tuple(bound.values()), item.contract, item.columns)

    def features(self, name: str, binding: Binding, contract: ContractSpec) -> pl.LazyFrame:
        """One published partition of the stage `name` as a frame."""
        self._frames.require({name: (binding,)})
        return self._frames.load((binding,), contract)

    def _judged(
        self, stage: Stage, partition: str, frame: pl.DataFrame, rulings: Sequence[Ruling]
    ) -> tuple[Product, Objects]:
        assert stage.output is not None
        said = spoken(rulings, self._frames.rows)
        judged = checker_of(stage.output).judge(frame, partition=partition, rulings=said)
        return self._product(stage, partition, judged)

    def _passed(
        self, stage: Stage, partition: str, good: pl.DataFrame, told: Sequence[Finding] = ()
    ) -> tuple[Product, Objects] | None:
        """What is published of rows that all pass; None where they are too few or too many for that."""
        assert stage.output is not None
        findings = (*checker_of(stage.output).findings(good.height), *told)
        if _fatal(findings):
            return None
        return self._product(stage, partition, Judged(good=good, bad=None, findings=findings))

    def _product(self, stage: Stage, partition: str, judged: Judged) -> tuple[Product, Objects]:
        assert stage.output is not None
        refuse(stage, partition, judged.findings)
        hashes = self._hashes(stage.output, judged.good)
        profile = self._profile(stage, judged.good, hashes)
        name, payload = self._frames.encode(judged.good, profile)
        rowset = rowset_hash(judged.good, stage.output.key, hashes)
        objects: list[tuple[bytes, str]] = [(payload, PARQUET)]
        quarantine = None
        if judged.bad is not None and judged.bad.height:
            objects.append((encode(judged.bad), PARQUET))
            quarantine = object_name(objects[-1][0], PARQUET)
        product = Product(
            content=content_of(hashes, rowset),
            objects=(name,),
            columns=hashes,
            rowset=rowset,
            rows=judged.good.height,
            bytes=sum(len(item) for item, _ in objects),
            quarantine=quarantine,
            quarantined=judged.bad.height if judged.bad is not None else 0,
            findings=judged.findings,
        )
        return product, tuple(objects)

    def _profile(
        self, stage: Stage, good: pl.DataFrame, hashes: Mapping[str, str]
    ) -> Mapping[str, str] | None:
        if not due(good.height):
            return None
        return encode_profile(self._profiles.profile(stage.name, good, hashes))

    def _hashes(self, spec: ContractSpec, good: pl.DataFrame) -> dict[str, str]:
        if spec.unknown_columns == "keep":
            return column_hashes(good)
        # Of one contract there may be several: all of its columns, and some.
        of = (spec.name, spec.version, spec.names)
        if of not in self._hashers:
            self._hashers[of] = Hasher(schema_of(spec))
        return self._hashers[of].hashes(good)


def _bindings(inputs: Inputs) -> dict[str, tuple[Binding, ...]]:
    return {name: tuple(bound.values()) for name, bound in inputs.items()}


def _sampled(stage: Stage, rows: pl.DataFrame) -> pl.DataFrame:
    return rows if stage.sample == 1.0 else portion(rows, stage.sampled_by, stage.sample)


def _fatal(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "fail"]


def refuse(stage: Stage, partition: str, findings: Sequence[Finding]) -> None:
    """ContractError when a finding says that the partition must not be published."""
    if fatal := _fatal(findings):
        contract = f" (contract {stage.output.name} {stage.output.version})" if stage.output else ""
        place = "" if partition == WHOLE else f" {partition}"
        lines = "; ".join(finding.message for finding in fatal)
        raise ContractError(f"{stage.name}{place} breaks its contract{contract}: {lines}")
