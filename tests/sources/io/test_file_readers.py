"""The schemas of Parquet files are those that Polars reads, whether a file describes itself or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tidemill.sources.io.file_readers import ParquetSchemas

COLUMNS: dict[str, pl.Series] = {
    "whole": pl.Series([1, 2], dtype=pl.Int8),
    "name": pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])),
    "at": pl.Series([0, 1], dtype=pl.Datetime("us", "Europe/Paris")),
    "parts": pl.Series([[1], []], dtype=pl.List(pl.Int64)),
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose schemas Polars decodes from now on."""
    names: list[str] = []
    decode = pl.read_parquet_schema

    def noted(path: Path) -> Any:
        names.append(path.stem)
        return decode(path)

    monkeypatch.setattr(pl, "read_parquet_schema", noted)
    return names


def test_a_schema_is_decoded_once_for_all_files_that_describe_themselves_alike(
    tmp_path: Path, read: list[str]
) -> None:
    frames = {
        "first": pl.DataFrame(COLUMNS),
        "more": pl.DataFrame(COLUMNS).vstack(pl.DataFrame(COLUMNS)),
        "turned": pl.DataFrame(dict(reversed(COLUMNS.items()))),
        "other": pl.DataFrame(COLUMNS | {"name": pl.Series(["a", "b"], dtype=pl.Enum(["b", "a"]))}),
        "again": pl.DataFrame(COLUMNS).head(0),
    }
    schemas = ParquetSchemas()
    for name, frame in frames.items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
        found = schemas.read(tmp_path / f"{name}.parquet")
        assert list(found.items()) == list(frame.schema.items()), name
    assert read == ["first", "turned", "other"]


def test_the_schema_of_each_file_without_a_description_is_decoded(
    tmp_path: Path, read: list[str]
) -> None:
    schemas = ParquetSchemas()
    for name, kind in (("one", "INTEGER"), ("two", "VARCHAR")):
        path = tmp_path / f"{name}.parquet"
        duckdb.sql(f"COPY (SELECT 1::{kind} AS n) TO '{path}' (FORMAT parquet)")
        assert schemas.read(path) == {"n": pl.Int32 if kind == "INTEGER" else pl.String}
    assert read == ["one", "two"]
