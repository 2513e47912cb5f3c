"""Which partitions files feed, and which of them changed."""

from __future__ import annotations

import pytest

from tidemill.core.partition import UNPLACED
from tidemill.sources.scan import OTHERS, cut_to_partition, feeds_only, mostly_unplaced
from tidemill.workflow.source import SourceFile


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], True),
        ([{"a": 1}], True),
        ([{"a": 1}, {"a": 7}], True),
        ([{"b": 1}], False),
        ([{"a": 1}, {"a": 1, "b": 1}], False),
        ([{}], False),  # an empty file feeds no partition
    ],
)
def test_files_that_feed_one_partition(rows: list[dict[str, int]], expected: bool) -> None:
    files = {
        f"{n}.csv": SourceFile(path=f"{n}.csv", size=0, mtime_ns=0, digest=str(n), rows=each)
        for n, each in enumerate(rows)
    }
    assert feeds_only("a", files) is expected


def test_a_step_gets_what_a_file_has_of_its_partition() -> None:
    def file(**rows: int) -> SourceFile:
        return SourceFile(
            path="a.csv", size=9, mtime_ns=1, digest="d", rows=rows, parts=dict.fromkeys(rows, "p")
        )

    assert cut_to_partition(file(a=1), "a") == file(a=1)
    cut = cut_to_partition(file(a=1, b=2, c=3), "b")
    assert (cut.rows, cut.parts, cut.digest) == ({"b": 2, OTHERS: 1}, {}, "d")
    assert not feeds_only("b", {"a.csv": cut})
    assert cut_to_partition(file(**{UNPLACED: 1, "a": 5}), UNPLACED).rows == {UNPLACED: 1, "a": 5}
    # A file that lost the rows of the partition still belongs to others.
    assert not feeds_only("d", {"a.csv": cut_to_partition(file(a=1, b=2), "d")})


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], None),
        ([{}], None),
        ([{"a": 1}], None),
        ([{"a": 2, UNPLACED: 2}], None),
        ([{"a": 2, UNPLACED: 3}], ("0.csv", 3, 5)),
        # Good rows of another file don't count.
        ([{"a": 100}, {UNPLACED: 1}], ("1.csv", 1, 1)),
    ],
)
def test_a_file_that_has_mostly_rows_without_a_partition(
    rows: list[dict[str, int]], expected: tuple[str, int, int] | None
) -> None:
    files = {
        f"{n}.csv": SourceFile(path=f"{n}.csv", size=0, mtime_ns=0, digest=str(n), rows=each)
        for n, each in enumerate(rows)
    }
    assert mostly_unplaced(files, 0.5) == expected
    assert mostly_unplaced(files, 1.0) is None
