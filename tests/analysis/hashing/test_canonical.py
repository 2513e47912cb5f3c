"""The hash of a column's values doesn't depend on blocks, on runs, or on a layout that isn't known."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest

from tests.support.columns import (
    LONG,
    golden_columns,
)
from tidemill.analysis.hashing import canonical
from tidemill.analysis.hashing.arrow_buffers import export_buffers
from tidemill.analysis.hashing.canonical import EnumHasher, TypeHasher
from tidemill.analysis.hashing.column_hash import column_hash, column_hashes
from tidemill.core.errors import TidemillError


def golden_of_one_length() -> list[pl.Series]:
    return [
        column.gather([n % len(column) for n in range(20)]) for column in golden_columns().values()
    ]


@pytest.mark.parametrize("block", [1, 3, 8])
def test_blocks_leave_no_trace(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonical, "BLOCK", block)
    frame = pl.DataFrame(
        [column.gather([0, 0, *range(len(column))])[2:] for column in golden_of_one_length()]
    )
    small = column_hashes(frame)
    monkeypatch.undo()
    assert small == column_hashes(frame)


@pytest.mark.parametrize("dtype", [pl.String, pl.Binary])
@pytest.mark.parametrize("runs", [1, 10**9])
def test_scattered_strings_hash_alike_packed_or_one_by_one(
    dtype: type[pl.DataType], runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [None if n % 7 == 0 else (LONG + str(n))[n % 40 :] for n in range(300)]
    order = random.Random(3).sample(range(300), 300)
    scattered = pl.Series([texts[n] for n in order]).gather(np.argsort(np.array(order)))
    assert scattered.to_list() == texts
    expected = column_hash(pl.Series(texts, dtype=pl.String).cast(dtype))
    monkeypatch.setattr(canonical, "MANY_RUNS", runs)
    monkeypatch.setattr(canonical, "BLOCK", 100)
    assert column_hash(scattered.cast(dtype)) == expected


@pytest.mark.parametrize(
    ("column", "canon"),
    [
        (pl.Series([1]), TypeHasher((b"i", b"I"))),
        (pl.Series([1]), EnumHasher()),
        (pl.Series([[1]]), canonical.ArrayHasher(TypeHasher((b"l",)), 1)),
        (pl.Series([[1]]), canonical.ListHasher(b"+L", TypeHasher((b"i",)), "<i8")),
        (pl.Series([{"a": 1}]), canonical.StructHasher([])),
    ],
)
def test_unexpected_memory_is_not_read(column: pl.Series, canon: TypeHasher) -> None:
    with (
        export_buffers(column) as (schema, _),
        pytest.raises(TidemillError, match=r"is expected; use a version of Polars"),
    ):
        canon.check_layout(schema)
