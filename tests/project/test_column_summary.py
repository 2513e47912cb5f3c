"""A stored profile gives the same summary as the rows."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.commands import tidemill
from tidemill.contracts.profiles.partition_profile import profile_frame
from tidemill.project.column_summary import profile_summary, row_summary
from tidemill.store.profiles import SMALL

START = dt.datetime(2026, 1, 1, 12)
FRAME = pl.DataFrame(
    {
        "int": [3, None, 1],
        "large": [2**62, 2**62 + 1, 0],
        "huge": pl.Series([2**100, 1, None], dtype=pl.Int128),
        "decimal": pl.Series([Decimal("1.50"), None, Decimal("10.25")], dtype=pl.Decimal(10, 2)),
        "float": [1.5, float("nan"), None],
        "day": [dt.date(2026, 1, 1), None, dt.date(2025, 1, 1)],
        "at": pl.Series([START, None, START], dtype=pl.Datetime("us", "UTC")),
        "took": [dt.timedelta(seconds=1), None, dt.timedelta(days=2)],
        "time": [dt.time(1, 2, 3), None, dt.time(0, 0, 1)],
        "text": ["b", "a", None],
        "enum": pl.Series(["b", "a", None], dtype=pl.Enum(["b", "a"])),
        "flag": [True, None, False],
        "list": [[1], [], None],
        "struct": [{"a": 1}, {"a": 2}, None],
        "none": pl.Series([1, 2, 3], dtype=pl.Int8).clear().extend_constant(None, 3),
    }
)


@pytest.mark.parametrize("frame", [FRAME, FRAME.clear()], ids=["rows", "no rows"])
def test_a_stored_profile_gives_the_summary_of_the_rows(frame: pl.DataFrame) -> None:
    assert profile_summary(profile_frame(frame), frame.schema) == row_summary(frame.lazy())


def test_a_number_that_is_estimated_is_marked() -> None:
    frame = pl.DataFrame({"n": range(1000), "few": [1] * 1000})
    found: list[dict[str, Any]] = profile_summary(profile_frame(frame), frame.schema)
    assert found[0]["about"]
    assert found[0]["unique"] == pytest.approx(1000, rel=4 * 0.046)
    assert "about" not in found[1]


def test_profile_of_every_kind_of_column() -> None:
    frame = pl.LazyFrame(
        {
            "number": [3, None, 1],
            "kind": ["a", "b", "a"],
            "list": [[1], [2], None],
        },
        schema_overrides={"kind": pl.Enum(["b", "a"])},
    )
    found = {known["name"]: known for known in row_summary(frame)}
    assert found["number"] == {
        "name": "number",
        "type": "Int64",
        "rows": 3,
        "nulls": 1,
        "min": 1,
        "max": 3,
        "unique": 2,
    }
    # Null is no value, NaN is one.
    values = {item["name"]: item["unique"] for item in row_summary(FRAME.lazy())}
    assert (values["float"], values["none"], values["text"]) == (2, 0, 2)
    # Categories have an order of their own, which a minimum would only suggest.
    assert (found["kind"]["type"], found["kind"]["min"], found["kind"]["unique"]) == (
        "Enum",
        None,
        2,
    )
    assert (found["list"]["nulls"], found["list"]["unique"]) == (1, None)


def test_profile_of_columns_that_clash_with_the_names_of_its_figures() -> None:
    found = row_summary(pl.LazyFrame({"rows": [1, 2], "nulls rows": [3, 4]}))
    assert [(known["name"], known["rows"], known["max"]) for known in found] == [
        ("rows", 2, 2),
        ("nulls rows", 2, 4),
    ]


FLOW = """
import tidemill as tm


class Rows(tm.Contract, key=("id",)):
    id = tm.Int64()
    even = tm.Bool()


flow = tm.Workflow("rows", owner="tests")


@flow.ingest
def raw() -> tm.Source[Rows]:
    return tm.files("data.parquet")
"""


def test_show_reads_the_profile_of_a_large_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "shown:flow"\n')
    (tmp_path / "shown.py").write_text(FLOW)
    numbers = pl.select(id=pl.int_range(SMALL)).with_columns(even=pl.col("id") % 2 == 0)
    numbers.write_parquet(tmp_path / "data.parquet")
    assert tidemill("run").code == 0

    def forbidden(*_: object) -> None:
        raise AssertionError("the rows are read")

    monkeypatch.setattr("tidemill.project.data.row_summary", forbidden)
    lines = tidemill("show", "raw").out.split("\n")
    line = lines[3].split()
    assert line[:5] == ["id", "Int64", "-", "0", f"{SMALL - 1}"]
    assert line[5].startswith("~")
    assert lines[4].split()[:6] == ["even", "Boolean", "-", "False", "True", "2"]
