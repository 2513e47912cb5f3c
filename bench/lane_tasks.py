"""What the engines are given to do; pools call the same functions that the lane does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.processes import private

Inputs = tuple[str, ...]


def nothing(params: bytes = b"", inputs: Inputs = (), output: str = "") -> None:
    """Do nothing."""


def rest(params: bytes, inputs: Inputs = (), output: str = "") -> None:
    """Sleep for so many seconds."""
    time.sleep(float(params))


def arrive(params: bytes, inputs: Inputs = (), output: str = "") -> bytes:
    """Tell who began and when (Unix seconds), after so many seconds."""
    begun = time.time()
    time.sleep(float(params))
    return f"{os.getpid()} {begun}".encode()


def hold(params: bytes, inputs: Inputs = (), output: str = "") -> None:
    """Hold so many bytes for half a second."""
    held = bytearray(int(params))
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(0.5)


SIZE = 65_536


def publish(params: bytes, inputs: Inputs = (), output: str = "") -> None:
    """Write `params` over and over, with a pause before the second half."""
    _publish(params, output, pause_s=0.01)


def publish_at_once(params: bytes, inputs: Inputs = (), output: str = "") -> None:
    """The same without a pause."""
    _publish(params, output, pause_s=0.0)


def _publish(params: bytes, output: str, *, pause_s: float) -> None:
    body = whole(params)
    with Path(output).open("wb") as target:
        target.write(body[: SIZE // 2])
        target.flush()
        if pause_s:
            time.sleep(pause_s)
        target.write(body[SIZE // 2 :])


def whole(params: bytes) -> bytes:
    """What `publish` writes."""
    return (params * (SIZE // len(params) + 1))[:SIZE]


def add_up(params: bytes, inputs: Inputs = (), output: str = "") -> bytes:
    """Every column of a table added up; how many bytes the process grew by, with what it read still held.

    `params` is how the table is read.
    """
    read = _READERS[params.decode()]
    before = private(os.getpid())
    table = read(inputs[0])
    return str(private(os.getpid()) - before).encode() if table is not None else b""


def _scanned(path: str) -> Any:
    import polars as pl

    scan = pl.scan_parquet if path.endswith(".parquet") else pl.scan_ipc
    return scan(path).select(pl.all().sum()).collect(engine="streaming")


def _eager(path: str) -> Any:
    import polars as pl

    frame = pl.read_ipc(path)
    return frame, frame.sum()


def _mapped(path: str) -> Any:
    import numpy as np

    table = np.load(path, mmap_mode="r")
    return table, table.sum(axis=1)


_READERS: dict[str, Callable[[str], Any]] = {
    "scan": _scanned,
    "eager": _eager,
    "mapped": _mapped,
}


def add_up_frame(frame: Any) -> None:
    """Every column of a frame that came along, added up."""
    frame.sum()


def start_child(params: bytes, inputs: Inputs = (), output: str = "") -> None:
    """Start a process of its own, tell its id in a file, and wait for it."""
    import subprocess

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    note = Path(params.decode())
    # Whoever waits for the note reads it whole.
    note.with_suffix(".part").write_text(str(child.pid))
    note.with_suffix(".part").rename(note)
    child.wait()
