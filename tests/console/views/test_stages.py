"""The list of stages: what each published, in which order, and what a filter leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import edit
from tests.support.console import Visitor
from tidemill.console.views.stages import list_stages
from tidemill.core.errors import UsageError
from tidemill.project.project import Project, open_project

ORDER = ["sales", "weather", "features", "labels", "demand", "demand_scores", "forecast"]


@pytest.fixture
def bakery(built: Path) -> Iterator[Project]:
    with open_project(built) as project:
        yield project


def test_what_a_stage_published(bakery: Project) -> None:
    found = list_stages(bakery)
    assert [row.name for row in found.stages] == ORDER
    sales = found.stages[0]
    assert (sales.kind, sales.state, sales.owner) == ("ingest", "up to date", "the-bakers")
    assert (sales.partitions, sales.rows, sales.quarantined) == (28, 1004, 8)
    assert (sales.contract, sales.problems) == ("1.0.0", ())
    assert sales.about == "One row per shop and opening hour, as the tills send it."
    assert sales.newest is not None


def test_orders_and_pages(bakery: Project) -> None:
    def names(**wanted: object) -> list[str]:
        return [row.name for row in list_stages(bakery, **wanted).stages]  # type: ignore[arg-type]

    assert names(sort="quarantined")[0] == "sales"
    assert names(sort="-name") == sorted(ORDER, reverse=True)
    assert names(sort="-workflow") == ORDER[::-1]
    first = list_stages(bakery, sort="name", limit=3)
    assert (first.first, first.next, first.selected) == (1, "features", 7)
    assert names(sort="name", after=first.next) == sorted(ORDER)[3:]
    with pytest.raises(UsageError, match=r"no order 'row' .*rows"):
        list_stages(bakery, sort="row")
    with pytest.raises(UsageError, match="isn't listed any more"):
        list_stages(bakery, after="gone")


def test_filters(bakery: Project) -> None:
    found = list_stages(bakery, kind="ingest", text="SHOP and")
    assert [row.name for row in found.stages] == ["sales"]
    assert (found.total, found.selected) == (7, 1)
    assert {each.value: each.stages for each in found.kinds}["transform"] == 2
    assert list_stages(bakery, state="stale").stages == ()


def test_a_stage_that_is_no_longer_declared_comes_last(built: Path) -> None:
    edit(built / "bakery.py", "def labels", "def truth")
    edit(built / "bakery.py", "labels: tm.Frame[Labels], params", "truth: tm.Frame[Labels], params")
    edit(built / "bakery.py", "features.join(labels,", "features.join(truth,")
    text = (built / "bakery.py").read_text().replace("labels: tm.Frame", "truth: tm.Frame")
    (built / "bakery.py").write_text(text.replace("labels.", "truth.").replace("(labels", "(truth"))
    with open_project(built) as project:
        found = list_stages(project)
    assert found.stages[-1].name == "labels"
    assert found.stages[-1].state == "no longer declared"
    assert found.stages[-1].rows == 1004
    assert {row.state for row in found.stages if row.name == "truth"} == {"never run"}


def test_a_model_says_which_version_is_live(shops: Path) -> None:
    with Visitor(shops) as visitor:
        live = visitor.api("/models/demand/live")["version"]
        rows = {each["name"]: each["live"] for each in visitor.api("/stages")["stages"]}
        stage = visitor.page("/stages/demand").words
    assert (rows["demand"], rows["sales"]) == (live, "")
    assert f"trained last. {live} is live." in stage
