"""The pages of data show data that nobody chose, and forms send back what they got."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import polars as pl
import pytest

from tests.support.commands import process
from tests.support.console import Visitor
from tidemill.project.project import open_project

FLOW = '''
import tidemill as tm

class Odd(tm.Contract, version="1.0.0", key=("region", "id"), unknown_columns="keep"):
    """Columns from <script>alert(1)</script> files."""
    region = tm.String(partition="value")
    id = tm.Int64(min=0)

flow = tm.Workflow("odd", owner="<b>ana</b>")

@flow.ingest
def odd() -> tm.Source[Odd]:
    """Reads "><script>alert(1)</script> \\u202e."""
    return tm.files("data/*.parquet")

@flow.transform
def never(odd: tm.Frame[Odd]) -> tm.Frame[Odd]:
    if odd.collect().height:
        raise ValueError("<script>alert(1)</script>" + "x" * 10_000)
    return odd
'''
REGIONS = [
    "EU/West",
    "\u202eRTL",
    "<script>alert(1)</script>",
    " lead ",
    "a&b=c?d#e",
    "'\"onmouseover=1",
]
COLUMNS = {
    'we "ird" <script>alert(1)</script>': "<script>alert(1)</script>",
    "sp ace.dot": '"onmouseover="alert(1)',
    "\u202egnp": "\u202etxt",
    "long": "L" * 10_000,
    "blank": "",
}
PAGES = ("", "/partitions", "/rows", "/profile", "/drift", "/contract", "/quarantine")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("odd")
    (root / "data").mkdir()
    rows = [
        {"region": region, "id": number, **COLUMNS} for region in REGIONS for number in (1, 2, -3)
    ]
    pl.DataFrame(rows).write_parquet(root / "data" / "a.parquet")
    (root / "console_data_flow.py").write_text(FLOW)
    (root / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "console_data_flow:flow"\n')
    assert process("run", cwd=root).returncode == 1
    return root


@pytest.fixture
def visitor(template: Path) -> Iterator[Visitor]:
    with Visitor(template) as found:
        yield found


def assert_harmless(text: str) -> None:
    assert "<script>alert" not in text
    assert '"onmouseover="alert' not in text
    assert "<b>" not in text
    assert " style=" not in text


@pytest.mark.parametrize("stage", ["odd", "never"])
def test_every_page_of_a_stage(visitor: Visitor, stage: str) -> None:
    for page in PAGES:
        found = visitor.page(f"/stages/{stage}{page}")
        assert_harmless(found.text)
        assert found.text.count("<h1>") == 1
    assert_harmless(visitor.page("/stages").text)


@pytest.mark.parametrize("region", REGIONS)
def test_every_page_of_a_partition(visitor: Visitor, region: str) -> None:
    key = quote(region, safe="")
    for page in ("rows", "profile", "quarantine/partition", "quarantine/rows", "quarantine/rows/0"):
        assert_harmless(visitor.page(f"/stages/odd/{page}?partition={key}").text)
    assert visitor.api(f"/stages/odd/partitions?contains={key}")["selected"] == 1


def test_a_cell_of_an_odd_column_is_corrected(visitor: Visitor, template: Path) -> None:
    path, region = "/stages/odd/quarantine/rows/0", REGIONS[2]
    page = visitor.page(f"{path}?partition={quote(region, safe='')}")
    odd = next(iter(COLUMNS))
    sent = {"partition": region, "cells.id": "3", f"cells.{odd}": "fine", "reason": "\u202ewhy"}
    done = visitor.send(page, path, sent)
    assert "1 quarantined row replaced by" in done.words
    process("run", "odd", cwd=template)
    with open_project(template) as project:
        rows = project.read("odd", region).filter(pl.col("id") == 3).collect()
    assert rows.get_column(odd).to_list() == ["fine"]
    assert rows.get_column("\u202egnp").to_list() == ["\u202etxt"]
