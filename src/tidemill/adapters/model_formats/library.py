"""Import the library of a model format, and let it write a model."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from mmap import ACCESS_READ, mmap
from tempfile import TemporaryDirectory
from typing import Any

from tidemill.core.errors import TidemillError, UsageError
from tidemill.core.extras import install_command


def require_library(module: str) -> Any:
    """Import a module; TidemillError with the command that installs what is missing."""
    try:
        return import_module(module)
    # The dynamic linker's errors are OSErrors where a package loads its library with ctypes.
    except (ImportError, OSError) as error:
        raise TidemillError(
            f"the model needs {module} ({error}): {_advice(module, str(error))}"
        ) from error


def map_written(write: Callable[[str], None]) -> memoryview:
    """Let a library write a model to a temporary file, and map it: so it isn't held in memory twice.

    `write` gets the path of the file. UsageError if the file can't be written.
    """
    try:
        with TemporaryDirectory(prefix="tidemill-") as folder:
            path = os.path.join(folder, "model")
            write(path)
            with open(path, "rb") as file:
                return memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
    except OSError as error:
        raise UsageError(
            f"it can't be written to the folder for temporary files: {error}; free space there, or let "
            "TMPDIR name another folder"
        ) from error


def _advice(module: str, message: str) -> str:
    if "libgomp" in message:
        return "install GNU OpenMP, such as `apt install libgomp1` or `dnf install libgomp`"
    if "libomp" in message:
        return "install OpenMP, such as `brew install libomp`"
    return install_command(module)
