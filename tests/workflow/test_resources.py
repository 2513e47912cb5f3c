"""Resource limits of a stage's steps, as people write them."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.core.errors import DeclarationError
from tidemill.workflow.resources import Resources


def test_resources_are_read() -> None:
    found = tm.resources(cpus=2, memory="2GB", gpus=1, timeout="10m")

    assert found == Resources(cpus=2, memory=2_000_000_000, gpus=1, timeout_s=600.0)
    assert found.needs_process
    assert not tm.resources(cpus=0.5).needs_process
    assert tm.resources() == Resources()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cpus": 0}, "cpus=0 is not a number of CPUs"),
        ({"cpus": "2"}, "cpus='2' is not a number of CPUs"),
        ({"memory": "lots"}, "memory='lots' is not an amount of memory"),
        ({"gpus": 0.5}, "gpus=0.5 is not a number of devices"),
        ({"gpus": -1}, "gpus=-1 is not a number of devices"),
        ({"timeout": 0}, "timeout=0 is not a duration"),
        ({"lane": "fast"}, "lane='fast' is not one of auto, process, thread"),
        (
            {"lane": "thread", "memory": "1GB"},
            "memory=, timeout= and gpus= can't be enforced in a thread",
        ),
        (
            {"lane": "thread", "timeout": 1},
            "memory=, timeout= and gpus= can't be enforced in a thread",
        ),
        (
            {"lane": "thread", "gpus": 1},
            "memory=, timeout= and gpus= can't be enforced in a thread",
        ),
    ],
)
def test_resources_that_make_no_sense(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError, match=r"test_resources\.py") as raised:
        tm.resources(**options)
    assert says in str(raised.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(DeclarationError, match="3 faults"):
        tm.resources(cpus=-1, memory=-1, timeout=-1)
