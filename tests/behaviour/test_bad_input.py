"""Bad input the way a user meets it: a file, a contract, a run. Each is named, and nothing is lost.

Contracts that contradict themselves never get so far; they are refused where they are declared.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import tidemill as tm
from tidemill.ledger.run import Receipt

NAN = float("nan")
NOON = datetime(2013, 3, 7, 12, tzinfo=UTC)


def built(root: Path, contract: type[tm.Contract]) -> tuple[Receipt, tm.Workflow]:
    """Run a workflow whose one ingest reads the Parquet and CSV files of a folder."""
    flow = tm.Workflow("bad-input")

    def rows():  # type: ignore[no-untyped-def]
        return tm.files("data/*")

    rows.__annotations__ = {"return": tm.Source[contract]}  # type: ignore[valid-type]
    flow.ingest(rows)
    with tm.open(root, workflow=flow) as project:
        return project.run(raise_on_failure=False), flow


def declared(columns: dict[str, Any], **options: Any) -> type[tm.Contract]:
    """A contract of these columns and rules."""
    return type("Bad", (tm.Contract,), columns, **options)


def parquet(**columns: list[Any] | pl.Series) -> Callable[[Path], None]:
    """Writes a Parquet file."""
    return lambda folder: pl.DataFrame(columns).write_parquet(folder / "rows.parquet")


def text(content: str, encoding: str = "utf-8") -> Callable[[Path], None]:
    """Writes a CSV file."""

    def write(folder: Path) -> None:
        (folder / "rows.csv").write_text(content, encoding)

    return write


def zones(folder: Path) -> None:
    """Writes the same moment as two files with two time zones."""
    for index, zone in enumerate(("UTC", "America/New_York")):
        moments = [NOON.astimezone(ZoneInfo(zone))]
        frame = pl.DataFrame({"a": moments}, schema={"a": pl.Datetime("us", zone)})
        frame.write_parquet(folder / f"{index}.parquet")


KEPT = [
    # An empty batch is published, and is no failure.
    ({"a": tm.Int64()}, {}, parquet(a=pl.Series([], dtype=pl.Int64)), 0, []),
    ({"a": tm.Int64(min=1, unique=True)}, {}, text("a\n"), 0, []),
    # A column without any value.
    ({"a": tm.Float64(nullable=True), "b": tm.Int64()}, {}, parquet(a=[None, None], b=[1, 2]), 2, []),
    ({"a": tm.Float64(), "b": tm.Int64()}, {}, parquet(a=[None, None], b=[1, 2]), 0, [["a.null"]] * 2),
    # Another type: one that says the same, and one that doesn't.
    ({"a": tm.Int64()}, {}, parquet(a=["1", "2"]), 2, []),
    ({"a": tm.Int64()}, {}, parquet(a=["1", "x"]), 1, [["a.type"]]),
    ({"a": tm.Int64()}, {}, parquet(a=[1.0, 1.5]), 1, [["a.type"]]),
    ({"a": tm.Int8()}, {}, parquet(a=[1, 1000]), 1, [["a.type"]]),
    # One moment in two zones is one moment.
    ({"a": tm.Datetime("us", "UTC", min=NOON)}, {}, zones, 2, []),
    ({"a": tm.Datetime("us", "UTC")}, {}, parquet(a=[datetime(2013, 3, 7)]), 0, [["a.type"]]),
    # A key that is NaN identifies nothing; infinities do.
    (
        {"a": tm.Float64()},
        {"key": ("a",)},
        parquet(a=[NAN, NAN, 1.0, 1.0, float("inf")]),
        2,
        [["a.nan"], ["a.nan"], ["key"]],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("columns", "options", "write", "good", "reasons"), KEPT)
def test_rows_are_kept_or_quarantined(
    tmp_path: Path,
    columns: dict[str, Any],
    options: dict[str, Any],
    write: Callable[[Path], None],
    good: int,
    reasons: list[list[str]],
) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data")
    lenient = {**columns, "any_bad": tm.Budget(max_bad=1)}
    receipt, flow = built(tmp_path, declared(lenient, **options))
    assert (receipt.exit_code, receipt.messages) == (0, ())
    with tm.open(tmp_path, workflow=flow) as project:
        assert project.read("rows").collect().height == good
        bad = project.quarantined("rows").collect() if reasons else None
    assert (bad["_reasons"].to_list() if bad is not None else []) == reasons


REFUSED = [
    # No columns, or not the right ones.
    (parquet(), "has no column 'a' of contract Bad (there are none)"),
    (text(""), "rows.csv"),
    (parquet(b=[1]), "has no column 'a' of contract Bad (there is: b)"),
    # Text that isn't UTF-8.
    (text("a,b\n1,2\n", "utf-16"), "isn't UTF-8, but seems to be UTF-16: its header"),
    (text("a,b\n1,2\n", "utf-16-be"), "isn't UTF-8, but seems to be UTF-16: its header"),
    (text("größe,b\n1,2\n", "latin-1"), "isn't UTF-8: its header can't be read"),
    # Two columns of one name.
    (text("a,a\n1,2\n"), "more than one column 'a'"),
]


@pytest.mark.parametrize(("write", "says"), REFUSED)
def test_files_that_cannot_be_read_are_named(
    tmp_path: Path, write: Callable[[Path], None], says: str
) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data")
    receipt, _ = built(tmp_path, declared({"a": tm.Int64()}))
    assert receipt.exit_code == 1
    assert says in " ".join(receipt.messages)


def test_a_rule_that_raises_fails_its_partition_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    parquet(a=[1_000])(tmp_path / "data")
    raising = tm.rule(pl.col("a").cast(pl.Int8) > 0)
    receipt, _ = built(tmp_path, declared({"a": tm.Int64(), "raising": raising}))
    assert receipt.exit_code == 3
    assert "rule raising of contract Bad can't be evaluated" in receipt.messages[0]


def test_five_thousand_columns(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(5_000)]
    (tmp_path / "data").mkdir()
    frame = pl.DataFrame({name: [1, 2, -1 if name == "c7" else 3] for name in names})
    frame.write_parquet(tmp_path / "data" / "rows.parquet")
    receipt, flow = built(tmp_path, declared({name: tm.Int64(min=0) for name in names}))
    assert receipt.exit_code == 0
    with tm.open(tmp_path, workflow=flow) as project:
        assert project.read("rows").collect().shape == (2, 5_000)
        assert project.quarantined("rows").collect()["_reasons"].to_list() == [["c7.min"]]


@pytest.mark.parametrize(
    ("columns", "options", "says"),
    [
        ({}, {}, "it has no columns"),
        ({"a": lambda: tm.Int64(min=2, max=1)}, {}, "a: min=2 is above max=1"),
        ({"a": lambda: tm.String(isin=[])}, {}, "a: isin is empty, so no value could pass"),
        ({"a": lambda: tm.String(regex="(")}, {}, "a: regex '(' is invalid"),
        ({"a": lambda: tm.Int64()}, {"version": "1.0"}, "version '1.0' is not MAJOR.MINOR.PATCH"),
        ({"a": lambda: tm.Int64()}, {"key": ("b",)}, "key column 'b' is not one of its columns"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused_where_it_stands(
    columns: dict[str, Callable[[], object]], options: dict[str, Any], says: str
) -> None:
    with pytest.raises(tm.TidemillError) as caught:
        declared({name: made() for name, made in columns.items()}, **options)
    assert says in str(caught.value)
    assert str(caught.value).startswith("test_bad_input.py:")
