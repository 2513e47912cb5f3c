"""Workflows as notebooks show them: the graph of their stages, and a row for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidemill.core.counts import plural
from tidemill.core.printable import html_text, shorten
from tidemill.drawing.chart import Chart
from tidemill.drawing.graph import Graph, Node, draw_graph
from tidemill.drawing.graph_layout import Orientation
from tidemill.drawing.notebook import notebook_html, notebook_table
from tidemill.drawing.svg import Hue
from tidemill.workflow.seal import dependencies, resolve_declaration
from tidemill.workflow.stage import Kind, Stage
from tidemill.workflow.workflow import Workflow

# Graphs of more stages are too small to read.
_MOST_DRAWN = 60
_MOST_FAULTS, _LONGEST = 5, 300
HUES: Mapping[Kind, Hue] = {
    Kind.INGEST: Hue.BLUE,
    Kind.TRANSFORM: Hue.TEAL,
    Kind.MODEL: Hue.VIOLET,
    Kind.EVALUATE: Hue.AMBER,
    Kind.DELIVER: Hue.GREEN,
}


def workflow_html(workflow: Workflow) -> str:
    """The stages of a workflow as far as they are sound, with the faults of its declaration."""
    found = resolve_declaration(workflow)
    faults = [f"<li>{html_text(shorten(str(fault), _LONGEST))}</li>" for fault in found.faults]
    about = ""
    if faults:
        more = len(faults) - _MOST_FAULTS
        rest = f"<li>and {more:,} more</li>" if more > 0 else ""
        about = (
            f"<p>{plural(len(faults), 'fault')}:</p><ul>{''.join(faults[:_MOST_FAULTS])}{rest}</ul>"
        )
    stages = [*found.stages.values()]
    return stages_html(stages, f"workflow {workflow.name}", about, is_drawn=not faults)


def stages_html(
    stages: Sequence[Stage], title: str, about: str = "", *, is_drawn: bool = True
) -> str:
    """The graph of stages, unless they are many, and a row for each; `about` is HTML between them."""
    rows = (
        (stage.name, str(stage.kind), ", ".join(sorted(dependencies(stage))), stage.place)
        for stage in stages
    )
    drawn = _graph(stages, title).svg if is_drawn and 0 < len(stages) <= _MOST_DRAWN else ""
    # A graph has the title.
    caption = "" if drawn else title
    table = notebook_table(("stage", "kind", "reads", "declared at"), rows, caption=caption)
    return notebook_html(drawn, about, table)


def _graph(stages: Sequence[Stage], title: str) -> Chart:
    names = {stage.name for stage in stages}
    drawing = draw_graph(
        Graph(
            nodes=[
                Node(name=each.name, label=each.name, kind=str(each.kind), hue=HUES[each.kind])
                for each in stages
            ],
            edges=[
                (read, each.name) for each in stages for read in sorted(dependencies(each) & names)
            ],
            direction=Orientation.RIGHT,
        )
    )
    described = f"{plural(len(stages), 'stage')}; the table has what each reads"
    return Chart(title=title, drawing=drawing, description=described)
