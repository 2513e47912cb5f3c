"""Code that takes too long is stopped."""

from __future__ import annotations

import signal
import threading

import pytest

from tidemill.cases.io.time_limit import OutOfTime, time_limit


def test_an_endless_loop_ends() -> None:
    def work() -> None:
        with time_limit(0.05):
            while True:
                pass

    with pytest.raises(OutOfTime, match=r"longer than 0\.05 s"):
        work()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_no_limit() -> None:
    with time_limit(0):
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_other_threads_have_none() -> None:
    done: list[bool] = []

    def work() -> None:
        with time_limit(1):
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
