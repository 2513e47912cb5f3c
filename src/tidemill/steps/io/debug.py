"""Run one step in this process for debugging: breakpoints work, and nothing is published."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import polars as pl

from tidemill.analysis.query.summary import Reads
from tidemill.core.errors import UsageError
from tidemill.core.partition import WHOLE, readable_keys, summarize_keys
from tidemill.folds.io.partials_cache import FoldSession
from tidemill.ledger.binding import Binding, Product
from tidemill.memos.io.lookup import MemoSession
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Runtime
from tidemill.sources.io.file_listing import list_source
from tidemill.sources.io.first_look import look_at_files
from tidemill.sources.io.tables import list_table
from tidemill.sources.scan import total_rows
from tidemill.steps.io.data_step import DataStepRunner
from tidemill.steps.io.ingest_reader import IngestReader
from tidemill.steps.step_messages import Work
from tidemill.store.frames import FrameStore
from tidemill.store.profiles import PartitionProfiler
from tidemill.workflow.partition_mapping import (
    partitionings_of,
    visible_partitions,
    visible_to_unpartitioned,
)
from tidemill.workflow.stage import Flow, Kind, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugOutput:
    """The output of a step: rows that would be published, and rows that would be quarantined."""

    product: Product
    rows: pl.DataFrame
    bad: pl.DataFrame | None


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
        known = state.sources.get(stage.name, {})
        scan = list_source(stage, tools, known, look_at_files, list_table)
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
            inputs=_inputs(flow, stage, state, partition),
            rulings=rulings,
        )
        # Results of memos may have cost money, so they are kept.
        with MemoSession(tools.memos).activate():
            made = room.transform(stage, work, reads, FoldSession(tools.memos, held))
    else:
        raise UsageError(
            f"--debug works on ingest and transform stages, {stage.name} is a {stage.kind}"
        )
    frames = [pl.read_parquet(payload) for payload, _ in made.objects]
    return DebugOutput(
        product=made.product, rows=frames[0], bad=frames[1] if len(frames) > 1 else None
    )


def _inputs(
    flow: Flow, stage: Stage, state: State, partition: str
) -> dict[str, dict[str, Binding]]:
    held = {
        item.name: state.heads[item.name].partitions if item.name in state.heads else {}
        for item in stage.frames
    }
    keys = {name: readable_keys(bound) for name, bound in held.items()}
    cuts = partitionings_of(flow)
    if partition == WHOLE:
        seen = visible_to_unpartitioned(stage, cuts, keys)
    else:
        seen = {
            item.name: visible_partitions(
                item, partition, cuts[stage.name], cuts[item.name], keys[item.name]
            )
            or ()
            for item in stage.frames
        }
    for item in stage.frames:
        if not seen.get(item.name) and not item.optional:
            there = summarize_keys(keys[item.name]) or "no partitions"
            raise UsageError(f"{stage.name} {partition} needs {item.name}, which has {there}")
    return {name: {key: held[name][key] for key in chosen} for name, chosen in seen.items()}
