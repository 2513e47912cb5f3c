"""A task that could not be done as it is said is refused where it is made."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.core.errors import UsageError
from tidemill.ports.execution import Task, WorkerClass


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"function": "module"}, "'module' is not module:name"),
        ({"function": ":name"}, "':name' is not module:name"),
        ({"cpus": 0}, "cpus=0 is not a number of CPUs"),
        ({"memory": -1}, "memory=-1 is not a number of bytes"),
        ({"gpus": -1}, "gpus=-1 is not a number of devices"),
        ({"timeout_s": 0}, "timeout_s=0 leaves no time"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=f"task one: .*{says}"):
        Task(**{"id": "one", "function": "module:name", **wrong})


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"niceness": 20}, "niceness=20 is not from 0 .* to 19"),
        ({"niceness": -1}, "niceness=-1 is not from 0 .* to 19"),
        ({"memory": -1}, "memory=-1 is not a number of bytes"),
    ],
)
def test_a_class_of_workers_that_makes_no_sense_is_refused(
    wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        WorkerClass(**wrong)
