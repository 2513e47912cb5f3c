"""Draw when the steps of a run ran, from the document of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

from tidemill.core.partition import shown_key
from tidemill.drawing.document import page_element
from tidemill.drawing.timeline import Timeline, TimelineBar, draw_timeline
from tidemill.ledger.run import Outcome
from tidemill.ledger.run_notebook import DRAWN_OUTCOMES


def run_timeline(document: Mapping[str, Any], url: Callable[..., str]) -> Markup:
    """The attempts of a run in a lane a stage; each leads to its log, to which `url` makes links."""
    run = document["run"]["id"]
    bars = [
        TimelineBar(
            lane=each["stage"],
            label=shown_key(each["partition"]) or each["stage"],
            start=each["begun"],
            end=each["begun"] + each["wall_s"],
            status=DRAWN_OUTCOMES[Outcome(each["outcome"])],
            detail=each["outcome"],
            href=url("runs", run, "log", stage=each["stage"], partition=each["partition"]),
        )
        for each in document["timeline"]
    ]
    now = max((bar.end or bar.start for bar in bars), default=0.0)
    drawing = draw_timeline(Timeline(bars=bars, now=now))
    return Markup(page_element(drawing, prefix="timeline", title="When each step ran"))
