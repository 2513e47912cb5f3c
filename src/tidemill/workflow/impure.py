"""Mark functions whose output depends on hidden inputs: a service, the clock, anything outside of keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import FunctionType
from typing import Any, Protocol, TypeVar, overload

from tidemill.core.callsite import caller
from tidemill.core.errors import DeclarationError, Fault
from tidemill.core.lazy_dataclass import dataclass

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__tidemill_impure__"
_EVERY = re.compile(r"([1-9][0-9]{0,8})(m|h|d|w)")
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60}
# How far apart the clocks of two machines with a shared state may be.
_CLOCK_SKEW_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Impure:
    """How long a result stays valid: `every_s` seconds, or until the next run (None)."""

    every_s: float | None = None

    def is_valid(self, computed_at: float, now: float) -> bool:
        """Whether a result computed at `computed_at` is still valid at `now` (Unix seconds).

        One from the future isn't: its clock was ahead, so its age is unknown. Otherwise it would stay
        until the clock catches up.
        """
        return self.every_s is not None and -_CLOCK_SKEW_S <= now - computed_at < self.every_s

    def __str__(self) -> str:
        if self.every_s is None:
            return "it is recomputed in every run"
        unit = next((u for u, size in _SECONDS.items() if self.every_s % size == 0), "s")
        return f"it is recomputed after {self.every_s / _SECONDS.get(unit, 1):g}{unit}"


class Marker(Protocol):
    """A decorator that marks a function and returns it unchanged."""

    def __call__(self, function: F, /) -> F: ...


@overload
def impure(function: F, /) -> F: ...
@overload
def impure(*, every: str | None = None) -> Marker: ...
def impure(function: Callable[..., Any] | None = None, /, *, every: str | None = None) -> Any:
    """Mark an ingest or transform as impure: its output depends on something besides its inputs and code.

    Its steps run in every run, or with `every` ("30m", "6h", "7d", "2w") once their last result is that
    old. Works above or below `@flow.ingest` and `@flow.transform`. Raises DeclarationError for an
    invalid interval, or on anything but a function.
    """
    mark = Impure(every_s=_seconds(every, caller(1)))
    if function is not None:
        return _mark_function(function, mark, caller(1))
    return lambda function: _mark_function(function, mark, caller(1))


def impure_of(function: object) -> Impure | None:
    """Return the mark of a function that `tm.impure` decorated, else None."""
    mark = getattr(function, _MARK, None)
    return mark if isinstance(mark, Impure) else None


def _mark_function(function: Any, mark: Impure, where: str) -> Any:
    if not isinstance(function, FunctionType):
        advice = "write @tm.impure or @tm.impure(every='6h') above a def"
        raise _declaration_error(f"it takes a function, not {function!r}", where, advice)
    setattr(function, _MARK, mark)
    return function


def _seconds(every: object, where: str) -> float | None:
    if every is None:
        return None
    match = _EVERY.fullmatch(every) if isinstance(every, str) else None
    if match is None:
        advice = "write minutes, hours, days or weeks: '30m', '6h', '7d', '2w'"
        raise _declaration_error(f"every={every!r} is not a length of time", where, advice)
    return float(int(match[1]) * _SECONDS[match[2]])


def _declaration_error(message: str, where: str, advice: str) -> DeclarationError:
    return DeclarationError("tm.impure", [Fault(message=message, where=where, hint=advice)])
