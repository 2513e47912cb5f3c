"""The origin of code: the project, an installed package, the standard library, or Tidemill.

Everything outside of the standard library and of `site-packages` (`dist-packages`) is project code, so
an editable install counts as the project's.
"""

from __future__ import annotations

import linecache
import sys
from functools import cache
from importlib.util import find_spec, resolve_name
from types import FunctionType, ModuleType
from typing import Any, Literal, TypeAlias

from tidemill.core.fingerprint import fingerprint
from tidemill.core.package_metadata import name_and_version

Origin: TypeAlias = Literal["project", "package", "standard", "tidemill"]

_STANDARD = linecache.__file__.replace("\\", "/").rpartition("/")[0] + "/"
_INSTALLED = ("/site-packages/", "/dist-packages/")
# `__main__` may be a package's runner, but what is defined there is the project's.
_GIVEN: dict[str, Origin] = {"tidemill": "tidemill", "__main__": "project"}
_module_files: dict[str, str] = {}


@cache
def origin_of_file(filename: str) -> Origin:
    """The origin of a file; input of a notebook or a shell is the project's."""
    path = filename.replace("\\", "/")
    if any(folder in path for folder in _INSTALLED):
        return "package"
    if path.startswith(_STANDARD) or path.startswith("<frozen "):
        return "standard"
    return "project"


def origin_of_module(name: str) -> Origin | None:
    """The origin of a module, without importing it; None if there is no such module."""
    top = name.partition(".")[0]
    if top in _GIVEN:
        return _GIVEN[top]
    module = sys.modules.get(name) or sys.modules.get(top)
    file = _module_files.get(top) if module is None else _module_file(module)
    if file is None and module is None:
        spec = find_spec(top)
        if spec is None:
            return None
        file = spec.origin if spec.has_location else _first_path(spec.submodule_search_locations)
        if file is not None:
            _module_files[top] = file
    if file is not None:
        return origin_of_file(file)
    return "standard" if top in sys.stdlib_module_names else "project"


def is_ad_hoc_module(module: ModuleType) -> bool:
    """Whether a module object was created by hand; no import leads to its contents."""
    known = sys.modules.get(module.__name__)
    return type(module) is ModuleType and module.__spec__ is None and known is not module


def _module_file(module: ModuleType) -> str | None:
    return getattr(module, "__file__", None) or _first_path(getattr(module, "__path__", None))


def _first_path(folders: Any) -> str | None:
    """A path in the first of some folders."""
    return next((f"{folder}/" for folder in folders or ()), None)


def origin_of_function(function: FunctionType) -> Origin:
    """The origin of a function, by the file of its code; a wrapper may claim another module's name."""
    module = str(function.__globals__.get("__name__", ""))
    if module.partition(".")[0] == "tidemill":
        return "tidemill"
    filename = function.__code__.co_filename
    if filename.startswith("<") and filename not in linecache.cache and module:
        return origin_of_module(module) or "project"  # generated, by a named tuple for example
    return origin_of_file(filename)


def origin_of_class(cls: type) -> Origin:
    """The origin of a class, by the module that defines it."""
    return origin_of_module(cls.__module__) or "project"


@cache
def public_name(name: str) -> str:
    """Strip the defining module from a full name of Tidemill's, so that moving the module changes nothing.

    `tidemill.somewhere.inside.Column.reads` becomes `tidemill.Column.reads`; other names stay.
    """
    parts = name.split(".")
    if parts[0] != "tidemill":
        return name
    depth = 1
    while depth < len(parts) - 1 and _is_module(".".join(parts[: depth + 1])):
        depth += 1
    return ".".join(("tidemill", *parts[depth:]))


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):  # its parent is no package
        return False


def exported_name(value: Any) -> str | None:
    """The full name under which a package exports `value`, if there is one."""
    module = getattr(value, "__module__", None)
    qualname = getattr(value, "__qualname__", getattr(value, "__name__", None))
    # A wrapper has the name of the wrapped function, which may be the project's.
    if isinstance(qualname, str) and isinstance(module, str) and _is_foreign(module):
        found: Any = sys.modules.get(module)
        for part in qualname.split("."):
            found = getattr(found, part, None)
        if found is value:
            return f"{module}.{qualname}"
    for name in (type(value).__module__, type(value).__module__.partition(".")[0]):
        for key, known in list(vars(sys.modules.get(name, sys)).items()):
            if known is value:
                return f"{name}.{key}"
    return None


def _is_foreign(module: str) -> bool:
    return origin_of_module(module) not in (None, "project")


def absolute_module_name(module: str, level: int, where: dict[str, Any]) -> str:
    """The absolute name of a module that is imported `level` packages up from the globals `where`.

    Raises ImportError when there is no such package.
    """
    package = where.get("__package__") or str(where.get("__name__", "")).rpartition(".")[0]
    return resolve_name("." * level + module, package) if level else module


@cache
def distribution_of(top: str) -> tuple[str, str]:
    """Distribution and version of a top-level module; the version is empty if it is unknown.

    A distribution from a folder or a repository keeps its version while it changes. The list of its
    files, with their hashes, is therefore part of the version.
    """
    # Imported late: it takes 50 ms, and a project without packages doesn't need it.
    from importlib import metadata

    try:
        names = [name_and_version(metadata.distribution(top))[0]]
    except metadata.PackageNotFoundError:
        names = sorted(set(metadata.packages_distributions().get(top, ())))
    if not names:
        return top, str(getattr(sys.modules.get(top), "__version__", ""))
    versions = []
    for name in names:
        found = metadata.distribution(name)
        versions.append(name_and_version(found)[1] + build_suffix(found))
    return ", ".join(names), ", ".join(versions)


def build_suffix(distribution: Any) -> str:
    """A version suffix that distinguishes builds; empty for a distribution from an index."""
    if not distribution.read_text("direct_url.json"):
        return ""
    return "+" + fingerprint("files", distribution.read_text("RECORD"))[:12]
