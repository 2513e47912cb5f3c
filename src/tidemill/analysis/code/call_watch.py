"""Watch a stage's calls for hidden inputs.

This finds what the text of the code doesn't show: the branch that was taken, the calls of a package. It
doesn't see calls from C (`map(open, names)`, `partial(datetime.now)`), classes in C (`io.FileIO`),
methods made by Cython (`pandas.Timestamp.now`), and other threads. The analysis of the text finds those
where the project writes them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from types import FrameType, ModuleType
from typing import Any, Self

from tidemill.analysis.code.hidden_inputs import HiddenInput
from tidemill.analysis.code.responsible_line import find_responsible_line, line_of
from tidemill.analysis.code.runtime_calls import (
    Call,
    c_call,
    c_method,
    python_call,
    quiet_files,
    quiet_functions,
    quiet_names,
    shared_random,
)


class CallWatch:
    """Records the hidden inputs of the calls in a `with` block, in this thread; errors pass through.

    `place` (`file.py:12`) is reported if the line is unknown. A profiler that was active before sees every
    call as well and continues afterwards; a profiler written in C pauses.
    """

    def __init__(self, place: str = "") -> None:
        self._place = place
        self._seen: dict[HiddenInput, None] = {}
        self._known: set[tuple[Call, str, int]] = set()
        self._base: FrameType | None = None
        self._previous: Any = None
        self._shared: object = None
        self._states: dict[str, Any] = {}

    @property
    def hidden_inputs(self) -> tuple[HiddenInput, ...]:
        """The hidden inputs, in the order in which they were used."""
        return tuple(self._seen)

    def __enter__(self) -> Self:
        self._base = sys._getframe(1)
        self._shared = shared_random() or self
        self._states = _generator_states()
        self._previous = sys.getprofile()
        sys.setprofile(self._profile_both if callable(self._previous) else self._profile)
        return self

    def __exit__(self, *_: object) -> None:
        _restore(self._previous)
        for name in _advanced_generators(self._states, _generator_states()):
            if not any(touch.name.startswith(f"{name}.") for touch in self._seen):
                self._seen[HiddenInput(name=name, kind="random", where=self._place)] = None
        self._base = self._previous = None  # frames keep their variables alive

    def _profile(self, frame: FrameType, event: str, arg: Any) -> None:
        """Profile every call; calls without hidden inputs must cost almost nothing."""
        if event == "call":
            code = frame.f_code
            if code.co_filename in quiet_files:
                return
            if code.co_qualname not in quiet_names.get(code.co_filename, ()):
                self._record(python_call(frame), frame.f_back)
        elif event == "c_call":
            owner = arg.__self__
            if type(owner) is ModuleType:
                if arg not in quiet_functions:
                    self._record(c_call(arg), frame)
            elif owner is self._shared or issubclass(type(owner), type) or _is_naive(owner):
                self._record(c_method(arg, frame), frame)

    def _profile_both(self, frame: FrameType, event: str, arg: Any) -> None:
        self._profile(frame, event, arg)
        self._previous(frame, event, arg)

    def _record(self, call: Call | None, frame: FrameType | None) -> None:
        if call is None or frame is None:
            return
        here = call, frame.f_code.co_filename, frame.f_lineno
        if here in self._known:  # a loop may draw a million numbers
            return
        found = find_responsible_line(call[0], frame, self._base)
        if found is not None:
            self._seen[HiddenInput(name=found[0], kind=call[1], where=found[1])] = None
            if found[1] == line_of(frame):
                self._known.add(here)


def _is_naive(owner: Any) -> bool:
    """Whether the object is a datetime without a time zone, which means the machine's."""
    return issubclass(type(owner), datetime) and owner.tzinfo is None


def _restore(profiler: Any) -> None:
    if profiler is None or callable(profiler):
        sys.setprofile(profiler)
    else:
        sys.setprofile(None)
        # The standard library's profiler, written in C, can be enabled again.
        getattr(profiler, "enable", str)()


def _generator_states() -> dict[str, Any]:
    """The states of the shared random generators; calls of NumPy's are never seen."""
    states: dict[str, Any] = {}
    python = getattr(sys.modules.get("random"), "getstate", None)
    if python is not None:
        states["random"] = python()
    numpy = getattr(sys.modules.get("numpy.random"), "get_state", None)
    if numpy is not None:
        states["numpy.random"] = _flatten(numpy(legacy=False))
    return states


def _flatten(state: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten the state of a NumPy generator into comparable values."""
    flat: dict[str, Any] = {}
    for name, value in state.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value)
        else:
            flat[name] = value.tobytes() if hasattr(value, "tobytes") else value
    return flat


def _advanced_generators(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The shared generators that were seeded or drawn from."""
    return [name for name, state in after.items() if _has_advanced(before.get(name), state)]


def _has_advanced(before: Any, after: Any) -> bool:
    if before is not None or not isinstance(after, Mapping):
        return bool(before is not None and before != after)
    # NumPy's may have been created in between; this is its state until the first number is drawn.
    return after.get("pos") != 623 or bool(after.get("has_gauss"))
