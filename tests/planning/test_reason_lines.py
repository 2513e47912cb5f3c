"""A line says what happens to some partitions of a stage, and why."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.planning.reason_lines import reason_line
from tidemill.planning.stage_reasons import ReasonGroup


@pytest.mark.parametrize(
    ("group", "line"),
    [
        ({"reasons": ("new partition",)}, "a d1 runs: new partition"),
        ({"partitions": ("d1", "d2"), "reasons": ("x",)}, "a d1 .. d2 (2) run: x"),
        ({"unlikely": True, "reasons": ("only if",)}, "a d1 may follow, only if"),
        ({"does": "stay"}, "a d1 is up to date"),
        ({"does": "stay", "files": ("f is unchanged",)}, "a d1 is up to date: f is unchanged"),
        ({"does": "made", "run": "r1", "reasons": ("x",)}, "a d1 was published by run r1 since: x"),
        # The names of files say more than that files changed.
        ({"reasons": ("files changed", "y"), "files": tuple("fghij")},
         "a d1 runs: y; f; g; h; and 2 more"),
        ({"partitions": ("all",), "reasons": ("x",), "does": "train"}, "a is trained: x"),
    ],
)  # fmt: skip
def test_lines(group: dict[str, Any], line: str) -> None:
    known = {"stage": "a", "does": "run", "partitions": ("d1",), **group}
    assert reason_line(ReasonGroup(**known)) == line


def test_a_part_may_be_outdated_elsewhere() -> None:
    group = ReasonGroup(stage="a", does="stay", partitions=("d1",))
    assert reason_line(group, parts_of_it=True) == "a d1 is up to date, or not requested"
