"""Find the values and variables that functions change and didn't create.

Calls are followed: a function that changes its parameter changes what its callers pass.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import FunctionType, MethodType, ModuleType
from typing import Any

from tidemill.analysis.code.canonical_text import FunctionShape
from tidemill.analysis.code.module_origin import absolute_module_name
from tidemill.analysis.code.mutable_state import Variable, is_mutable
from tidemill.analysis.code.name_resolution import MISSING, NameScope
from tidemill.analysis.code.scopes import Import
from tidemill.analysis.code.state_writes import (
    OF_ARRAYS,
    OF_CONTAINERS,
    OF_FRAMES,
    RESULT,
    StateCall,
    StateWrite,
    Target,
)
from tidemill.core.lazy_dataclass import dataclass

_MOST_NESTED = 10_000
# The type of functions that `functools.cache` and `lru_cache` decorate.
_CACHED = type(cache(len))
ANY = "*"
# Methods that change a value in place, by the package of its type: that of a list sorts it, that of a
# frame returns another one.
_METHODS = {
    **dict.fromkeys(("builtins", "collections"), OF_CONTAINERS),
    "numpy": OF_ARRAYS | {"sort", "partition"},
    "polars": OF_FRAMES | {"append", "extend", "__setitem__"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """A value that code changes in place, or a variable that it assigns, and the line (`file.py:12`)."""

    value: Any
    name: str
    where: str


@dataclass(frozen=True, slots=True)
class Body:
    """The text of a function, and the variables around it."""

    shape: FunctionShape
    around: NameScope

    @property
    def function(self) -> FunctionType:
        return self.around.function

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of the function's module."""
        return self.around.function.__globals__

    def value_of(self, target: Target) -> Any:
        """What a target from outside leads to; MISSING if that isn't known without running code."""
        if target.source is not None:
            value = _imported(target.source, self.variables)
        else:
            value = self.around.lookup(target.name)
        for name in target.path:
            if name == RESULT:
                # Every call of a cached function may return the same value. It stands for all of them.
                return value if isinstance(value, _CACHED) else MISSING
            value = _attribute(value, name)
        return value


@dataclass(frozen=True, slots=True)
class _Effect:
    """A change that a function makes, in terms of its own names, and the line that makes it."""

    write: StateWrite
    where: str


def state_changes(bodies: Sequence[Body]) -> Iterator[StateChange]:
    """The changes that functions make, each with those that its calls make to what it passes."""
    if not any(body.shape.writes for body in bodies):
        return
    known = {id(body.function): _Behaviour.of(body) for body in bodies}
    before = -1
    while (size := sum(len(item.effects) + len(item.calls) for item in known.values())) != before:
        before = size
        for item in known.values():
            for call in list(item.calls):
                item.follow(call, known)
    for item in known.values():
        for effect in item.effects:
            yield from _changes(item.body, effect)


@dataclass(slots=True)
class _Behaviour:
    """The changes and the calls that a function makes, with those of its calls."""

    body: Body
    effects: dict[_Effect, None]
    calls: dict[StateCall, None]

    @classmethod
    def of(cls, body: Body) -> _Behaviour:
        writes = body.shape.writes
        effects = (_Effect(write, f"{body.around.file}:{write.line}") for write in writes)
        return cls(body, dict.fromkeys(effects), dict.fromkeys(body.shape.calls))

    def follow(self, call: StateCall, known: Mapping[int, _Behaviour]) -> None:
        """Add what a call does to what it is passed, if it leads to a known function."""
        if call.function.parameter:
            return
        function, owner = _function(self.body, call.function)
        called = known.get(id(function))
        if function is None or called is None:
            return
        arguments = _by_parameter(function, call, owner)
        self.effects |= dict.fromkeys(_passed(called.effects, arguments))
        self.calls |= dict.fromkeys(_lifted(called.calls, arguments))


def _function(body: Body, target: Target) -> tuple[FunctionType | None, Target | None]:
    """The function that a target leads to, and its first argument if it is a method."""
    value = body.value_of(target)
    if isinstance(value, FunctionType):
        return value, None
    if isinstance(value, MethodType) and isinstance(value.__func__, FunctionType):
        return value.__func__, replace(target, path=target.path[:-1])
    return None, None


