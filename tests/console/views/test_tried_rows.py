"""A row is answered as an endpoint does; what is wrong with it is said beside what was sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import tidemill as tm
from tests.behaviour import test_feature_endpoints as rides
from tests.support.console import Visitor
from tidemill.console.views.tried_rows import show_row_form, try_row
from tidemill.core.errors import UsageError
from tidemill.project.project import Project, open_project

HOSTILE = '"><script>alert(1)</script>\u202e'


@pytest.fixture
def project(shops: Path) -> Iterator[Project]:
    with open_project(shops) as found:
        yield found


@pytest.fixture
def shop(shops: Path) -> Iterator[Visitor]:
    with Visitor(shops) as found:
        yield found


def test_the_form_has_a_field_for_each_input(project: Project) -> None:
    found = show_row_form(project, "demand")
    fields = {field.name: field for field in found.fields}
    assert list(fields) == ["kind", "price", "rain", "open_late"]
    assert fields["kind"].choices == ("rye", "wheat", "spelt")
    assert fields["open_late"].choices == ("true", "false")
    assert fields["price"].is_number
    assert fields["price"].about == "in EUR; at least 0; at most 20"
    assert fields["rain"].is_nullable
    assert fields["kind"].value in fields["kind"].choices
    assert [show_row_form(project, "demand", seed=n) for n in range(4)].count(found) == 1
    assert found.versions == (project.state().live["demand"].artifact.id,)


def test_a_row_is_answered_by_the_version_that_is_live(project: Project) -> None:
    row = {"kind": "rye", "price": "2.5", "rain": "", "open_late": "true"}
    found = try_row(project, "demand", json.dumps(row))
    assert found.answer is not None, found.problem
    assert isinstance(found.answer.outputs["prediction"], float)
    assert found.answer.version == project.state().live["demand"].artifact.id
    assert (found.answer.contract, found.answer.features) == ("Sales 1.2.0", {})
    typed = {"kind": "rye", "price": 2.5, "rain": None, "open_late": True}
    again = try_row(project, "demand", json.dumps(typed), version=found.answer.version)
    assert again.answer == found.answer
    busy = {"kind": "rye", "price": "2.5", "shop": "M\u00fchle"}
    assert try_row(project, "busy", json.dumps(busy)).answer is not None


@pytest.mark.parametrize(
    ("endpoint", "row", "version", "words"),
    [
        (
            "demand",
            {"kind": "rye", "price": "a"},
            "",
            "price.type: values can't be cast to Float64",
        ),
        ("demand", {"kind": "corn"}, "", "kind.type"),
        ("demand", {"nothing": 1}, "", "Sales has no column 'nothing'"),
        ("demand", {"price": 1, "kind": "rye"}, "", "the row has no 'open_late'"),
        ("strict", {}, "", "strict has no live version yet"),
        ("demand", {}, "0123456789ab", "was never delivered here"),
    ],
)
def test_what_is_wrong_is_told(
    project: Project, endpoint: str, row: dict[str, object], version: str, words: str
) -> None:
    found = try_row(project, endpoint, json.dumps(row), version)
    assert found.answer is None
    assert words in found.problem


def test_what_is_no_row_or_no_endpoint_is_refused(project: Project) -> None:
    for text in ("[1]", "{", "3"):
        with pytest.raises(UsageError, match="not a JSON object"):
            try_row(project, "demand", text)
    with pytest.raises(UsageError, match="there is no endpoint 'demamd'"):
        show_row_form(project, "demamd")


def test_a_model_that_can_not_be_loaded_is_named(project: Project) -> None:
    live = project.state().live["demand"].artifact
    project.tools.artifacts.remove([live.object])
    row = {"kind": "rye", "price": 1.0, "open_late": True}
    found = try_row(project, "demand", json.dumps(row))
    assert found.answer is None
    assert live.object[:12] in found.problem or "missing" in found.problem
    assert found.fields


def test_without_the_extra_it_says_what_to_install(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: Project) -> None:
        raise UsageError("serving needs uvicorn: pip install 'tidemill[serve]'")

    monkeypatch.setattr(Project, "serving", property(missing))
    found = show_row_form(project, "demand")
    assert (found.fields, found.problem) == (
        (),
        "serving needs uvicorn: pip install 'tidemill[serve]'",
    )
    assert try_row(project, "demand", "{}").problem == found.problem


def test_features_that_were_looked_up_are_shown(tmp_path: Path) -> None:
    rides.write(tmp_path)
    with tm.open(tmp_path, workflow=rides.workflow(tmp_path)) as project:
        project.run(inline=True)
        day = str(rides.DAYS[-1])
        row = {"day": day, "id": "1", "zone": "a", "miles": "10"}
        found = try_row(project, "tips", json.dumps(row))
        assert found.answer is not None, found.problem
        assert found.answer.features == {"hours": 0.5, "inches": 0.5}


def test_the_page_shows_the_answer_beside_what_was_sent(shop: Visitor) -> None:
    path = "/endpoints/demand/try"
    page = shop.page(path)
    assert "style=" not in page.text
    fields = {
        "row.kind": "rye",
        "row.price": "2.5",
        "row.rain": "",
        "row.open_late": "false",
        "version": "",
    }
    good = shop.send(page, path, fields)
    assert (good.status, "Sales 1.2.0" in good.words) == (200, True)
    assert 'value="2.5"' in good.text
    bad = shop.send(good, path, {**fields, "row.price": HOSTILE})
    assert "price.type" in bad.words
    assert "<script>alert" not in bad.text
    assert "\u202e" not in bad.text
    assert "strict has no live version yet" in shop.page("/endpoints/strict/try").words
