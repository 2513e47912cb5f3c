"""What a model was trained with: packages of this process, and the machine."""

from __future__ import annotations

import csv
import inspect
import json
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from pathlib import Path
from urllib.parse import unquote, urlsplit

_CPU_INFO = Path("/proc/cpuinfo")
# Where other packages are, perhaps below the folder of an editable one.
_INSTALLED = f"{os.sep}site-packages{os.sep}"
_NVIDIA = Path("/proc/driver/nvidia/gpus")


def loaded_packages() -> dict[str, str]:
    """Return the versions of Python and of the packages whose modules this process has loaded, by name."""
    loaded = {name.partition(".")[0] for name in sys.modules}
    names = {name for module in loaded for name in _names(module)}
    unknown = [path for module in loaded if not _names(module) for path in _paths(module)]
    names |= {
        name
        for name, folder in _editable_folders().items()
        if any(path.is_relative_to(folder) for path in unknown)
    }
    found = {"python": platform.python_version()}
    for name in sorted(names, key=str.lower):
        if number := _version(name):
            found[name] = number
    return found


@cache
def hardware() -> dict[str, str]:
    """Describe this machine: its system, its CPU, its cores, its memory in bytes, and GPUs if it has any."""
    found = {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": str(os.cpu_count() or ""),
        "memory": _memory(),
        "gpu": ", ".join(_gpus()),
    }
    return {name: text for name, text in found.items() if text}


@cache
def _names(module: str) -> frozenset[str]:
    """The names of the distributions of a top-level module."""
    return frozenset(each.name for each in _distributions().get(module, ()))


@cache
def _distributions() -> Mapping[str, Sequence[Distribution]]:
    """The distributions of each top-level module, as `importlib.metadata.packages_distributions` finds them.

    That one makes a path of each installed file and parses all metadata, which takes five times as long.
    """
    # Packages don't change under a process.
    found = defaultdict(list)
    for each in distributions():
        declared = (each.read_text("top_level.txt") or "").split()
        for module in declared or _recorded_modules(each):
            found[module].append(each)
    return found


def _recorded_modules(distribution: Distribution) -> set[str]:
    """The top-level modules among the files of a distribution; Python 3.11 counts only those in Python."""
    record = distribution.read_text("RECORD")
    files = (
        [row[0] for row in csv.reader(record.splitlines()) if row] if record else distribution.files
    )
    return {
        top if rest else inspect.getmodulename(top) or ""
        for file in map(str, files or ())
        for top, _, rest in [file.partition("/")]
        if sys.version_info >= (3, 12) or file.endswith(".py")
    }


@cache
def _version(name: str) -> str:
    """The version of a package; "" for metadata without one, and if it was uninstalled meanwhile."""
    try:
        return version(name) or ""
    except PackageNotFoundError:
        return ""


@cache
def _editable_folders() -> dict[str, Path]:
    """The folders of the packages that are installed from where they are edited, by name.

    What modules those have isn't recorded.
    """
    found: dict[str, Path] = {}
    for each in distributions():
        try:
            source = json.loads(each.read_text("direct_url.json") or "{}")
            if source["dir_info"]["editable"] is True and each.name:
                found[each.name] = Path(unquote(urlsplit(source["url"]).path))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def _paths(module: str) -> list[Path]:
    """Where a loaded module is, in a file or in folders."""
    found = sys.modules.get(module)
    paths = [getattr(found, "__file__", None), *(getattr(found, "__path__", None) or ())]
    return [Path(path) for path in paths if isinstance(path, str) and _INSTALLED not in path]


def _cpu_model() -> str:
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {key.strip().lower(): text.strip() for key, text in fields.items()}
    return named.get("model name") or named.get("hardware") or platform.processor()


def _memory() -> str:
    try:
        return str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):  # a system that doesn't say
        return ""


def _gpus() -> list[str]:
    """The models of NVIDIA GPUs; also of those that no library has initialised, which would take seconds."""
    found = []
    for folder in sorted(_NVIDIA.glob("*")) if _NVIDIA.exists() else ():
        text = (folder / "information").read_text(encoding="utf-8", errors="replace")
        found += [line.split(":", 1)[1].strip() for line in text.splitlines() if "Model:" in line]
    return found
