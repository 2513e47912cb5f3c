"""One stage as a whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import in_labels, process, tidemill
from tests.support.console import Visitor, write_project
from tests.support.users import USER
from tidemill.console.views.stage import show_stage
from tidemill.core.errors import UsageError
from tidemill.ledger.event import Event
from tidemill.project.project import open_project
from tidemill.testing.records import attempted_event, run_started_event


def test_what_it_reads_and_who_reads_it(built: Path) -> None:
    with open_project(built) as project:
        found = show_stage(project, "features")
        model = show_stage(project, "demand")
        with pytest.raises(UsageError, match="did you mean 'sales'"):
            show_stage(project, "sale")
    assert found.place == "bakery.py:60"
    assert found.key_range == "2026-01-05 .. 2026-02-01 (28)"
    assert [(each.stage, each.columns, each.ignored) for each in found.inputs] == [
        ("sales", "date, shop, hour", "sold"),
        ("weather", "date, temperature, rain", ""),
    ]
    assert len(found.inputs[0].files) == 5
    # The last 20 partitions are traced, each of a file.
    assert found.inputs[0].more_files == 15
    assert [each.stage for each in found.readers] == ["demand", "demand_scores", "forecast"]
    assert found.contract is not None
    assert found.contract.columns[0].read_by == ("demand", "demand_scores", "forecast")
    assert (found.runs[0].done, found.runs[0].failed) == (28, 0)
    assert len(found.calendar.days) == 28
    assert [month.partitions for month in found.calendar.months] == [1, 27]
    assert model.contract is None
    assert [each.stage for each in model.inputs if each.is_direct] == ["features", "labels"]


def test_a_stage_with_many_partitions_and_attempts(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.console.views.stage._TRACED", 3)
    monkeypatch.setattr("tidemill.console.views.stage._ATTEMPTS", 20)
    with open_project(built) as project:
        one = show_stage(project, "features")
        events: list[Event] = [run_started_event("r2"), attempted_event("features", run="r2")]
        project.tools.ledger.append(events, now=project.tools.clock())
        two = show_stage(project, "features")
    assert one.traced == 3
    assert [each.partitions for each in one.inputs] == ["2026-01-30 .. 2026-02-01 (3)"] * 2
    assert [(each.done, each.is_cut) for each in one.runs] == [(20, True)]
    assert [(each.run, each.done, each.is_cut) for each in two.runs] == [("r2", 1, False)]


def test_a_table_without_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(tmp_path, end='flow.table("copy", stage=rows, sink=tm.parquet("out"))')
    (tmp_path / "a.csv").write_text("id\n1\n")
    monkeypatch.chdir(tmp_path)
    assert tidemill("run").code == 0
    assert "rows" in tidemill("explain", "copy").out
    with Visitor(tmp_path) as visitor:
        assert [each["stage"] for each in visitor.api("/stages/copy")["inputs"]] == ["rows"]
        assert "rows" in visitor.page("/stages/copy/explain").words


def test_a_stage_that_never_ran_and_one_that_fails(fresh: Path) -> None:
    in_labels(fresh, "    raise ValueError('<b>no</b>')\n")
    assert process("run", cwd=fresh).returncode == 1
    with open_project(fresh) as project:
        labels, demand = show_stage(project, "labels"), show_stage(project, "demand")
    assert labels.row.state == "failed"
    assert "<b>no</b>" in labels.row.detail
    assert [problem.kind for problem in labels.row.problems] == ["failed stage"]
    assert labels.runs[0].failed == 28
    assert "<b>no</b>" in labels.runs[0].message
    assert (demand.row.state, demand.row.partitions) == ("never run", 0)
    assert [(run.done, run.failed) for run in demand.runs] == [(0, 0)]


def test_a_delivery_says_where_to_and_how_to_go_back(built: Path) -> None:
    first = tidemill("runs", "--json").document["runs"][0]["id"]
    assert tidemill("run", "forecast", "--again").code == 0
    with open_project(built) as project:
        found = show_stage(project, "forecast").delivered_to
        assert show_stage(project, "features").delivered_to is None
    assert found is not None
    assert (found.format, found.place, found.table) == ("parquet", "out/forecast", "")
    assert [each.run for each in found.earlier] == [first]
    [earlier] = found.earlier
    assert earlier.command == f"tidemill restore forecast {first}"
    assert found.right.is_allowed
    # It does what the page says.
    assert tidemill(*earlier.command.split()[1:]).code == 0
    with Visitor(built) as guest:
        page = guest.page("/stages/forecast")
    assert "Delivered to parquet out/forecast" in page.words
    assert earlier.command in page.words


def test_what_a_stage_published_that_is_gone_is_removed(built: Path) -> None:
    flow = built / "bakery.py"
    flow.write_text(flow.read_text().replace("forecast", "outlook"))
    with Visitor(built) as visitor:
        declared = visitor.page("/stages/sales")
        assert "Remove what it published" not in declared.words
        refused = visitor.send(declared, "/stages/sales/forget", {"confirm": "sales"})
        assert (refused.status, "sales is declared in bakery" in refused.words) == (400, True)
        page = visitor.page("/stages/forecast")
        wrong = visitor.send(page, "/stages/forecast/forget", {"confirm": "sales"})
        assert (wrong.status, "repeat its name" in wrong.words) == (400, True)
        done = visitor.send(page, "/stages/forecast/forget", {"confirm": "forecast"})
        assert "Removed forecast with 28 partitions from prod." in done.words
        assert done.url.endswith("/stages")
        (entry,) = visitor.api("/audit?kinds=Acted")["entries"]
        assert (entry["entry"]["who"], entry["entry"]["subject"]) == (USER, "forecast")
        visitor.page("/stages/forecast", 404)
