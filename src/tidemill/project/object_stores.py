"""Open the store of a project's objects: files in its home, or an object store elsewhere."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.adapters.files.disk import translate_os_errors
from tidemill.core.errors import UsageError
from tidemill.core.extras import install_command
from tidemill.core.units import parse_bytes
from tidemill.ledger.io.home_files import open_private
from tidemill.ports.artifacts import Artifacts
from tidemill.project.settings import Settings

if TYPE_CHECKING:
    from tidemill.adapters.objectstore.artifacts import StoreArtifacts

# In a home, what was read from a store elsewhere.
CACHE = "cache"
_ID = "home-id"


def open_artifacts(settings: Settings, clock: Callable[[], float] = time.time) -> Artifacts:
    """The objects of a project; UsageError for a URL or a library that can't be used."""
    if settings.artifacts:
        return open_object_store(settings, clock)
    return FileArtifacts(settings.root / settings.home, clock=clock)


def open_object_store(settings: Settings, clock: Callable[[], float] = time.time) -> StoreArtifacts:
    """The objects of a project whose settings have a URL for them."""
    home = settings.root / settings.home
    try:
        # Most projects need no library for it.
        opened = import_module("tidemill.adapters.objectstore.opened")
    except ModuleNotFoundError as error:
        command = install_command(error.name or "")
        raise UsageError(f"an object store needs {error.name}: {command}") from error
    found: StoreArtifacts = opened.open_artifacts(
        settings.artifacts,
        home / CACHE,
        parse_bytes(settings.artifacts_cache),
        partial(_home_id, home),
        clock=clock,
    )
    return found


def _home_id(home: Path) -> str:
    """The id of a home, which it gets once."""
    file, draft = home / _ID, home / f"{_ID}-{secrets.token_hex(8)}"
    with translate_os_errors(str(file)):
        if not file.exists():
            with open(draft, "x", encoding="utf-8", opener=open_private) as out:
                out.write(secrets.token_hex(8))
            # Another process may have been first.
            with suppress(FileExistsError):
                os.link(draft, file)
            draft.unlink()
        return file.read_text(encoding="utf-8")
