"""The column chunks that are found in a Parquet footer are those that another reader finds."""

from __future__ import annotations

from io import BytesIO

import polars as pl
import pytest

from tidemill.analysis.hashing.parquet_footer import column_chunks

pq = pytest.importorskip("pyarrow.parquet")


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("group", [100, 10_000])
def test_chunks_are_those_that_pyarrow_finds(group: int, statistics: bool) -> None:
    rows = range(1_000)
    frame = pl.DataFrame(
        {
            "number": rows,
            "naïve": [str(row % 7) for row in rows],
            "nested": [{"a": row, "b": [row]} for row in rows],
            "flag": [row % 2 == 0 for row in rows],
            **{f"wide {number}": rows for number in range(20)},
        }
    )
    into = BytesIO()
    frame.write_parquet(
        into, statistics=statistics, row_group_size=group, metadata={"key": "value" * 100}
    )
    payload = into.getvalue()
    length = int.from_bytes(payload[-8:-4], "little")
    known = pq.read_metadata(into)
    expected = [
        (
            column.path_in_schema.split(".")[0],
            number,
            (column.dictionary_page_offset or column.data_page_offset)
            + column.total_compressed_size,
        )
        for number in range(known.num_row_groups)
        for column in map(known.row_group(number).column, range(known.num_columns))
    ]
    assert [tuple(chunk) for chunk in column_chunks(payload[-8 - length : -8])] == expected


def test_other_types_of_the_protocol_are_skipped() -> None:
    # A field of every type before the row groups: bool, byte, double, binary, set, map (and an empty one).
    fields = (
        b"\x11\x12\x13\x05\x17" + bytes(8) + b"\x18\x02ab\x1a\x25\x02\x04"
        b"\x1b\x01\x58\x04\x01k\x1b\x00\x1a\xf3\x10" + bytes(16) + b"\x1a\x11\x01"
    )
    chunk = b"\x3c\x39\x18\x01a\x46\x14\x26\x08\x00\x00"
    groups = b"\x09\x08\x1c\x19\x1c" + chunk + b"\x00"
    assert [tuple(found) for found in column_chunks(fields + groups + b"\x00")] == [("a", 0, 14)]
