"""Import the library of a model format."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tidemill.core.errors import TidemillError
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


def _advice(module: str, message: str) -> str:
    if "libgomp" in message:
        return "install GNU OpenMP, such as `apt install libgomp1` or `dnf install libgomp`"
    if "libomp" in message:
        return "install OpenMP, such as `brew install libomp`"
    return install_command(module)
