"""Open the store of a project's objects: files in its home, or an object store elsewhere."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path

from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.adapters.files.disk import translate_os_errors
from tidemill.core.errors import UsageError
from tidemill.core.extras import install_command
from tidemill.core.units import parse_bytes
from tidemill.ledger.io.home_files import open_private
from tidemill.ports.artifacts import Artifacts
from tidemill.project.settings import Settings

# In a home, what was read from a store elsewhere.
CACHE = "cache"
_ID = "home-id"


def open_artifacts(settings: Settings, clock: Callable[[], float] = time.time) -> Artifacts:
    """The objects of a project; UsageError for a URL or a library that can't be used."""
    home = settings.root / settings.home
    if not settings.artifacts:
        return FileArtifacts(home, clock=clock)
    try:
        # Most projects need no library for it.
        opened = import_module("tidemill.adapters.objectstore.opened")
    except ModuleNotFoundError as error:
        command = install_command(error.name or "")
        raise UsageError(f"an object store needs {error.name}: {command}") from error
    limit = parse_bytes(settings.artifacts_cache)
    found: Artifacts = opened.open_artifacts(
        settings.artifacts, home / CACHE, limit, partial(_home_id, home), clock=clock
    )
    return found


def _home_id(home: Path) -> str:
    """The id of a home, which it gets once."""
    file = home / _ID
    with translate_os_errors(str(file)):
        with (
            suppress(FileExistsError),
            open(file, "x", encoding="utf-8", opener=open_private) as out,
        ):
            out.write(secrets.token_hex(8))
        return file.read_text(encoding="utf-8")
