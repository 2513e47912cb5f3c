"""What a name in a function's text stands for, and what is read from it."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

from tidemill.analysis.code.callables import cells_of
from tidemill.analysis.code.canonical_text import Loose, Ref
from tidemill.analysis.code.hidden_inputs import is_seeded, loose_kind
from tidemill.analysis.code.module_origin import (
    absolute,
    is_made,
    origin_of_class,
    origin_of_function,
    origin_of_module,
)
from tidemill.analysis.code.scopes import Import, is_private
from tidemill.analysis.code.walker_protocol import Visitor
from tidemill.core.fingerprint import Part

# Importing runs code of the project, which may fail in any ordinary way.
_FAILURES = (
    *(ImportError, SyntaxError, ArithmeticError, AssertionError, AttributeError, LookupError),
    *(NameError, OSError, RuntimeError, TypeError, ValueError),
)
_MISSING: Any = object()
_CONSTANTS = (bool, int, float, str, bytes, tuple, list, dict, set, frozenset)
_COMPUTED = "an attribute of it is looked up by a computed name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Where a function's names are looked up."""

    function: FunctionType
    place: str
    cells: Mapping[str, Any]

    @classmethod
    def of(cls, function: FunctionType) -> Around:
        """The variables around a function, and the name of its file."""
        place = function.__code__.co_filename.replace("\\", "/").rpartition("/")[2]
        cells = {name: value if filled else _MISSING for name, value, filled in cells_of(function)}
        return cls(function=function, place=place, cells=cells)

    def lookup(self, name: str) -> Any:
        """What a name stands for; builtins are left out."""
        if name in self.cells:
            return self.cells[name]
        return self.function.__globals__.get(name, _MISSING)


def ref_part(ref: Ref, around: Around, visitor: Visitor) -> Part:
    """A name and what is read from it, by what identifies that."""
    visitor = visitor.at(f"{around.place}:{ref.line}", ref.label, seeded=ref.seeded)
    if visitor.exclude and _is_excluded(ref, visitor):
        part: Part = "declared"
    elif ref.source is not None:
        part = _imported(ref, ref.source, around, visitor)
    else:
        part = _found(ref, around, visitor)
    # The name under which something is imported inside a function is a local's.
    name = ref.name if ref.source is None else repr(ref.source)
    return [name, list(ref.path), part]


def _is_excluded(ref: Ref, visitor: Visitor) -> bool:
    """Is it, or what it is read from, somebody else's?"""
    written = (ref.name, *ref.path)
    return any(".".join(written[:count]) in visitor.exclude for count in range(1, len(written) + 1))


def _found(ref: Ref, around: Around, visitor: Visitor) -> Part:
    value = around.lookup(ref.name)
    if value is not _MISSING:
        if ref.name == "__file__":
            visitor.report("environment")
            return "file"
        return _reach(value, ref.path, ref, visitor)
    if ref.name in around.cells:
        return visitor.refuse("it has no value yet")
    if hasattr(builtins, ref.name):
        return visitor.external(".".join(("builtins", ref.name, *ref.path)))
    return "missing" if ref.optional else visitor.refuse("there is no such name")


def _reach(value: Any, path: Sequence[str], ref: Ref, visitor: Visitor) -> Part:
    """What attributes of modules lead to; attributes of anything else are part of the whole."""
    while isinstance(value, ModuleType) and path:
        if not is_made(value) and origin_of_module(value.__name__) != "project":
            return _foreign(value.__name__, path, visitor, value, dynamic=ref.dynamic, kept=True)
        found = getattr(value, path[0], _MISSING)
        if found is _MISSING or is_private(path[0]):
            return visitor.refuse(f"the module {value.__name__!r} has no {path[0]!r}")
        value, path = found, path[1:]
    if ref.dynamic and _is_computed(value):
        return visitor.refuse(_COMPUTED)
    if isinstance(value, type) and origin_of_class(value) != "project":
        name = f"{value.__module__}.{value.__qualname__}"
        return _foreign(name, path, visitor, value, dynamic=ref.dynamic, kept=True)
    if path[:1] == ("reads",) and (checks := _checks(value)):
        return [["digest", checks]]
    label = ".".join((ref.name, *ref.path[: len(ref.path) - len(path)]))
    parts = [visitor.value(value, label)]
    if origin_of_class(value if isinstance(value, type) else type(value)) != "project":
        parts += [_loose(name, is_seeded(None, [name]), visitor) for name in path[:-1]]
        parts += [_loose(name, ref.repeatable, visitor) for name in path[-1:]]
    return parts


