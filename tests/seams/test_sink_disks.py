"""Sinks on a disk that is full, or whose files can't be written: an error, and the rows that were there."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.sinks import Outlet, outlet
from tidemill.adapters.sinks.parquet import ParquetFolders
from tidemill.core.errors import StorageError, TidemillError
from tidemill.delivery.io.outbox import carry_out
from tidemill.ledger.delivery import Effect
from tidemill.ports.formats import EffectResult
from tidemill.testing.doubles import MemoryArtifacts

FILES = ("sqlite", "duckdb", "delta", "iceberg", "parquet")
ROWS = 20_000


@contextmanager
def opened(format: str, root: Path) -> Iterator[Outlet]:
    if format != "parquet":
        with outlet(format, root) as found:
            yield found
        return

    def read() -> pl.DataFrame | None:
        paths = sorted((root / "out").glob("*.parquet"))
        frames = [
            pl.read_parquet(path).with_columns(tidemill_partition=pl.lit(path.stem))
            for path in paths
        ]
        return pl.concat(frames) if frames else None

    yield Outlet(
        writer=ParquetFolders(), root=root, target="out", table="", format="parquet", read=read,
        artifacts=MemoryArtifacts(),
    )  # fmt: skip


class Tools:
    """What `carry_out` needs of a runtime."""

    def __init__(self, sink: Outlet) -> None:
        self.root, self.artifacts = sink.root, sink.artifacts


def carried_out(sink: Outlet, *effects: Effect) -> list[EffectResult]:
    tools: Any = Tools(sink)
    return [result for _, result in carry_out(tools, sink.writer, effects)]


def rows(seed: int) -> pl.DataFrame:
    """Rows that can't be compressed."""
    noise = pl.Series("noise", [os.urandom(50).hex() for _ in range(ROWS)])
    return pl.DataFrame({"id": range(seed, seed + ROWS)}).with_columns(noise)


def first(seed: int) -> pl.DataFrame:
    return pl.DataFrame({"id": [seed], "noise": ["x"]})


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process can grow beyond 400 kB, as if its disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("format", FILES)
def test_a_full_disk_changes_nothing(format: str, tmp_path: Path) -> None:
    with opened(format, tmp_path) as sink:
        kept = sink.effect("a", 1.0, first(1))
        assert not isinstance(carried_out(sink, kept)[0], TidemillError)
        before = sink.rows()
        effects = [sink.effect("a", 2.0, rows(2)), sink.effect("b", 2.0, rows(3))]
        with full_disk():
            results = carried_out(sink, *effects)
        assert all(isinstance(result, StorageError) for result in results), results
        assert sink.rows() == before
        # Once there is room, the same deliveries succeed.
        assert not any(isinstance(r, TidemillError) for r in carried_out(sink, *effects))
        assert {key: len(found) for key, found in sink.rows().items()} == {"a": ROWS, "b": ROWS}


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing in a folder can be written; root can write anything, so it becomes somebody else."""
    paths = [folder, *folder.rglob("*")]
    modes = {path: path.stat().st_mode for path in paths}
    above = {
        path: path.stat().st_mode for path in folder.parents if path.stat().st_uid == os.getuid()
    }
    user = os.geteuid()
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    if user == 0:
        for path, mode in above.items():
            path.chmod(mode | 0o555)
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        for path, mode in {**modes, **(above if user == 0 else {})}.items():
            path.chmod(mode)


@pytest.mark.parametrize("format", FILES)
def test_files_that_cant_be_written_are_named(format: str, tmp_path: Path) -> None:
    with opened(format, tmp_path) as sink:
        kept = sink.effect("a", 1.0, first(1))
        carried_out(sink, kept)
        before = sink.rows()
        effects = [sink.effect("a", 2.0, first(2)), sink.effect("b", 2.0, first(3))]
        with read_only(tmp_path):
            results = carried_out(sink, *effects)
        assert all(isinstance(result, StorageError) for result in results), results
        assert any(word in str(results[0]) for word in (str(tmp_path), "marts.scored"))
        assert sink.rows() == before
        assert not any(isinstance(r, TidemillError) for r in carried_out(sink, *effects))
        assert sink.rows() != before
