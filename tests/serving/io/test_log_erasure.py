"""Rows of a person are found and removed in the files of a log, whatever the type of the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tidemill.serving.io.log_erasure import find_logged_rows, logged_columns, remove_logged_rows
from tidemill.store.person_rows import PersonKey


@pytest.mark.parametrize(
    ("values", "text"),
    [([1, 2, None], "1"), (["1", "x", None], "1"), ([True, False, None], "true")],
)
def test_rows_are_found_as_text(tmp_path: Path, values: list[Any], text: str) -> None:
    folder = tmp_path / "2024-03-01"
    folder.mkdir()
    path = folder / "a.parquet"
    pl.DataFrame({"key": values}).write_parquet(path)
    (found,) = find_logged_rows(tmp_path, PersonKey("key", (text,)))
    assert (found.path, found.rows) == (path, 1)
    assert remove_logged_rows(path, PersonKey("key", (text,))) == 1
    assert remove_logged_rows(path, PersonKey("key", (text,))) == 0
    assert pl.read_parquet(path)["key"].to_list() == values[1:]
    assert [*find_logged_rows(tmp_path, PersonKey("key", (text,)))] == []
    assert [*find_logged_rows(tmp_path, PersonKey("other", (text,)))] == []


def test_a_file_that_is_damaged_or_doubtful_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "2024-03-01"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"damaged")
    pl.DataFrame({"key": ["007", "8"]}).write_parquet(folder / "b.parquet")
    damaged, doubtful = find_logged_rows(tmp_path, PersonKey("key", ("7",)))
    assert damaged.fault
    assert logged_columns(tmp_path) == {"key"}
    assert (doubtful.rows, doubtful.doubtful) == (0, 1)
