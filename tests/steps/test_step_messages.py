"""The messages between a run and its workers: how large the work of a step is, and which work is alike."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Binding, Product
from tidemill.steps.step_messages import Inputs, Work, count_rows
from tidemill.testing.records import binding
from tidemill.workflow.source import SourceFile


def rows(count: int) -> Binding:
    return binding(output=Product(content=f"{count} rows", rows=count))


def file_of(path: str, **counts: int) -> SourceFile:
    return SourceFile(path=path, size=1, mtime_ns=1, digest="d", rows=counts)


TWO: Inputs = {"raw": {"1": rows(3), "2": rows(4)}, "kinds": {WHOLE: rows(5)}}


def work(partition: str = "1", **other: Any) -> Work:
    return Work(**{"stage": "daily", "partition": partition, "recipe": "r", "inputs": TWO} | other)


def test_rows_of_inputs_and_files_are_counted() -> None:
    assert count_rows(TWO) == 7
    assert work().rows == 7
    both = {"a.csv": file_of("a.csv", **{"1": 2, "2": 3}), "b.csv": file_of("b.csv", **{"1": 7})}
    assert work(inputs={}, files=both).rows == 9


@pytest.mark.parametrize(
    ("inputs", "count"),
    [
        ({}, 0),
        ({"raw": {}}, 0),
        # Without partitions, and where a table is too large to be joined on the side, all rows count.
        ({"kinds": {WHOLE: rows(5)}}, 5),
        ({"kinds": {WHOLE: rows(5)}, "raw": {}}, 5),
        ({"kinds": {WHOLE: rows(100_000)}, "raw": {"1": rows(3)}}, 3),
        ({"kinds": {WHOLE: rows(100_001)}, "raw": {"1": rows(3)}}, 100_004),
        ({"a": {WHOLE: rows(60_000)}, "b": {WHOLE: rows(60_000)}, "raw": {"1": rows(3)}}, 120_003),
    ],
)
def test_small_whole_tables_do_not_count_beside_partitions(inputs: Inputs, count: int) -> None:
    assert count_rows(inputs) == count


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        ({"partition": "2"}, True),
        ({"inputs": {"raw": {"2": rows(9)}, "kinds": TWO["kinds"]}}, True),
        # All steps of a stage share an input without partitions, unless it changed in between.
        ({"inputs": {"raw": {"2": rows(9)}, "kinds": {WHOLE: rows(6)}}}, False),
        ({"stage": "weekly"}, False),
        # A second attempt, and one with rulings on its rows, run alone.
        ({"attempt": 2}, False),
        ({"rulings": ("a ruling",)}, False),
        # Recomputed as a whole, or only some columns of it.
        ({"held": Product(content="c", rows=1), "columns": ("x",)}, False),
        # A file that feeds another partition, too, is read for both.
        ({"files": {"a.csv": file_of("a.csv", **{"1": 1})}}, True),
        ({"files": {"a.csv": file_of("a.csv", **{"1": 1, "2": 1})}}, False),
    ],
)
def test_work_that_is_alike(other: dict[str, Any], alike: bool) -> None:
    assert work(**other).can_batch_with(work()) is alike


def test_work_on_the_same_files_is_alike() -> None:
    def shared(partition: str, *paths: str) -> Work:
        files = {path: file_of(path, **{partition: 1, "other": 1}) for path in paths}
        return work(partition=partition, files=files)

    assert shared("1", "a.csv").can_batch_with(shared("2", "a.csv"))
    assert shared("1", "a.csv", "b.csv").can_batch_with(shared("2", "a.csv", "b.csv"))
    assert not shared("1", "a.csv").can_batch_with(shared("2", "b.csv"))
    assert not shared("1", "a.csv").can_batch_with(shared("2", "a.csv", "b.csv"))
    assert not shared("1", "a.csv").can_batch_with(
        work(files={"a.csv": file_of("a.csv", **{"1": 1})})
    )
