"""Sources: which files there are, and how they are read."""

from __future__ import annotations

from tidemill.domain.source import SUFFIXES, Files, files


def test_files() -> None:
    source = files("data/*.csv", separator=";", null_values=["-"])
    assert source == Files(pattern="data/*.csv", options={"separator": ";", "null_values": ["-"]})
    assert files("data/*", format="ndjson").format == "ndjson"


def test_suffixes() -> None:
    assert set(SUFFIXES.values()) == {"parquet", "csv", "ndjson", "arrow"}
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES)
