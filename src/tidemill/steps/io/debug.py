"""Run one step in this process for debugging: breakpoints work, and nothing is published."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import polars as pl

from tidemill.analysis.query.summary import Reads
from tidemill.core.errors import UsageError
from tidemill.core.partition import WHOLE, placed, spread
from tidemill.folds.io.partials_cache import Folder
from tidemill.ledger.binding import Binding, Product
from tidemill.memos.io.lookup import Desk
from tidemill.ports.ledger import State
from tidemill.ports.runtime import Tools
from tidemill.sources.io.listing import list_source
from tidemill.sources.io.row_counts import count_rows
from tidemill.sources.io.tables import look
from tidemill.steps.io.data_step import Workroom
from tidemill.steps.io.ingest_reader import Intake
from tidemill.steps.step_messages import Work
from tidemill.store.frames import Frames
from tidemill.store.profiles import Profiles
from tidemill.workflow.partition_mapping import cuts_of, seen_whole, visible
from tidemill.workflow.stage import Flow, Kind, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The output of a step: rows that would be published, and rows that would be quarantined."""

    product: Product
    rows: pl.DataFrame
    bad: pl.DataFrame | None


def attempt(
    tools: Tools, flow: Flow, stage: Stage, state: State, partition: str, reads: Reads
) -> Trial:
    """Run an ingest or transform step as a run would; raise what the stage raises."""
    with closing(tools.outside):
        return _attempt(tools, flow, stage, state, partition, reads)


def _attempt(
    tools: Tools, flow: Flow, stage: Stage, state: State, partition: str, reads: Reads
) -> Trial:
    held = Frames(tools.artifacts, lambda: None)
    room = Workroom(Intake(tools, {}), held, Profiles(tools.artifacts, lambda stage: {}), {})
    rulings = state.rulings.get(stage.name, {}).get(partition, ())
    if stage.kind is Kind.INGEST:
        known = state.sources.get(stage.name, {})
        scan = list_source(stage, tools, known, count_rows, look)
        files = {path: file for path, file in scan.files.items() if partition in file.rows}
        if not files:
            keys = spread({key for file in scan.files.values() for key in file.rows})
            raise UsageError(
                f"the source of {stage.name} has no rows for {partition!r}; it has {keys}"
            )
        work = Work(stage=stage.name, partition=partition, recipe="", files=files, rulings=rulings)
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
        with Desk(tools.memos).open():
            made = room.transform(stage, work, reads, Folder(tools.memos, held))
    else:
        raise UsageError(
            f"--debug works on ingest and transform stages, {stage.name} is a {stage.kind}"
        )
    frames = [pl.read_parquet(payload) for payload, _ in made.objects]
    return Trial(product=made.product, rows=frames[0], bad=frames[1] if len(frames) > 1 else None)


def _inputs(
    flow: Flow, stage: Stage, state: State, partition: str
) -> dict[str, dict[str, Binding]]:
    held = {
        item.name: state.heads[item.name].partitions if item.name in state.heads else {}
        for item in stage.frames
    }
    keys = {name: placed(bound) for name, bound in held.items()}
    cuts = cuts_of(flow)
    if partition == WHOLE:
        seen = seen_whole(stage, cuts, keys)
    else:
        seen = {
            item.name: visible(
                item, partition, stage.partitioning, cuts[item.name], keys[item.name]
            )
            or ()
            for item in stage.frames
        }
    for item in stage.frames:
        if not seen.get(item.name) and not item.optional:
            there = spread(keys[item.name]) or "no partitions"
            raise UsageError(f"{stage.name} {partition} needs {item.name}, which has {there}")
    return {name: {key: held[name][key] for key in chosen} for name, chosen in seen.items()}
