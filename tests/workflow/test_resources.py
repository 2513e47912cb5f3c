"""What a stage's steps may use and what is tried again, as people write it."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.core.errors import DeclarationError
from tidemill.core.units import bytes_of, seconds_of
from tidemill.workflow.resources import Resources
from tidemill.workflow.retry_policy import Retries


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


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"times": -1}, "-1 is not a number of times"),
        ({"times": 1.5}, "1.5 is not a number of times"),
        ({"times": True}, "True is not a number of times"),
        ({"backoff": "linear"}, "backoff='linear' is not one of exponential, constant"),
        ({"delay": "soon"}, "delay='soon' is no length of time"),
        ({"on": "ConnectionError"}, "on='ConnectionError' is not an exception class"),
        ({"on": (OSError, 3)}, "on=3 is not an exception class"),
    ],
)
def test_retries_that_make_no_sense(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError, match=r"test_resources\.py") as raised:
        tm.retries(**options)
    assert says in str(raised.value)


def test_retries_are_read() -> None:
    found = tm.retries(5, backoff="constant", delay="2s", on=OSError)

    assert found == Retries(times=5, backoff="constant", delay_s=2.0, on=(OSError,))
    assert found.covers(socket.gaierror)
    assert not found.covers(ValueError)
    assert [found.pause_s(n) for n in (1, 2, 9)] == [2.0, 2.0, 2.0]


def test_pauses_double_up_to_five_minutes() -> None:
    found = tm.retries(20, delay=1)

    assert [found.pause_s(n) for n in (1, 2, 3, 9, 10, 500)] == [1, 2, 4, 256, 300, 300]
    # Who asks for a longer pause than that gets it.
    assert tm.retries(delay="10m").pause_s(7) == 600


@given(
    times=st.integers(0, 5),
    faults=st.lists(st.sampled_from(["transient", "lost", "bug"]), min_size=8, max_size=8),
)
def test_tries_end(times: int, faults: list[str]) -> None:
    policy = Retries(times=times, delay_s=0.5)
    number, deaths = 1, 0
    for fault in faults:
        deaths += fault == "lost"
        lost = deaths if fault == "lost" else 0
        pause = policy.again_s(number, transient=fault == "transient", deaths=lost)
        if pause is None:
            break
        assert 0 <= pause <= 300
        number += 1

    # A bug is never tried again, a lost process once whatever is declared, all else as declared.
    assert number <= 2 + times
    assert deaths <= 2
    if faults[0] == "bug" or (faults[0] == "transient" and times == 0):
        assert number == 1
    if faults[0] == "lost":
        assert number >= 2
