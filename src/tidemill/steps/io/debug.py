"""Run one step in this process for debugging: breakpoints work, and nothing is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import field

import polars as pl

from tidemill.analysis.query.summary import Reads
from tidemill.core.errors import SourceError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, readable_keys, summarize_keys
from tidemill.core.payload import Payload
from tidemill.folds.io.partials_cache import FoldSession
from tidemill.ledger.binding import Binding, Product
from tidemill.memos.io.lookup import MemoSession
from tidemill.models.predictors import PREDICTION
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Runtime
from tidemill.sources.io.file_listing import scan_sources
from tidemill.sources.io.first_look import look_at_files
from tidemill.sources.io.tables import list_table
from tidemill.sources.scan import total_rows
from tidemill.steps.io.data_step import DataStepRunner
from tidemill.steps.io.ingest_reader import IngestReader
from tidemill.steps.io.model_step import ModelStepRunner
from tidemill.steps.step_messages import Work
from tidemill.store.frames import FrameStore
from tidemill.store.profiles import PartitionProfiler
from tidemill.workflow.model import Artifact
from tidemill.workflow.partition_mapping import (
    partitionings_of,
    visible_partitions,
    visible_to_unpartitioned,
)
from tidemill.workflow.stage import Flow, Kind, Stage

# Rows on which two trainings are compared.
GOLDEN_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugOutput:
    """The output of a step: rows that would be published, and rows that would be quarantined.

    `objects` are the bytes of both, each with its suffix, as a store takes them.
    """

    product: Product
    rows: pl.DataFrame
    bad: pl.DataFrame | None
    objects: tuple[tuple[Payload, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingTrial:
    """A training that isn't published: the model, and its predictions on golden rows.

    `keyed` has the predictions with the key of their rows, which is empty for an input without a key.
    """

    artifact: Artifact
    predictions: pl.DataFrame
    keyed: pl.DataFrame = field(default_factory=pl.DataFrame)


def debug_training(
    tools: Runtime, flow: Flow, stage: Stage, state: State, parent: Artifact | None = None
) -> TrainingTrial:
    """Train a model as a run would, and predict the first rows of an input that has its columns.

    The training continues the version `parent`, if there is one.
    """
    with closing(tools.external_sources):
        frames = FrameStore(tools.artifacts, lambda: None)
        profiles = PartitionProfiler(tools.artifacts, lambda stage: {})
        data = DataStepRunner(IngestReader(tools, {}), frames, profiles, {})
        trainer = ModelStepRunner(
            flow,
            data.frames,
            tools.artifacts,
            tools.formats,
            tools.model_probe,
            lambda: None,
            data.check_rows,
        )
        read = step_inputs_of(flow, stage, state, WHOLE)
        work = Work(
            stage=stage.name,
            partition=WHOLE,
            recipe="",
            inputs=read,
            chosen=_chosen_parameters(state, stage),
            parent=parent,
        )
        folder = FoldSession(tools.memos, frames)
        made, predictor = trainer.train_to_predict(stage, work, folder)
        artifact = made.product.artifact
        assert artifact is not None
        inputs = data.frames.of_partition(stage, read, folder)
        own = (
            item.name
            for item in stage.frames
            if item.contract is not None and {*artifact.inputs} <= {*item.contract.names}
        )
        name = next(own, None)
        rows = inputs[name].head(GOLDEN_ROWS) if name is not None else pl.LazyFrame()
        contract = next((item.contract for item in stage.frames if item.name == name), None)
        key = contract.key if contract is not None else ()
        keyed = (
            predictor.predict(rows).select([*dict.fromkeys((*key, *predictor.columns))]).collect()
            if name is not None
            else pl.DataFrame()
        )
        predicted = keyed.select(predictor.columns) if name is not None else keyed
    return TrainingTrial(
        artifact=artifact,
        predictions=predicted,
        keyed=keyed.select(*key, PREDICTION) if key and PREDICTION not in key else pl.DataFrame(),
    )


def _chosen_parameters(state: State, stage: Stage) -> str:
    """The parameters that a search chose for the published version, as JSON; empty without a search."""
    head = state.heads.get(stage.name)
    bound = head.partitions.get(WHOLE) if head else None
    artifact = bound.product.artifact if bound else None
    return artifact.params if artifact is not None and artifact.study else ""


def debug_step(
    tools: Runtime, flow: Flow, stage: Stage, state: State, partition: str, reads: Reads
) -> DebugOutput:
    """Run an ingest or transform step as a run would; raise what the stage raises."""
    with closing(tools.external_sources):
        return _attempt(tools, flow, stage, state, partition, reads)


def _attempt(
    tools: Runtime, flow: Flow, stage: Stage, state: State, partition: str, reads: Reads
) -> DebugOutput:
    held = FrameStore(tools.artifacts, lambda: None)
    room = DataStepRunner(
        IngestReader(tools, {}), held, PartitionProfiler(tools.artifacts, lambda stage: {}), {}
    )
    rulings = state.rulings.get(stage.name, {}).get(partition, ())
    if stage.kind is Kind.INGEST:
        scan = scan_sources([stage], tools, state.sources, look_at_files, list_table)[stage.name]
        if stage.name in scan.broken:
            raise SourceError(scan.broken[stage.name])
        files = {path: file for path, file in scan.files.items() if partition in file.rows}
        if not files:
            keys = summarize_keys({key for file in scan.files.values() for key in file.rows})
            raise UsageError(
                f"the source of {stage.name} has no rows for {partition!r}; it has {keys}"
            )
        work = Work(
            stage=stage.name,
            partition=partition,
            recipe="",
            files=files,
            rulings=rulings,
            source_rows=total_rows(scan.files),
        )
        made = room.ingest(stage, work)
    elif stage.kind is Kind.TRANSFORM:
        work = Work(
            stage=stage.name,
            partition=partition,
            recipe="",
            inputs=step_inputs_of(flow, stage, state, partition),
            rulings=rulings,
        )
        # Results of memos may have cost money, so they are kept.
        with MemoSession(tools.memos).activate():
            made = room.transform(stage, work, reads, FoldSession(tools.memos, held))
    else:
        raise UsageError(
            f"--debug works on ingest and transform stages, {stage.name} is a {stage.kind}"
        )
    frames = [pl.read_parquet(bytes(payload)) for payload, _ in made.objects]
    return DebugOutput(
        product=made.product,
        rows=frames[0],
        bad=frames[1] if len(frames) > 1 else None,
        objects=made.objects,
    )


def step_inputs_of(
    flow: Flow, stage: Stage, state: State, partition: str
) -> dict[str, dict[str, Binding]]:
    """The published partitions that a step reads; UsageError if an input has none for it."""
    held = {
        item.name: state.heads[item.name].partitions if item.name in state.heads else {}
        for item in stage.frames
    }
    keys = {name: readable_keys(bound) for name, bound in held.items()}
    seen = visible_keys(flow, stage, partition, keys)
    for item in stage.frames:
        if not seen.get(item.name) and not item.optional:
            there = summarize_keys(keys[item.name]) or "no partitions"
            raise UsageError(f"{stage.name} {partition} needs {item.name}, which has {there}")
    return {name: {key: held[name][key] for key in chosen} for name, chosen in seen.items()}


def visible_keys(
    flow: Flow, stage: Stage, partition: str, keys: Mapping[str, Sequence[str]]
) -> Mapping[str, Sequence[str]]:
    """The partitions of each input that a step reads, of those that there are."""
    cuts = partitionings_of(flow)
    if partition == WHOLE:
        return visible_to_unpartitioned(stage, cuts, keys)
    return {
        item.name: visible_partitions(
            item, partition, cuts[stage.name], cuts[item.name], keys[item.name]
        )
        or ()
        for item in stage.frames
    }
