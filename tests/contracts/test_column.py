"""The names of a column."""

from __future__ import annotations

from tidemill.contracts import column_types as tm


def test_the_name_in_files() -> None:
    assert tm.Int64(source="Temp (F)").source_name == "Temp (F)"
    assert tm.Int64().source_name == ""
