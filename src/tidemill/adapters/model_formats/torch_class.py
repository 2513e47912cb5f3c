"""Find the class that a PyTorch model file names, without importing modules that no model comes from."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import import_module, metadata
from importlib.util import find_spec
from typing import Any

from tidemill.core.errors import TidemillError

_INSTALLED = ("/site-packages/", "/dist-packages/")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def find_class(reference: str, base: type) -> Any:
    """Import the class `module:Class`; TidemillError if it is none of `base`, or may not be imported."""
    module, _, name = reference.partition(":")
    if fault := import_fault(module):
        raise TidemillError(f"the model file names {reference}, {fault}: it isn't imported")
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise TidemillError(
            f"the model's class {reference} can't be imported ({error}): restore it, or train the model again"
        ) from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise TidemillError(f"the model file names {reference}, which is no module of PyTorch")
    return found


def import_fault(module: str) -> str:
    """Why no class of a module is imported; "" for modules of the project, and of packages that need PyTorch.

    Importing executes a module's code, so the name that a file has is judged first.
    """
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in ("tidemill", "torch"):
        return f"which is a module of {'Python' if top in sys.stdlib_module_names else top}"
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        return ""  # importing it fails, too
    if spec is None or not _is_installed(spec.origin, spec.submodule_search_locations or ()):
        return ""
    if "torch" in _requirements(metadata.packages_distributions().get(top, ())):
        return ""
    return f"and the package of {top} doesn't require torch"


def _is_installed(origin: str | None, folders: Any) -> bool:
    places = [origin or "", *folders]
    return any(part in place.replace("\\", "/") for place in places for part in _INSTALLED)


def _requirements(packages: Any) -> set[str]:
    """The names of what packages require, with the extras of these, but not of what they require."""
    found: set[str] = set()
    queue = [name for package in packages for name in _required_by(package, extras=True)]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            queue += _required_by(name, extras=False)
    return found


def _required_by(package: str, *, extras: bool) -> Iterator[str]:
    try:
        required = metadata.requires(package) or ()
    except metadata.PackageNotFoundError:
        return
    for item in required:
        named = _NAME.match(item)
        if named is not None and (extras or "extra ==" not in item):
            yield re.sub(r"[-_.]+", "-", named[0]).lower()