def _checks(value: Any) -> str:
    """What stands for a contract that is only asked for columns, `Flights.reads("hour")`."""
    checks = getattr(value, "__tidemill_check__", None) if isinstance(value, type) else None
    return str(checks()) if checks is not None else ""


def _is_computed(value: Any) -> bool:
    """May an attribute be anything? Those of a function are its source, if nothing was set on it."""
    if isinstance(value, FunctionType):
        return origin_of_function(value) == "project"
    return isinstance(value, (ModuleType, type))


def _foreign(
    name: str,
    path: Sequence[str],
    visitor: Visitor,
    owner: Any = None,
    *,
    dynamic: bool = False,
    kept: bool = False,
) -> Part:
    """What isn't the project's, unless the project has put something of its own there.

    Nobody knows who has put a constant there. It counts where it is `kept`: what the project has
    imported is there in every process.
    """
    parts = [visitor.external(".".join((name, *path)))]
    for item in path:
        parts.append(_patched(item, visitor))
        # Looked up without waking a module that loads lazily.
        owner = vars(owner).get(item) if isinstance(owner, (ModuleType, type)) else None
        if _is_ours(owner):
            parts.append(visitor.value(owner))
    if kept and type(owner) in _CONSTANTS:
        parts.append(visitor.value(owner))
    if dynamic and _is_computed(owner):
        parts.append(visitor.refuse(_COMPUTED))
    return parts


def _is_ours(value: Any) -> bool:
    if isinstance(value, FunctionType):
        return origin_of_function(value) == "project"
    if isinstance(value, type):
        return origin_of_class(value) == "project"
    module = type(value).__module__  # Cython's has no file, and is nobody's
    known = module == "__main__" or hasattr(sys.modules.get(module), "__file__")
    return known and origin_of_module(module) == "project"


def loose_part(loose: Loose, around: Around, visitor: Visitor) -> Part:
    """An attribute of a value that can't be known: by what it most likely is."""
    return _loose(
        loose.name, loose.repeatable, visitor.at(f"{around.place}:{loose.line}", loose.name)
    )


def _loose(name: str, repeatable: bool, visitor: Visitor) -> Part:
    kind = loose_kind(name, seeded=repeatable)
    if kind is not None:
        visitor.report(kind)
    return _patched(name, visitor)


def _patched(name: str, visitor: Visitor) -> Part:
    """What others have added to the classes of Polars: namespaces, and methods set from outside."""
    polars = sys.modules.get("polars")
    parts: list[Part] = []
    for owner in ("DataFrame", "LazyFrame", "Series", "Expr"):
        entry = vars(getattr(polars, owner, object)).get(name)
        if entry is not None and _is_added(entry):
            added = getattr(entry, "_ns", entry)  # a registered namespace is a class
            parts.append(visitor.value(added, f"polars.{owner}.{name}"))
    return parts


def _is_added(entry: Any) -> bool:
    if type(entry) is FunctionType and entry.__module__.startswith("polars."):
        return False  # most are
    inner = getattr(entry, "_ns", None) or getattr(entry, "fget", None)
    inner = inner or getattr(entry, "__func__", None) or entry
    module = getattr(inner, "__module__", None) or "polars"
    return module.partition(".")[0] != "polars" and origin_of_module(module) != "standard"


def _imported(ref: Ref, source: Import, around: Around, visitor: Visitor) -> Part:
    """What an import inside of the function stands for; only the project's modules are imported."""
    try:
        name = absolute(source.module, source.level, around.function.__globals__)
    except ImportError as error:
        return visitor.refuse(f"it can't be imported: {error}")
    origin = origin_of_module(name)
    if origin is None:
        return visitor.refuse(f"there is no module {name!r}")
    if origin != "project":
        return _imported_name(name, ref, source, visitor)
    try:
        value = _load(name, source)
    except _FAILURES as error:
        return visitor.refuse(f"importing {name!r} failed: {type(error).__name__}: {error}")
    return "imported" if ref.bare else _reach(value, ref.path, ref, visitor)


def _imported_name(name: str, ref: Ref, source: Import, visitor: Visitor) -> Part:
    visitor.count_package(name)
    if ref.bare:
        return "imported"
    if ref.dynamic:
        return visitor.refuse(_COMPUTED)
    if source.top:
        name = name.partition(".")[0]
    full = f"{name}.{source.item}" if source.item else name
    path = full.split(".")
    return _foreign(path[0], [*path[1:], *ref.path], visitor, sys.modules.get(path[0]))


def _load(name: str, source: Import) -> Any:
    module = import_module(name)
    if source.top:
        return sys.modules[name.partition(".")[0]]
    if source.item and not hasattr(module, source.item):
        return import_module(f"{name}.{source.item}")
    return getattr(module, source.item) if source.item else module
