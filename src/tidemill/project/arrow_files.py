"""Read rows from files of Arrow's two formats, which share a suffix."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import polars as pl

_FILE = b"ARROW1"


def read_arrow(path: Path) -> pl.DataFrame:
    """Read an IPC file or an IPC stream; raises what Polars raises."""
    payload = path.read_bytes()
    read = pl.read_ipc if payload.startswith(_FILE) else pl.read_ipc_stream
    return read(BytesIO(payload))


def arrow_stream(path: Path) -> bytes:
    """The bytes of an IPC stream, or of an IPC file as a stream."""
    payload = path.read_bytes()
    return stream_of(pl.read_ipc(BytesIO(payload))) if payload.startswith(_FILE) else payload


def stream_of(frame: pl.DataFrame) -> bytes:
    """Write a frame as an IPC stream that other libraries read as well."""
    stream = BytesIO()
    frame.write_ipc_stream(stream, compat_level=pl.CompatLevel.oldest())
    return stream.getvalue()
