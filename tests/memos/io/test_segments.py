"""The files of segments are verified in reads that any system accepts."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from tests.support.damage import DAMAGES
from tidemill.analysis.hashing.parquet_seal import mark_in
from tidemill.analysis.hashing.row_keys import row_keys
from tidemill.memos.io import segments
from tidemill.memos.io.in_memory import InMemoryMemos


@pytest.mark.parametrize("how", [None, *DAMAGES])
def test_a_file_is_sound_unless_it_was_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str | None
) -> None:
    frame = pl.DataFrame({"high": range(1_000), "low": range(1_000), "value": ["x"] * 1_000})
    payload, name = segments._encode(frame, "space")
    path = tmp_path / f"{'0' * 64}.{name}.parquet"
    path.write_bytes(payload)
    if how is not None:
        DAMAGES[how](path)
    mark = mark_in(path.name)
    assert mark is not None

    def refuse(descriptor: int, length: int, offset: int) -> bytes:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    # macOS refuses to read more than 2 GiB at once in this way.
    monkeypatch.setattr(os, "pread", refuse)
    assert segments.is_file_sound(mark, str(path), "space") == (how is None)
    assert not segments.is_file_sound(mark, str(path), "another space")


def test_a_slow_refresh_loses_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    memos = InMemoryMemos()
    shelf = segments.SegmentIndex(memos, "space")
    keys = row_keys([pl.Series("n", [1, 2, 3])])
    listed, stored = threading.Event(), threading.Event()

    def slow_listing(space: str) -> Mapping[str, int]:
        found = InMemoryMemos.segments(memos, space)
        if threading.current_thread() is slow:
            listed.set()
            stored.wait(60)
        return found

    monkeypatch.setattr(memos, "segments", slow_listing)
    monkeypatch.setattr(segments, "_PATIENCE_S", 0.01)
    slow = threading.Thread(target=shelf.refresh)
    slow.start()
    assert listed.wait(60)
    shelf.add(keys, pl.Series("value", ["a", "b", "c"]), None)
    shelf.refresh()
    stored.set()
    slow.join(60)
    assert shelf.find(keys).missing.tolist() == []
