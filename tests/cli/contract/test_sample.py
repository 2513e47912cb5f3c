"""`tidemill contract sample`: synthetic rows on the screen or in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.support.commands import tidemill


def test_rows_are_shown(fresh: Path) -> None:
    ended = tidemill("contract", "sample", "sales", "--rows", "3", "--partition", "2026-01-05")
    assert ended.code == 0
    assert ended.out.count("2026-01-05") == 3


@pytest.mark.parametrize("suffix", ["csv", "ndjson", "parquet"])
def test_rows_are_written(fresh: Path, suffix: str) -> None:
    ended = tidemill("contract", "sample", "sales", "--rows", "20", "--to", f"sales.{suffix}")
    assert (ended.code, ended.out) == (0, f"sales.{suffix}: 20 rows of sales\n")
    readers: dict[str, Callable[[str], pl.DataFrame]] = {
        "csv": pl.read_csv,
        "ndjson": pl.read_ndjson,
        "parquet": pl.read_parquet,
    }
    assert readers[suffix](f"sales.{suffix}").height == 20


def test_text_is_guarded_against_spreadsheets(fresh: Path) -> None:
    assert tidemill("contract", "sample", "sales", "--guard", "--to", "sales.csv").code == 0
    assert "_guarded" in pl.read_csv("sales.csv").columns
    ended = tidemill("contract", "sample", "sales", "--guard")
    assert (ended.code, "--guard needs --to with a .csv file" in ended.err) == (2, True)


def test_files_that_cannot_be_written(fresh: Path) -> None:
    ended = tidemill("contract", "sample", "sales", "--to", "sales.xml")
    assert (ended.code, "none of .csv, .ndjson, .parquet" in ended.err) == (2, True)
    ended = tidemill("contract", "sample", "sales", "--to", "no/such/folder/sales.csv")
    assert (ended.code, "can't be written" in ended.err) == (2, True)
