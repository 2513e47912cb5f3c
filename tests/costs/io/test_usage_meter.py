"""Units that steps use."""

from __future__ import annotations

import threading
from contextvars import copy_context
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tidemill as tm
from tidemill.core.errors import UsageError
from tidemill.costs.io.usage_meter import UsageMeter, record_usage


def in_thread(action: Any) -> list[str]:
    """Run it in a new thread; return what it raised."""
    raised: list[str] = []

    def work() -> None:
        try:
            action()
        except UsageError as error:
            raised.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return raised


def test_a_step_counts_what_it_uses() -> None:
    meter = UsageMeter()
    with meter.activate():
        tm.record_usage("tokens.gpt-x", 1200)
        tm.record_usage("tokens.gpt-x", 0.5)
        tm.record_usage("calls")
        assert in_thread(lambda: record_usage("calls", 2)) == []
    record_usage("calls", 7)
    assert meter.units == {"tokens.gpt-x": 1200.5, "calls": 3.0}


def test_steps_of_one_process_are_kept_apart() -> None:
    one, other = UsageMeter(), UsageMeter()
    with one.activate():
        theirs = copy_context()
        with other.activate():
            record_usage("calls")
            (raised,) = in_thread(lambda: record_usage("calls"))
            assert "it isn't known which step uses calls" in raised
            assert in_thread(lambda: theirs.run(record_usage, "calls", 5)) == []
        record_usage("calls", 2)
    assert (one.units, other.units) == ({"calls": 7.0}, {"calls": 1.0})


@pytest.mark.parametrize(
    ("unit", "count", "fault"),
    [
        ("", 1, "'' is not the name of a unit"),
        (" ", 1, "not the name of a unit"),
        ("a\nb", 1, "not the name of a unit"),
        (3, 1, "3 is not the name of a unit"),
        ("calls", -1, "-1 is not a number of calls"),
        ("calls", float("nan"), "nan is not a number"),
        ("calls", float("inf"), "inf is not a number"),
        ("calls", True, "True is not a number"),
        ("calls", "1", "'1' is not a number"),
        ("calls", 10**400, "is not a number of calls"),
        ("calls", np.True_, "True_? is not a number"),
        ("calls", np.float64("nan"), "nan"),
        ("calls", np.int64(-1), "is not a number of calls"),
        ("calls", np.array([1, 2]), "is not a number of calls"),
        ("calls", Decimal("sNaN"), "is not a number of calls"),
        ("calls", None, "None is not a number"),
    ],
)
def test_what_can_not_be_counted_is_said(unit: Any, count: Any, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        record_usage(unit, count)


@pytest.mark.parametrize(
    "count",
    [np.int64(5), np.uint8(5), np.float32(5), np.array([2, 3]).sum(), Decimal(5), Fraction(5)],
)
def test_numbers_of_other_libraries_count(count: Any) -> None:
    meter = UsageMeter()
    with meter.activate():
        record_usage("tokens", count)
    assert meter.units == {"tokens": 5.0}
