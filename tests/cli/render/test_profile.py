"""A stored profile is told as the rows are."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.commands import tidemill
from tidemill.cli.render.profile import profile, told
from tidemill.contracts.profiles.partition_profile import profile_of
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
def test_a_stored_profile_is_told_as_the_rows_are(frame: pl.DataFrame) -> None:
    assert told(profile_of(frame), frame.schema) == profile(frame.lazy())


def test_a_number_that_is_estimated_is_marked() -> None:
    frame = pl.DataFrame({"n": range(1000), "few": [1] * 1000})
    found: list[dict[str, Any]] = told(profile_of(frame), frame.schema)
    assert found[0]["about"]
    assert found[0]["unique"] == pytest.approx(1000, rel=4 * 0.046)
    assert "about" not in found[1]


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

    monkeypatch.setattr("tidemill.cli.show.profile", forbidden)
    lines = tidemill("show", "raw").out.split("\n")
    line = lines[3].split()
    assert line[:5] == ["id", "Int64", "-", "0", f"{SMALL - 1}"]
    assert line[5].startswith("~")
    assert lines[4].split()[:6] == ["even", "Boolean", "-", "False", "True", "2"]
