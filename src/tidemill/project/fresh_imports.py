"""Import the modules of a project from what their files say now.

Python takes bytecode for that of a source file if size and whole seconds of the last change are the same. Two
edits within a second, as by a program, would be computed by the code before, under the key of the code now.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from importlib.util import cache_from_source
from pathlib import Path

# Bytecode counts if it was written so long after the last change of its source.
_SETTLED_NS = 2_000_000_000
# Installed packages may lie in the folder of a project; nobody edits these while they run.
_INSTALLED = frozenset(("site-packages", "dist-packages"))
_roots: set[str] = set()


class _FreshLoader(SourceFileLoader):
    """Loads a module from its source unless its bytecode is certainly that of it."""

    def path_stats(self, path: str) -> dict[str, float]:
        source, bytecode = os.stat(path).st_mtime_ns, cache_from_source(path)
        with suppress(FileNotFoundError):
            if os.stat(bytecode).st_mtime_ns - source < _SETTLED_NS:
                # An error of the system has Python read the source as well.
                os.unlink(bytecode)
        return super().path_stats(path)  # type: ignore[return-value]


def import_afresh(root: str) -> None:
    """Import modules in a folder and those in it so from now on."""
    if root in _roots:
        return
    _roots.add(root)
    for path in [each for each in sys.path_importer_cache if _is_within(each, root)]:
        del sys.path_importer_cache[path]

    def find_in(path: str) -> FileFinder:
        if not _is_within(path, root):
            raise ImportError("it isn't a folder of the project", path=path)
        return FileFinder(
            path,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (_FreshLoader, SOURCE_SUFFIXES),
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )

    sys.path_hooks.insert(0, find_in)


def _is_within(path: str, root: str) -> bool:
    if os.path.basename(root) not in path:
        # True of most, and taking them apart takes long.
        return False
    place = Path(path)
    return place.is_relative_to(root) and place.is_dir() and not _INSTALLED & {*place.parts}
