"""Resolve the names in a function's text, and the attributes that are read from them."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

from tidemill.analysis.code.callables import cells_of
from tidemill.analysis.code.canonical_text import Reference, UnresolvedAttribute
from tidemill.analysis.code.hidden_inputs import attribute_kind, is_seeded, path_method_kind
from tidemill.analysis.code.module_origin import (
    absolute_module_name,
    is_ad_hoc_module,
    origin_of_class,
    origin_of_function,
    origin_of_module,
)
from tidemill.analysis.code.scopes import Import, is_mangled
from tidemill.analysis.code.walker_protocol import Visitor
from tidemill.core.callsite import file_name
from tidemill.core.fingerprint import Part
from tidemill.core.lazy_dataclass import dataclass

# Importing a module runs code of the project, which may raise any of these.
_FAILURES = (
    *(ImportError, SyntaxError, ArithmeticError, AssertionError, AttributeError, LookupError),
    *(NameError, OSError, RuntimeError, TypeError, ValueError),
)
MISSING: Any = object()
_CONSTANTS = (bool, int, float, str, bytes, tuple, list, dict, set, frozenset)
_COMPUTED = "an attribute of it is looked up by a computed name"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameScope:
    """The variables around a function, in which its names are looked up."""

    function: FunctionType
    file: str
    cells: Mapping[str, Any]

    @classmethod
    def of(cls, function: FunctionType) -> NameScope:
        """Collect the closure of a function, and the name of its file."""
        cells = {name: value if filled else MISSING for name, value, filled in cells_of(function)}
        return cls(function=function, file=file_name(function.__code__), cells=cells)

    def lookup(self, name: str) -> Any:
        """The value of a name, except for builtins."""
        if name in self.cells:
            return self.cells[name]
        return self.function.__globals__.get(name, MISSING)


def reference_part(ref: Reference, around: NameScope, visitor: Visitor) -> Part:
    """Identify what a reference, a name with its attributes, refers to."""
    visitor = visitor.at(
        f"{around.file}:{ref.line}", ref.label, seeded=ref.seeded, decorator=ref.decorator
    )
    if visitor.exclude and _is_excluded(ref, visitor):
        part: Part = "declared"
    elif ref.source is not None:
        part = _import_part(ref, ref.source, around, visitor)
    else:
        part = _name_part(ref, around, visitor)
    # The alias of an import inside a function is a local variable.
    name = ref.name if ref.source is None else repr(ref.source)
    return [name, list(ref.path), part]


def _is_excluded(ref: Reference, visitor: Visitor) -> bool:
    """Whether the name, or the beginning of its path, is excluded."""
    written = (ref.name, *ref.path)
    return any(".".join(written[:count]) in visitor.exclude for count in range(1, len(written) + 1))


def _name_part(ref: Reference, around: NameScope, visitor: Visitor) -> Part:
    value = around.lookup(ref.name)
    if value is not MISSING:
        if ref.name not in around.cells:
            visitor.variable(around.function.__globals__, ref.name, ref.name)
        if ref.roles and not ref.path:
            _report_roles(value, ref, visitor)
        if ref.name == "__file__":
            visitor.report("environment")
            return "file"
        return _follow_path(value, ref.path, ref, visitor)
    if ref.name in around.cells:
        return visitor.refuse("it has no value yet")
    if hasattr(builtins, ref.name):
        return visitor.external(".".join(("builtins", ref.name, *ref.path)))
    return "missing" if ref.optional else visitor.refuse("there is no such name")


def _report_roles(value: Any, ref: Reference, visitor: Visitor) -> None:
    """Report a value that is written as text and shows its address, or that names a file to read."""
    if "printed" in ref.roles and _shows_address(value):
        visitor.report("process")
    if "opened" in ref.roles and (isinstance(value, str) or hasattr(value, "__fspath__")):
        visitor.report("reads")


def _shows_address(value: Any) -> bool:
    kind = type(value)
    texts: tuple[object, object] = kind.__repr__, kind.__str__
    return kind is FunctionType or texts == (object.__repr__, object.__str__)


def _follow_path(value: Any, path: Sequence[str], ref: Reference, visitor: Visitor) -> Part:
    """Follow attributes of modules; attributes of any other value count with the value."""
    while isinstance(value, ModuleType) and path:
        used = ref.path[: len(ref.path) - len(path) + 1]
        visitor.variable(vars(value), path[0], ".".join((ref.name, *used)))
        if not is_ad_hoc_module(value) and origin_of_module(value.__name__) != "project":
            return _external_part(
                value.__name__, path, visitor, value, dynamic=ref.dynamic, kept=True
            )
        found = getattr(value, path[0], MISSING)
        if found is MISSING or is_mangled(path[0]):
            return visitor.refuse(f"the module {value.__name__!r} has no {path[0]!r}")
        value, path = found, path[1:]
    if ref.dynamic and _leads_anywhere(value):
        return visitor.refuse(_COMPUTED)
    if isinstance(value, type) and origin_of_class(value) != "project":
        name = f"{value.__module__}.{value.__qualname__}"
        return _external_part(name, path, visitor, value, dynamic=ref.dynamic, kept=True)
    if path[:1] == ("reads",) and (checks := _contract_digest(value)):
        return [["digest", checks]]
    label = ".".join((ref.name, *ref.path[: len(ref.path) - len(path)]))
    parts = [visitor.value(value, label)]
    if origin_of_class(value if isinstance(value, type) else type(value)) != "project":
        parts += [_attribute_part(name, is_seeded(None, [name]), visitor) for name in path[:-1]]
        parts += [_attribute_part(name, ref.repeatable, visitor) for name in path[-1:]]
    return parts


def _contract_digest(value: Any) -> str:
    """The digest of a contract that is only used to select columns, `Flights.reads("hour")`."""
    checks = getattr(value, "__tidemill_check__", None) if isinstance(value, type) else None
    return str(checks()) if checks is not None else ""


def _leads_anywhere(value: Any) -> bool:
    """Whether an attribute of the value may lead anywhere; of a function it may lead to its source."""
    if isinstance(value, FunctionType):
        return origin_of_function(value) == "project"
    return isinstance(value, (ModuleType, type))


def _external_part(
    name: str,
    path: Sequence[str],
    visitor: Visitor,
    owner: Any = None,
    *,
    dynamic: bool = False,
    kept: bool = False,
) -> Part:
    """Identify an external name, and everything of the project's that was set on its path.

    The origin of a constant is unknown. It counts if it is `kept`, since whatever the project has
    imported is set in every process.
    """
    parts = [visitor.external(".".join((name, *path)))]
    for item in path:
        parts.append(_polars_additions(item, visitor))
        # `vars` doesn't trigger lazy loading of modules, as `getattr` would.
        owner = vars(owner).get(item) if isinstance(owner, (ModuleType, type)) else None
        if _is_project_value(owner):
            parts.append(visitor.value(owner))
    if kept and type(owner) in _CONSTANTS:
        parts.append(visitor.value(owner))
    if dynamic and _leads_anywhere(owner):
        parts.append(visitor.refuse(_COMPUTED))
    return parts


def _is_project_value(value: Any) -> bool:
    if isinstance(value, FunctionType):
        return origin_of_function(value) == "project"
    if isinstance(value, type):
        return origin_of_class(value) == "project"
    module = type(value).__module__  # a module made by Cython has no file and no origin
    known = module == "__main__" or hasattr(sys.modules.get(module), "__file__")
    return known and origin_of_module(module) == "project"


def unresolved_attribute_part(
    loose: UnresolvedAttribute, around: NameScope, visitor: Visitor
) -> Part:
    """Identify an attribute of an unknown value by its most likely meaning."""
    return _attribute_part(
        loose.name, loose.repeatable, visitor.at(f"{around.file}:{loose.line}", loose.name)
    )


def _attribute_part(name: str, repeatable: bool, visitor: Visitor) -> Part:
    kind = attribute_kind(name, seeded=repeatable)
    if kind is not None:
        visitor.report(kind)
    elif (of_path := path_method_kind(name)) is not None:
        visitor.report(of_path, of_paths=True)
    return _polars_additions(name, visitor)


def _polars_additions(name: str, visitor: Visitor) -> Part:
    """Identify what other code added to classes of Polars: namespaces and methods."""
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


def _import_part(ref: Reference, source: Import, around: NameScope, visitor: Visitor) -> Part:
    """Identify an import inside a function; only modules of the project are imported."""
    try:
        name = absolute_module_name(source.module, source.level, around.function.__globals__)
    except ImportError as error:
        return visitor.refuse(f"it can't be imported: {error}")
    origin = origin_of_module(name)
    if origin is None:
        return visitor.miss_module(name)
    if origin != "project":
        return _external_import_part(name, ref, source, visitor)
    try:
        value = _import_value(name, source)
    except _FAILURES as error:
        return visitor.refuse(f"importing {name!r} failed: {type(error).__name__}: {error}")
    return "imported" if ref.bare else _follow_path(value, ref.path, ref, visitor)


def _external_import_part(name: str, ref: Reference, source: Import, visitor: Visitor) -> Part:
    visitor.count_package(name)
    if ref.bare:
        return "imported"
    if ref.dynamic:
        return visitor.refuse(_COMPUTED)
    if source.top:
        name = name.partition(".")[0]
    full = f"{name}.{source.item}" if source.item else name
    path = full.split(".")
    return _external_part(path[0], [*path[1:], *ref.path], visitor, sys.modules.get(path[0]))


def _import_value(name: str, source: Import) -> Any:
    module = import_module(name)
    if source.top:
        return sys.modules[name.partition(".")[0]]
    if source.item and not hasattr(module, source.item):
        return import_module(f"{name}.{source.item}")
    return getattr(module, source.item) if source.item else module
