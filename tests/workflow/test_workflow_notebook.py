"""Workflows in notebooks."""

from __future__ import annotations

import tidemill as tm
from tidemill.workflow.seal import seal
from tidemill.workflow.workflow_notebook import stages_html, workflow_html


class Raw(tm.Contract, key=("id",)):
    id = tm.Int64()


def declared(stages: int = 1) -> tm.Workflow:
    """A workflow of an ingest and some transforms that read it."""
    flow = tm.Workflow("w<b>")

    @flow.ingest
    def raw() -> tm.Source[Raw]:
        return tm.files("data/*.parquet")

    def copy(raw: tm.Frame[Raw]) -> tm.Frame[Raw]:
        return raw

    for n in range(stages):
        copy.__name__ = f"copy{n}"
        flow.transform(copy)
    return flow


def test_the_graph_and_a_row_for_each_stage() -> None:
    found = workflow_html(declared())
    # The graph has the title.
    assert ">workflow w&lt;b&gt;</text>" in found
    assert "<caption>" not in found
    assert "<td>copy0</td><td>transform</td><td>raw</td>" in found
    assert found.count('class="box"') == 2
    assert found.count('class="edge"') == 1
    assert seal(declared())._repr_html_() == found


def test_faults_are_told_and_nothing_is_drawn() -> None:
    flow = declared()

    def wrong(rae: tm.Frame[Raw]) -> tm.Frame[Raw]:
        return rae

    for n in range(7):
        wrong.__name__ = f"wrong{n}"
        flow.transform(wrong)
    found = workflow_html(flow)
    assert "<p>7 faults:</p>" in found
    assert "<li>and 2 more</li>" in found
    assert "<svg" not in found


def test_many_stages_are_not_drawn() -> None:
    found = workflow_html(declared(150))
    assert "<svg" not in found
    assert "<caption>workflow w&lt;b&gt;</caption>" in found
    assert "and 51 more, left out" in found
    assert "<svg" not in stages_html([], "empty")
