"""Who reads a column is found from the first page, whatever the column is called."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.commands import process
from tests.support.console import Visitor
from tidemill.console.drawn_graphs import column_svg
from tidemill.console.io.drawn_pages import page_url
from tidemill.console.views.explain import explain_stage
from tidemill.console.views.lineage import show_column_lineage, show_lineage
from tidemill.core.errors import UsageError
from tidemill.core.json_values import to_json_values
from tidemill.project.project import open_project

ODD = ('a "quoted" name', "<script>alert(1)</script>", "שלום", 'x"onmouseover="y', "a/b", "%2e")
FLOW = '''
"""A wide table with column names that nobody chose, and a diamond below it."""
import polars as pl
import tidemill as tm

ODD = {odd!r}
Wide = type("Wide", (tm.Contract,), {{
    "__module__": __name__,
    "__doc__": "A <b>wide</b> table",
    "n": tm.Int64(description="<i>the</i> number"),
    **{{name: tm.Int64() for name in ODD}},
    **{{f"c{{i}}": tm.Int64() for i in range(300)}},
}})


class One(tm.Contract):
    n = tm.Int64()


flow = tm.Workflow("odd", owner="us")


@flow.ingest
def wide() -> tm.Source[Wide]:
    return tm.files("rows.csv")


@flow.transform
def left(wide: tm.Frame[Wide]) -> tm.Frame[One]:
    return wide.select(n=pl.col(ODD[0]) + pl.col(ODD[1]))


@flow.transform
def right(wide: tm.Frame[Wide]) -> tm.Frame[One]:
    return wide.select(n="c7")


@flow.transform
def both(left: tm.Frame[One], right: tm.Frame[One]) -> tm.Frame[One]:
    return pl.concat([left, right])
'''


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = ["n", *ODD, *(f"c{i}" for i in range(300))]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    (tmp_path / "odd_flow.py").write_text(FLOW.format(odd=ODD), encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.tidemill]\nworkflow = "odd_flow:flow"\n', encoding="utf-8"
    )
    (tmp_path / "rows.csv").write_text(
        ",".join(quoted) + "\n" + ",".join("1" for _ in names) + "\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_neighbourhood_and_its_columns(built: Path) -> None:
    with open_project(built) as project:
        found = show_lineage(project, stage="features", depth=1)
    assert found.graph is not None
    shown = {stage.name for stage in found.graph.stages}
    assert shown == {"sales", "weather", "features", "demand", "demand_scores", "forecast"}
    hits = {hit.column: hit for hit in found.hits}
    assert hits["weekday"].description == "1 is Monday"
    assert hits["weekday"].readers == 3


def test_the_dictionary_is_searched_by_name_and_description(built: Path) -> None:
    with open_project(built) as project:
        tables = show_lineage(project)
        assert (tables.graph, tables.total) == (None, len(tables.hits))
        found = show_lineage(project, q="SOLD")
        assert (found.hits[0].stage, found.hits[0].column) == ("sales", "sold")
        by_text = show_lineage(project, q="lost its count")
        assert [hit.column for hit in by_text.hits] == ["sold"]
        assert show_lineage(project, q="no such thing").total == 0
        assert show_lineage(project, whole=True).graph is not None
        with pytest.raises(UsageError, match="did you mean 'sales'"):
            show_lineage(project, stage="sale")


def test_the_list_of_tables_names_their_personal_data(odd: Path) -> None:
    text = (odd / "odd_flow.py").read_text(encoding="utf-8")
    marked = text.replace("    n = tm.Int64()\n", '    n = tm.Int64(pii="address")\n')
    (odd / "odd_flow.py").write_text(marked, encoding="utf-8")
    with open_project(odd) as project:
        kinds = {hit.stage: hit.pii for hit in show_lineage(project).hits}
    assert kinds == {"wide": "", "left": "address", "right": "address", "both": "address"}


def test_who_reads_a_column_and_where_it_comes_from(built: Path) -> None:
    with open_project(built) as project:
        found = show_column_lineage(project, "weather", "temperature")
        with pytest.raises(UsageError, match="has no column 'heat'"):
            show_column_lineage(project, "weather", "heat")
        with pytest.raises(UsageError, match="has no column"):
            show_column_lineage(project, "demand", "x")
    readers = {reader.name: reader for reader in found.readers}
    assert readers["features"].columns == ("temperature",)
    assert readers["features"].is_direct
    assert {readers[name].kind for name in ("demand", "forecast")} == {"model", "deliver"}
    assert [trace.stage for trace in found.traces] == ["weather"]
    svg = column_svg(to_json_values(found), page_url("prod"))
    assert 'href="/lineage/features/temperature"' in svg
    # Its values come on as they are; who delivers it may use any column.
    assert "any column" in svg


def test_why_data_are_what_they_are(built: Path) -> None:
    with open_project(built) as project:
        table = explain_stage(project, "features")
        assert table.partitions == "2026-01-05 .. 2026-02-01 (28)"
        assert [origin.stage for origin in table.origins] == ["weather", "sales"]
        assert table.origins[0].more_files == 23
        column = explain_stage(project, "features", "2026-01-10", "temperature")
        assert column.column is not None
        assert column.column.hash
        assert len(column.column.history) == 1
        model = explain_stage(project, "demand")
        assert model.decisions[0].verdict == "approved"
        assert model.decisions[0].results[0].startswith("passed ")
        with pytest.raises(UsageError):
            explain_stage(project, "features", "2031-01-01")


def test_nothing_is_published_yet(fresh: Path) -> None:
    with Visitor(fresh) as visitor:
        assert "Nothing is published yet" in visitor.page("/stages/features/explain").words
        assert "demand" in visitor.page("/lineage/features/rain").words


def test_names_that_nobody_chose(odd: Path) -> None:
    with Visitor(odd) as visitor:
        page = visitor.page("/lineage?stage=wide")
        # 307 columns, of which a page has 100.
        assert "1 to 100 of 307" in page.words
        assert page.text.count("<script>alert") == 0
        assert 'x"onmouseover' not in page.text
        assert "<b>wide" not in visitor.page("/lineage").text
        # The client of tests decodes addresses twice.
        for name in ODD[:-1]:
            found = visitor.page(f"/lineage/wide/{quote(name, safe='')}")
            assert "<script>alert" not in found.text
            assert "Who reads it" in found.words
        hostile = visitor.page(f"/lineage/wide/{quote(ODD[1], safe='')}").words
        assert "left" in hostile
        assert "both" in hostile
        assert "right" not in hostile.partition("Who reads it")[2].partition("Where it")[0]
        assert visitor.api("/lineage/wide/c7")["readers"][0]["name"] == "right"
        long = visitor.page(f"/lineage?q={'x' * 10_000}")
        assert "Nothing has this text" in long.words


def test_the_pages_of_a_workflow_in_another_environment(built: Path) -> None:
    process("run", "--create", "--env", "trial", "features", cwd=built)
    with Visitor(built) as visitor:
        page = visitor.page("/lineage?stage=features&env=trial")
        assert "/stages/features/explain?env=trial" in page.text
        assert visitor.page("/workflow?env=trial").status == 200
        found = visitor.page("/promote?source=trial")
        assert "Promote trial to prod" in found.words
        # Nothing that isn't there already.
        assert "Promote it" in found.words
