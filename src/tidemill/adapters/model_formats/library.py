"""Import the library of a model format."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tidemill.core.errors import TidemillError
from tidemill.core.extras import install_command


def require_library(module: str) -> Any:
    """Import a module; TidemillError with the command that installs it if it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise TidemillError(
            f"the model needs {module} ({error}): {install_command(module)}"
        ) from error