def _by_parameter(
    function: FunctionType, call: StateCall, owner: Target | None
) -> Mapping[str, Target]:
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    first = 0 if owner is None else 1
    found = {} if owner is None or not names else {names[0]: owner}
    for key, target in call.arguments:
        if isinstance(key, str):
            found[key] = target
        elif key + first < code.co_argcount:
            found[names[key + first]] = target
    return found


def _passed(effects: Iterable[_Effect], arguments: Mapping[str, Target]) -> Iterator[_Effect]:
    """The changes that a call makes to what it is passed."""
    for effect in list(effects):
        target = effect.write.target
        if target.parameter and target.name in arguments:
            own = arguments[target.name].extend(target)
            yield replace(effect, write=replace(effect.write, target=own))


def _lifted(calls: Iterable[StateCall], arguments: Mapping[str, Target]) -> Iterator[StateCall]:
    """The calls of methods of what a call is passed, `self.other()` for example."""
    for call in list(calls):
        if call.function.parameter and call.function.name in arguments:
            passed = (
                (key, arguments[target.name].extend(target))
                for key, target in call.arguments
                if target.parameter and target.name in arguments
            )
            owner = arguments[call.function.name]
            yield StateCall(function=owner.extend(call.function), arguments=tuple(passed))


def _changes(body: Body, effect: _Effect) -> Iterator[StateChange]:
    """The values and variables that a change means, as far as they are known."""
    write = effect.write
    if write.target.parameter:
        return
    if not write.target.name and write.target.source is None:  # a global variable
        name = str(write.attribute)
        variable = Variable(body.variables, name)
        yield StateChange(value=variable, name=name, where=effect.where)
        return
    owner, name = body.value_of(write.target), ".".join((write.target.name, *write.target.path))
    if isinstance(owner, ModuleType):
        if write.attribute is not None:
            variable = Variable(vars(owner), write.attribute)
            name = f"{name}.{write.attribute}"
            yield StateChange(value=variable, name=name, where=effect.where)
    elif owner is not MISSING and _applies(owner, write):
        for value in (owner, *(_nested(owner) if write.target.deep else ())):
            yield StateChange(value=value, name=name, where=effect.where)


def _applies(owner: Any, write: StateWrite) -> bool:
    """Whether a change is one of this value, or of something inside of it."""
    if isinstance(owner, _CACHED):
        return True
    if isinstance(owner, (FunctionType, type)):
        return write.attribute is not None
    if not is_mutable(owner):
        return write.target.deep and any(map(is_mutable, _nested(owner)))
    candidates = [owner, *(_nested(owner) if write.target.deep else ())]
    return not write.method or any(_has_method(item, write.method) for item in candidates)


def _has_method(value: Any, method: str) -> bool:
    """Whether a value has a method that changes it in place."""
    kind = type(value)
    names = _METHODS.get(kind.__module__.partition(".")[0], frozenset())
    return method in names and is_mutable(value) and hasattr(kind, method)


def _nested(value: Any) -> list[Any]:
    """Everything that can change in a value: the contents of containers, and attributes."""
    found: list[Any] = []
    seen, queue = {id(value)}, [value]
    while queue and len(seen) < _MOST_NESTED:
        for item in _contents(queue.pop()):
            if id(item) not in seen:
                seen.add(id(item))
                queue.append(item)
                found += [item] if is_mutable(item) else []
    return found


def _contents(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return [*value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [*value]
    attributes = getattr(value, "__dict__", None)
    return [*attributes.values()] if is_mutable(value) and isinstance(attributes, dict) else ()


def _attribute(value: Any, name: str) -> Any:
    """An attribute of a value, without running code of the project."""
    if value is MISSING or name == "__dict__":
        return value
    own = getattr(value, "__dict__", {})
    if name in own:
        return own[name]
    for base in getattr(value if isinstance(value, type) else type(value), "__mro__", ()):
        if name in vars(base):
            found = vars(base)[name]
            bound = isinstance(found, FunctionType) and not isinstance(value, type)
            return MethodType(found, value) if bound else getattr(found, "__func__", found)
    return MISSING


def _imported(source: Import, scope: dict[str, Any]) -> Any:
    """What an import inside a function binds, if its module was imported."""
    try:
        name = absolute_module_name(source.module, source.level, scope)
    except ImportError:
        return MISSING
    if source.top:
        return sys.modules.get(name.partition(".")[0], MISSING)
    module = sys.modules.get(name, MISSING)
    if not source.item:
        return module
    inner = sys.modules.get(f"{name}.{source.item}", MISSING)
    return getattr(module, "__dict__", {}).get(source.item, inner)
