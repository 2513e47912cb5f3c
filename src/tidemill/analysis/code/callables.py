"""Identify callables, and the descriptors that wrap them in a class."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any

from tidemill.analysis.code.module_origin import (
    exported_name,
    is_ad_hoc_module,
    origin_of_function,
    origin_of_module,
)
from tidemill.analysis.code.walker_protocol import Visitor
from tidemill.core.fingerprint import Part

# Set on functions and instances by Python's own decorators and generic classes.
_MARKS = frozenset(
    {"__final__", "__isabstractmethod__", "__no_type_check__", "__orig_class__", "__override__"}
    | {"__tidemill_impure__"}
)


def cells_of(function: FunctionType) -> Iterator[tuple[str, Any, bool]]:
    """The variables in a function's closure: name, value, and whether it has a value yet."""
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents, True
        except ValueError:
            yield name, None, False


def cell_part(name: str, value: Any, filled: bool, visitor: Visitor) -> Part:
    """Identify a variable of a closure."""
    return [
        name,
        visitor.value(value, name) if filled else visitor.refuse(f"{name!r} has no value yet"),
    ]


def attributes_part(value: Any, known: Container[str], visitor: Visitor) -> Part:
    """Identify the attributes that were set on a value, except the `known` ones."""
    return [
        [name, visitor.value(item, name)]
        for name, item in list(getattr(value, "__dict__", {}).items())
        if name not in known
        and not _is_redundant(value, name, item)
        # A cached property follows from the other attributes.
        and not isinstance(getattr(type(value), name, None), cached_property)
    ]


def _is_redundant(value: Any, name: str, item: Any) -> bool:
    """Whether an attribute is a mere mark, or is in the closure of a wrapper anyway."""
    if name == "__wrapped__" and isinstance(value, FunctionType):
        return any(inner is item for _, inner, _ in cells_of(value))
    return name in _MARKS


def _function(function: FunctionType, visitor: Visitor) -> Part:
    origin = origin_of_function(function)
    if origin == "project":
        return visitor.enqueue(function)
    module = function.__globals__.get("__name__", "")
    if origin == "tidemill":
        return visitor.external(f"{module}.{function.__qualname__}")
    known = exported_name(function)
    if known is not None:
        return visitor.external(known)
    # A wrapper that a library made.
    maker = visitor.external(f"{module}.{function.__code__.co_qualname}")
    registry = getattr(function, "registry", None)
    if registry is not None and module == "functools":
        return [maker, visitor.value(registry)]
    return [maker, *(cell_part(*cell, visitor) for cell in cells_of(function))]


def _builtin(value: Any, visitor: Visitor) -> Part:
    owner = value.__self__
    if owner is None or (isinstance(owner, ModuleType) and hasattr(value, "__module__")):
        module = value.__module__ or getattr(owner, "__name__", "builtins")
        if origin_of_module(module) == "project":
            return visitor.refuse("it has no Python source")
        return visitor.external(f"{module}.{value.__qualname__}")
    if isinstance(owner, type):
        return [visitor.value(owner), visitor.external(f"{owner.__module__}.{value.__qualname__}")]
    return [visitor.value(owner), value.__name__]


def _descriptor(value: Any, visitor: Visitor) -> Part:
    return [visitor.value(value.__objclass__), value.__name__]


def _module(value: ModuleType, visitor: Visitor) -> Part:
    if is_ad_hoc_module(value) or origin_of_module(value.__name__) == "project":
        return visitor.refuse("a module of the project is used as a value; name what is used of it")
    return visitor.external(value.__name__)


def _method(value: Any, visitor: Visitor) -> Part:
    return [visitor.value(value.__self__), visitor.value(value.__func__)]


def _wrapper(value: Any, visitor: Visitor) -> Part:
    return visitor.value(value.__func__)


def _property(value: property, visitor: Visitor) -> Part:
    return [visitor.value(value.fget), visitor.value(value.fset), visitor.value(value.fdel)]


def _partial(value: Any, visitor: Visitor) -> Part:
    return [visitor.value(value.func), visitor.value(value.args), visitor.value(value.keywords)]


def _cache_wrapper(value: Any, visitor: Visitor) -> Part:
    return [visitor.value(value.__wrapped__), visitor.value(value.cache_parameters())]


def _operator_getter(value: Any, visitor: Visitor) -> Part:
    """Identify getters of `operator` by their arguments."""
    _, *made = value.__reduce__()
    return visitor.value(made)


CALLABLES: dict[str, Callable[[Any, Visitor], Part]] = {
    "builtins.function": _function,
    "builtins.builtin_function_or_method": _builtin,
    "builtins.method-wrapper": _builtin,
    "builtins.method_descriptor": _descriptor,
    "builtins.wrapper_descriptor": _descriptor,
    "builtins.classmethod_descriptor": _descriptor,
    "builtins.getset_descriptor": _descriptor,
    "builtins.member_descriptor": _descriptor,
    "builtins.module": _module,
    "builtins.method": _method,
    "builtins.staticmethod": _wrapper,
    "builtins.classmethod": _wrapper,
    "builtins.property": _property,
    "functools.partial": _partial,
    "functools.partialmethod": _partial,
    "functools.cached_property": lambda value, visitor: visitor.value(value.func),
    "functools._lru_cache_wrapper": _cache_wrapper,
    "operator.itemgetter": _operator_getter,
    "operator.attrgetter": _operator_getter,
    "operator.methodcaller": _operator_getter,
}
