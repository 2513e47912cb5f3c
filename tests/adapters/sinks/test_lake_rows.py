"""Rows of many partitions for lake tables: checked first, then read one partition at a time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import polars as pl
import pytest

from tidemill.adapters.sinks.lake_rows import LakeRows, delta_frame, read_lake_rows
from tidemill.adapters.sinks.value_limits import Limits
from tidemill.core.errors import StorageError
from tidemill.ledger.delivery import Effect
from tidemill.store.frames import encode
from tidemill.testing.doubles import MemoryArtifacts
from tidemill.workflow.sink import PARTITION_COLUMN


class CountedArtifacts(MemoryArtifacts):
    """Objects in memory; `read` has the names of those that were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def get(self, name: str, /) -> bytes:
        self.read.append(name)
        return super().get(name)


def effects_on(store: MemoryArtifacts, frames: Iterable[pl.DataFrame | None]) -> list[Effect]:
    """Effects that write frames to partitions p0, p1, ..., and remove those without one."""
    return [
        Effect(
            key=f"k{n}", stage="s", partition=f"p{n}", target="t", format="delta",
            action="remove" if frame is None else "write",
            object="" if frame is None else store.put(encode(frame), ".parquet"),
        )
        for n, frame in enumerate(frames)
    ]  # fmt: skip


def rows_of(store: MemoryArtifacts, *frames: pl.DataFrame | None) -> LakeRows | None:
    effects = effects_on(store, frames)
    return read_lake_rows(effects, store, delta_frame, where="t", limits=Limits())


def test_partitions_are_read_when_they_are_written() -> None:
    store = CountedArtifacts()
    rows = rows_of(store, *(pl.DataFrame({"x": [n, n]}) for n in range(5)))
    assert rows is not None
    assert rows.count == 10
    store.read.clear()
    for number, frame in enumerate(rows.frames(), 1):
        assert len(store.read) == number
        assert frame[PARTITION_COLUMN].to_list() == [f"p{number - 1}"] * 2


def test_columns_have_the_widest_type_and_are_null_where_they_are_missing() -> None:
    small = pl.DataFrame({"x": [1]}, schema={"x": pl.Int32})
    large = pl.DataFrame({"y": ["a"], "x": [1 << 40]})
    empty = pl.DataFrame(schema={"z": pl.Enum(["a"])})
    rows = rows_of(MemoryArtifacts(), small, None, large, empty)
    assert rows is not None
    wanted = {"x": pl.Int64(), PARTITION_COLUMN: pl.String(), "y": pl.String(), "z": pl.String()}
    assert rows.schema == wanted
    assert rows.empty().schema == wanted
    assert pl.concat(rows.frames()).rows() == [
        (1, "p0", None, None),
        (1 << 40, "p2", "a", None),
    ]
    wider = rows.widened(pl.Schema({"x": pl.Int64(), "y": pl.Int8(), "other": pl.String()}))
    assert wider.schema == wanted


def test_types_of_the_table_are_kept_where_they_are_wider() -> None:
    rows = rows_of(MemoryArtifacts(), pl.DataFrame({"x": [1]}, schema={"x": pl.Int16}))
    assert rows is not None
    wider = rows.widened(pl.Schema({"x": pl.Int64()}))
    assert [frame.schema["x"] for frame in wider.frames()] == [pl.Int64()]


def test_removals_alone_have_no_rows() -> None:
    assert rows_of(MemoryArtifacts(), None, None) is None


def test_contradicting_types_are_refused() -> None:
    with pytest.raises(StorageError, match="'x' is Int64 in some partitions and String in others"):
        rows_of(MemoryArtifacts(), pl.DataFrame({"x": [1]}), pl.DataFrame({"x": ["a"]}))


WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None
from pathlib import Path
import polars as pl
from tests.adapters.sinks.test_lake_rows import effects_on
from tidemill.adapters.sinks.delta import DeltaTables
from tidemill.testing.doubles import MemoryArtifacts
store, root = MemoryArtifacts(), Path(sys.argv[1])
frames = [pl.DataFrame({"x": [n], "names": [["a", None]]}) for n in range(3)]
for shown in (frames, [None, *frames[:2]]):
    effects = effects_on(store, shown)
    assert len(list(DeltaTables().deliver_all(effects, root, store))) == 3
    assert [DeltaTables().find_fault(e, {}, root, store) for e in effects] == [""] * 3
print(pl.scan_delta(str(root / "t")).collect().sort("x").rows())
"""


def test_delta_tables_need_no_pyarrow(tmp_path: Path) -> None:
    pytest.importorskip("deltalake")
    command = [sys.executable, "-c", WITHOUT_PYARROW, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "[(0, ['a', None], 'p1'), (1, ['a', None], 'p2')]\n"
