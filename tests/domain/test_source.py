"""Sources: how bytes are read is part of what they are, which files there are isn't."""

from __future__ import annotations

from tidemill.domain.source import SUFFIXES, Source, files


def test_files() -> None:
    source = files("data/*.csv", separator=";", null_values=["-"])
    assert source == Source(pattern="data/*.csv", options={"separator": ";", "null_values": ["-"]})
    assert files("data/*", format="ndjson").format == "ndjson"


def test_the_digest_is_about_reading() -> None:
    base = files("a/*.csv", separator=";", null_values="-")
    assert base.digest == files("b/*.csv", null_values="-", separator=";").digest
    others = {
        files("a/*.csv", separator=",", null_values="-").digest,
        files("a/*.csv", separator=";").digest,
        files("a/*.csv", format="csv", separator=";", null_values="-").digest,
    }
    assert len(others | {base.digest}) == 4


def test_suffixes() -> None:
    assert set(SUFFIXES.values()) == {"parquet", "csv", "ndjson", "arrow"}
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES)
