"""Mutable state of code: values of the project that a call may change in place.

A digest covers their contents at the time it was computed. A stage that changes one of them (a counter,
a cache filled by another partition) has results that don't depend on its inputs alone, and so has a stage
that reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from types import FunctionType
from typing import Any, TypeAlias

from tidemill.analysis.code.callables import cells_of
from tidemill.core.fingerprint import Part, fingerprint
from tidemill.core.lazy_dataclass import dataclass

_CONTAINERS = frozenset(
    {
        "builtins.dict",
        "builtins.list",
        "builtins.set",
        "builtins.bytearray",
        "types.SimpleNamespace",
    }
    | {f"collections.{name}" for name in ("OrderedDict", "Counter", "defaultdict", "deque")}
    | {"numpy.ndarray", "polars.dataframe.frame.DataFrame", "polars.series.series.Series"}
)
# They are compared by what they refer to; each referred value is compared on its own.
_HOLDERS = (FunctionType, type)


@dataclass(frozen=True, slots=True)
class MutableHolder:
    """A value that can change in place, the name that led to it, and the line of that name."""

    value: Any
    name: str
    where: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a module: the dictionary that holds it, and its name (`*`: any of them)."""

    namespace: dict[str, Any]
    name: str

    @property
    def key(self) -> tuple[int, str]:
        """Identifies the variable in this process."""
        return id(self.namespace), self.name


def is_mutable(value: Any) -> bool:
    """Whether a call can change a value in place."""
    kind = type(value)
    if f"{kind.__module__}.{kind.__qualname__}" in _CONTAINERS:
        return True
    if isinstance(value, (*_HOLDERS, Enum)) or kind.__module__.startswith("polars."):
        return False
    # Frozen ones too: `object.__setattr__` changes them.
    return isinstance(getattr(value, "__dict__", None), dict)


# What a value or a variable holds, by name.
Contents: TypeAlias = Mapping[str, Any]
NOTHING: Contents = {}


class HeldState:
    """A snapshot of mutable values and variables; `part` identifies a value."""

    def __init__(self, keepers: Sequence[MutableHolder], part: Callable[[Any], Part]) -> None:
        self._holders = keepers
        self._part = part
        self._before: list[Contents] | None = None

    def take(self) -> None:
        """Take the snapshot, unless it was taken before."""
        if self._before is None:
            self._before = [contents_of(keeper.value, self._part) for keeper in self._holders]

    def first_change(self) -> MutableHolder | None:
        """The first value that differs from the snapshot."""
        for keeper, before in zip(self._holders, self._before or (), strict=True):
            if not is_same(before, contents_of(keeper.value, self._part)):
                return keeper
        return None


def holds_nothing(value: Any) -> bool:
    """Whether a value has the contents `NOTHING`: like most functions, which are compared after each call."""
    return isinstance(value, FunctionType) and not value.__dict__ and value.__closure__ is None


def contents_of(value: Any, part: Callable[[Any], Part]) -> Contents:
    """What a value holds now, to be compared later."""
    if isinstance(value, Variable):
        return {value.name: _current_value(value)}
    if holds_nothing(value):
        return NOTHING
    if isinstance(value, _HOLDERS):
        return dict(_attributes(value))
    return {"": fingerprint("state", part(value))}


def _current_value(variable: Variable) -> Any:
    """The value of a variable; one that its module loads when it is first used has it before, too."""
    if variable.name not in variable.namespace and "__getattr__" in variable.namespace:
        with suppress(AttributeError):
            return variable.namespace["__getattr__"](variable.name)
    return variable.namespace.get(variable.name, Variable)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """The objects that a function or a class refers to; not their ids, which Python reuses."""
    for name, item in list(vars(value).items()):
        if not name.startswith("__"):
            yield name, item
    if isinstance(value, FunctionType):
        yield from ((f"{name} ", item) for name, item, _ in cells_of(value))


def is_same(before: Contents, after: Contents) -> bool:
    """Whether a value holds the same as before."""
    if before is after:
        return True
    if before.keys() != after.keys():
        return False
    return all(_is_equal(item, after[name]) for name, item in before.items())


def _is_equal(one: Any, other: Any) -> bool:
    return one is other or (type(one) is str and type(other) is str and one == other)
