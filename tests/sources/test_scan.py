"""Which files have rows of one partition only."""

from __future__ import annotations

import pytest

from tidemill.sources.scan import feeds_only
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
