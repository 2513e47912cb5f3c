"""Commands that start Python without the caller's folder on its path.

By default Python looks up modules in the current folder first, so a file there that has the name of a
library would be executed by every process that Tidemill starts.
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Sequence

# The current folder isn't added to the path, whatever `-m` or `-c` usually do.
_SAFE = "-P"


def python_module(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module as a program."""
    return sys.executable, _SAFE, "-m", module, *arguments


def python_code(text: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a text as a program."""
    return sys.executable, _SAFE, "-c", text, *arguments


def inherited_path(path: Sequence[str], current: str) -> tuple[str, ...]:
    """The entries of a module path for a process that has another safe path, as absolute folders.

    Entries that stand for the `current` folder, such as the empty one of a notebook, are left out.
    """
    found = ((entry, posixpath.normpath(posixpath.join(current, entry))) for entry in path)
    return tuple(full for entry, full in found if posixpath.isabs(entry) or full != current)
