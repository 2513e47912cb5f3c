"""`tm.record_usage`: count what code of the user consumes elsewhere, such as tokens and calls of services."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from math import isfinite
from numbers import Real
from typing import SupportsFloat

from tidemill.core.errors import UsageError

_current_meter: ContextVar[UsageMeter | None] = ContextVar("usage meter", default=None)
_active_meters: list[UsageMeter] = []
_lock = threading.Lock()


class UsageMeter:
    """Counts the named units that one attempt at a step uses, in whichever threads it does."""

    def __init__(self) -> None:
        self._units: dict[str, float] = {}

    @property
    def units(self) -> dict[str, float]:
        """How many of each unit were used."""
        with _lock:
            return {**self._units}

    def add(self, unit: str, count: float) -> None:
        """Add some of a unit."""
        with _lock:
            self._units[unit] = self._units.get(unit, 0.0) + count

    @contextmanager
    def activate(self) -> Iterator[None]:
        """Count what is recorded in this thread, and in others while no other meter is active."""
        token = _current_meter.set(self)
        with _lock:
            _active_meters.append(self)
        try:
            yield
        finally:
            with _lock:
                _active_meters.remove(self)
            _current_meter.reset(token)


def record_usage(unit: str, count: SupportsFloat = 1.0) -> None:
    """Record that a step used so many of a unit, such as `tm.record_usage("tokens.gpt-x", 1200)`.

    The attempt has it, also if it fails, and it costs what `units` in `[[tool.tidemill.prices]]` say. Where
    no step runs, such as in a test or a notebook, it does nothing. Raises UsageError for a count that isn't a
    number of at least 0, and in a thread of which it isn't known to which of several steps it belongs.
    """
    if not isinstance(unit, str) or not unit.strip() or not unit.isprintable():
        raise UsageError(
            f"tm.record_usage: {unit!r} is not the name of a unit, such as 'tokens.gpt-x'"
        )
    number = _number(count)
    if number is None or not isfinite(number) or number < 0:
        raise UsageError(f"tm.record_usage: {count!r} is not a number of {unit}")
    meter = _current_meter.get() or _only_meter(unit)
    if meter is not None:
        meter.add(unit, number)


def _number(count: object) -> float | None:
    """A number of Python, NumPy or another library as a float; None if it isn't one, or is too large."""
    if isinstance(count, bool) or not isinstance(count, Real | Decimal):
        return None
    try:
        return float(count)
    except (ValueError, OverflowError):
        return None


def _only_meter(unit: str) -> UsageMeter | None:
    """The meter of the only step that runs in this process; None if none does."""
    with _lock:
        if len(_active_meters) > 1:
            raise UsageError(
                f"tm.record_usage: it isn't known which step uses {unit}: several run in this process, and "
                "this thread is none of theirs; begin it with contextvars.copy_context().run"
            )
        return _active_meters[0] if _active_meters else None
