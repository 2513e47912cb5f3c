"""Sample rows of a stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.support.people import open_as, write_settings
from tests.support.tides import Tides, day
from tidemill.console.views.stage_rows import show_rows
from tidemill.core.errors import AccessError, UsageError
from tidemill.project.project import Project, open_project


@pytest.fixture
def bakery(built: Path) -> Iterator[Project]:
    with open_project(built) as project:
        yield project


def test_the_first_rows_of_the_last_partition(bakery: Project) -> None:
    found = show_rows(bakery, "sales", rows=2)
    assert (found.partition, found.total_rows) == ("2026-02-01", 36)
    assert [column.name for column in found.table.columns] == ["date", "shop", "hour", "sold"]
    assert [row.number for row in found.table.rows] == [0, 1]
    assert found.table.rows[0].cells[:3] == ("2026-02-01", "harbour", "7")
    assert show_rows(bakery, "sales", "2026-01-05").total_rows == 35
    with pytest.raises(UsageError, match="has no 2027"):
        show_rows(bakery, "sales", "2027")


def test_some_columns_of_many(bakery: Project) -> None:
    found = show_rows(bakery, "features", containing="SHOP", rows=1)
    assert [column.name for column in found.table.columns] == ["shop", "shop_code"]
    assert show_rows(bakery, "features", containing="none").table.columns == ()


def test_a_model_has_an_artifact_and_an_evaluation_scores(bakery: Project) -> None:
    assert show_rows(bakery, "demand").artifact
    scores = show_rows(bakery, "demand_scores")
    assert scores.metrics == ("mae",)
    assert ("baseline", "shop: harbour") in [(one.subject, one.slice) for one in scores.scores]
    assert len(show_rows(bakery, "forecast").table.rows) == 36


def test_only_some_columns_of_a_wide_table_are_read(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "project")
    tides.edit('key=("day", "id"))', 'key=("day", "id"), unknown_columns="keep")')
    frame = pl.DataFrame(
        {"day": [None], "id": [1], "value": [1.0]}, schema_overrides={"day": pl.Date}
    )
    frame = frame.with_columns(pl.lit(day(0)).str.to_date().alias("day"))
    tides.put("a.parquet", frame.with_columns(pl.lit(n).alias(f"c{n}") for n in range(300)))
    tides.run("raw")
    with tides.open() as project:
        found = show_rows(project, "raw", first_column=280)
        beyond = show_rows(project, "raw", first_column=9_999)
    assert found.table.columns[0].name == "c277"
    assert (len(found.table.columns), found.table.total_columns) == (23, 303)
    assert (len(beyond.table.columns), beyond.table.first_column) == (50, 0)


def test_who_may_not_read_sees_no_rows(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "project")
    tides.send(0)
    tides.run()
    write_settings(tides.root)
    with open_as(tides, "vera") as project:
        assert show_rows(project, "raw").total_rows == 3
    with open_as(tides, "mallory") as project, pytest.raises(AccessError, match="may not read"):
        show_rows(project, "raw")
