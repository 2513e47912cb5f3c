"""Resource limits of a stage's steps, as people write them."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.core.errors import DeclarationError
from tidemill.core.units import bytes_of, seconds_of
from tidemill.workflow.resources import Resources


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        (" 2 h ", 7200),
        ("1d", 86400),
        ("0.5s", 0.5),
        (3, 3),
        (0.25, 0.25),
    ],
)
def test_lengths_of_time(written: Any, seconds: float) -> None:
    assert seconds_of(written) == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [("500MB", 500e6), ("2GiB", 2**31), ("1.5 gb", 1.5e9), ("10b", 10), (7, 7), ("4kib", 4096)],
)
def test_amounts_of_memory(written: Any, size: float) -> None:
    assert bytes_of(written) == size


NEITHER = ["", "10", "ten m", "m", "10 parsecs", "-1s", "1e3s", 0, -1, True, None, float("nan")]


@pytest.mark.parametrize("written", [*NEITHER, float("inf"), "0s", "2GB"])
def test_what_is_no_length_of_time(written: Any) -> None:
    with pytest.raises(ValueError, match="is no length of time; write seconds, or such as '90s'"):
        seconds_of(written)


@pytest.mark.parametrize("written", [*NEITHER, float("inf"), "0.5b", "90s"])
def test_what_is_no_amount_of_memory(written: Any) -> None:
    with pytest.raises(ValueError, match="is no amount of memory; write bytes, or such as '500MB'"):
        bytes_of(written)


def test_resources_are_read() -> None:
    found = tm.resources(cpus=2, memory="2GB", gpus=1, timeout="10m")

    assert found == Resources(cpus=2, memory=2_000_000_000, gpus=1, timeout_s=600.0)
    assert found.limited
    assert not tm.resources(cpus=0.5).limited
    assert tm.resources() == Resources()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"cpus": 0}, "cpus=0 is not a number of CPUs"),
        ({"cpus": "2"}, "cpus='2' is not a number of CPUs"),
        ({"memory": "lots"}, "memory='lots' is no amount of memory"),
        ({"gpus": 0.5}, "gpus=0.5 is not a number of devices"),
        ({"gpus": -1}, "gpus=-1 is not a number of devices"),
        ({"timeout": 0}, "timeout=0 is no length of time"),
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
