"""A small flow with a stage of each kind, and what its events of OpenLineage are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.support.planning import deliver, evaluate, flow_of, ingest, model, reads, transform
from tidemill.core.redaction import Redactor
from tidemill.ledger.event import Event, RecordedEvent
from tidemill.lineage.openlineage.dataset_names import Places
from tidemill.lineage.openlineage.facets import CodeLocation, Json
from tidemill.lineage.openlineage.lineage_context import LineageContext
from tidemill.lineage.openlineage.run_events import RunEvents
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.sink import Sink
from tidemill.workflow.source import Files, Source
from tidemill.workflow.stage import Flow

CODE = CodeLocation(
    url="https://git.shop/shop/blob/1/a.py",
    repository="https://git.shop/shop",
    path="a.py",
    commit="1",
)


def shape() -> str:
    """Cleans what came.

    In detail: not at all.
    """
    return ""


RAW = ingest("raw")
CLEAN = replace(transform("clean", "day", reads(RAW)), function=shape)
OPAQUE = transform("opaque", "whole", reads(CLEAN))
MODEL = model("model", reads(CLEAN))
SCORES = evaluate("scores", MODEL, reads(CLEAN))
SCORED = deliver("scored", MODEL, CLEAN)
SENT = replace(SCORED, name="sent", model="", inputs=(reads(CLEAN),), sink=Sink(folder="rows"))
FLOW = replace(
    flow_of(RAW, CLEAN, OPAQUE, MODEL, SCORES, SCORED, SENT), name="my shop.eu", owner="us"
)
RECIPES = {
    **{stage.name: Recipe(digest=f"recipe of {stage.name}") for stage in FLOW.stages},
    "clean": Recipe(
        digest="recipe of clean",
        lineage={"own": {"raw": ("own",)}, "x": {"raw": ("own", "x")}},
        values={"own": {"raw": ("own",)}, "x": {"raw": ("x",)}},
        copied=("own",),
        row_reads={"raw": ("own",)},
    ),
}


def context(
    flow: Flow = FLOW, source: Source[Any] | None = None, code: CodeLocation | None = None
) -> LineageContext:
    """The context of a flow whose ingests read `source`, by default some files."""
    found = source or Files(pattern="data/*.csv")
    return LineageContext(
        flow=flow,
        recipes=RECIPES,
        places=Places(
            namespace="ns", root="/srv", resolve=str, workflow_of=lambda output: output.workflow
        ),
        version="1.2.3",
        source_of=lambda stage: found,
        code_of=lambda stage: code,
        redact=Redactor(["s3cret"]).redact,
    )


def events_of(
    facts: Sequence[Event], about: LineageContext | None = None, *, times: Sequence[float] = ()
) -> list[Json]:
    """The events that these of the ledger lead to; they are appended one a second, or at `times`."""
    made = RunEvents(about or context())
    found = [
        make
        for seq, fact in enumerate(facts)
        for make in made.add(
            RecordedEvent(seq=seq + 1, at=times[seq] if times else 1000.0 + seq, event=fact)
        )
    ]
    return [make() for make in found]
