"""Frames of every flat type as Arrow IPC streams, and damage to their bytes."""

from __future__ import annotations

import io
import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl

ROWS = 12


def flat_frame() -> pl.DataFrame:
    """A frame with a column of each type that an Arrow stream may have here, with nulls."""
    count = range(ROWS)
    moments = pl.Series([datetime(2013, 3, 1, i, tzinfo=UTC) for i in count])
    plain = moments.dt.replace_time_zone(None)
    columns = {
        "i8": pl.Series([None, -3, 4] * 4, dtype=pl.Int8),
        "u64": pl.Series([2**64 - 1 - i for i in count], dtype=pl.UInt64),
        "f2": pl.Series([1.5, None, 2.0] * 4, dtype=pl.Float16),
        "f4": pl.Series([1.5, None, float("nan")] * 4, dtype=pl.Float32),
        "f8": pl.Series([i / 3 for i in count]),
        "flag": pl.Series([True, None, False] * 4),
        "text": pl.Series(["größe", "", None, "a text that is longer than a view"] * 3),
        "raw": pl.Series([b"\xff\x00", None, b"", b"bytes that are longer than a view"] * 3),
        "day": pl.Series([date(2013, 3, 1 + i) for i in count]),
        "ms": plain.dt.cast_time_unit("ms"),
        "us": plain.dt.cast_time_unit("us"),
        "ns": plain.dt.cast_time_unit("ns"),
        "zoned": moments.dt.convert_time_zone("America/New_York"),
        "clock": pl.Series([time(i, 1, 2, 5) for i in count]),
        "took": pl.Series([timedelta(days=-i, microseconds=3) for i in count]),
        "exact": pl.Series([Decimal(i) / 4 - 1 for i in count], dtype=pl.Decimal(38, 2)),
        "kind": pl.Series(["a", "b", None] * 4, dtype=pl.Enum(["a", "b", "c"])),
        "word": pl.Series(["x", None, "a text of many bytes"] * 4, dtype=pl.Categorical),
        "none": pl.Series([None] * ROWS),
    }
    return pl.DataFrame(columns)


def as_stream(frame: pl.DataFrame, *, is_oldest: bool = False) -> bytes:
    """A frame as Polars writes it, in its newest form or in the one that all libraries read."""
    stream = io.BytesIO()
    level = pl.CompatLevel.oldest() if is_oldest else pl.CompatLevel.newest()
    frame.write_ipc_stream(stream, compat_level=level)
    return stream.getvalue()


def damaged_stream(stream: bytes, seed: int) -> bytes:
    """A stream that is cut off, or with other bytes or numbers in some places."""
    draw, data = random.Random(seed), bytearray(stream)
    match seed % 4:
        case 0:
            del data[draw.randrange(len(data)) :]
        case 1:
            for _ in range(draw.randint(1, 8)):
                data[draw.randrange(len(data))] = draw.randrange(256)
        case 2:
            at = draw.randrange(len(data) - 8)
            odd = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\1\0\0\0", bytes(4))
            data[at : at + 4] = draw.choice(odd)
        case _:
            for _ in range(4):
                data[draw.randrange(len(data) // 2)] ^= 1 << draw.randrange(8)
    return bytes(data)
