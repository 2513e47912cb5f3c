"""Retry policies, as people write them, and the attempts that they allow."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tidemill as tm
from tidemill.core.errors import DeclarationError
from tidemill.workflow.retry_policy import Retries


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"times": -1}, "-1 is not a number of times"),
        ({"times": 1.5}, "1.5 is not a number of times"),
        ({"times": True}, "True is not a number of times"),
        ({"backoff": "linear"}, "backoff='linear' is not one of exponential, constant"),
        ({"delay": "soon"}, "delay='soon' is not a duration"),
        ({"on": "ConnectionError"}, "on='ConnectionError' is not an exception class"),
        ({"on": (OSError, 3)}, "on=3 is not an exception class"),
    ],
)
def test_retries_that_make_no_sense(options: dict[str, Any], says: str) -> None:
    with pytest.raises(DeclarationError, match=r"test_retry_policy\.py") as raised:
        tm.retries(**options)
    assert says in str(raised.value)


def test_retries_are_read() -> None:
    found = tm.retries(5, backoff="constant", delay="2s", on=OSError)

    assert found == Retries(times=5, backoff="constant", delay_s=2.0, on=(OSError,))
    assert found.is_retryable(socket.gaierror)
    assert not found.is_retryable(ValueError)
    assert [found.backoff_s(n) for n in (1, 2, 9)] == [2.0, 2.0, 2.0]


def test_pauses_double_up_to_five_minutes() -> None:
    found = tm.retries(20, delay=1)

    assert [found.backoff_s(n) for n in (1, 2, 3, 9, 10, 500)] == [1, 2, 4, 256, 300, 300]
    # Who asks for a longer pause than that gets it.
    assert tm.retries(delay="10m").backoff_s(7) == 600


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
        pause = policy.retry_delay_s(number, transient=fault == "transient", deaths=lost)
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
