"""Open the store of a project's objects: files in its home, or an object store elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.adapters.files.disk import make_folder, translate_os_errors
from tidemill.core.errors import StorageError, UsageError
from tidemill.core.extras import install_command
from tidemill.core.store_url import FOLDER
from tidemill.core.units import parse_bytes
from tidemill.ledger.io.home_files import open_private
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.sources import FileStore
from tidemill.project.home_ledger import home_id
from tidemill.project.settings import Settings

if TYPE_CHECKING:
    from tidemill.adapters.objectstore.artifacts import StoreArtifacts

# In a home, what was read from a store elsewhere.
CACHE = "cache"
_SOURCES = "sources"
# Variables with credentials, but not with their names or places.
_SECRETS = r"(AWS|AZURE|GOOGLE)_\w*(SECRET|TOKEN|KEY)\w*(?<!_ID)(?<!_FILE)(?<!_PATH)"


def open_artifacts(settings: Settings, clock: Callable[[], float] = time.time) -> Artifacts:
    """The objects of a project; UsageError for a library that is missing, or an incomplete environment.

    StorageError for a folder with the objects of another home.
    """
    home, url = settings.root / settings.home, settings.artifacts
    if not url:
        return FileArtifacts(home, clock=clock)
    if url.startswith(FOLDER):
        folder = Path(url.removeprefix(FOLDER))
        if folder.resolve().is_relative_to(home.resolve()):
            raise UsageError(
                f"artifacts = {url!r} lies in the home {home}: name a folder elsewhere, or leave it out"
            )
        found = FileArtifacts(folder, clock=clock)
        _claim(folder, home_id(settings))
        return found
    return open_object_store(settings, clock)


def open_object_store(settings: Settings, clock: Callable[[], float] = time.time) -> StoreArtifacts:
    """The objects of a project whose settings have the URL of an object store."""
    home = settings.root / settings.home
    found: StoreArtifacts = _opened().open_artifacts(
        settings.artifacts,
        home / CACHE,
        parse_bytes(settings.artifacts_cache),
        partial(home_id, settings),
        clock=clock,
    )
    return found


def open_file_store(settings: Settings, bucket: str) -> FileStore:
    """The files in the bucket of a URL, with copies in the home; raises what `open_artifacts` would."""
    home, limit = settings.root / settings.home, parse_bytes(settings.artifacts_cache)
    found: FileStore = _opened().open_files(bucket, home / CACHE / _SOURCES, limit)
    return found


def forget_source_copies(settings: Settings) -> None:
    """Delete all copies of files in object stores; StorageError for one that can't be."""
    copies = settings.root / settings.home / CACHE / _SOURCES
    with translate_os_errors(str(copies)), suppress(FileNotFoundError):
        shutil.rmtree(copies)


def store_secrets() -> frozenset[str]:
    """The credentials of object stores in the environment."""
    found = (value for name, value in os.environ.items() if re.fullmatch(_SECRETS, name))
    return frozenset(filter(None, found))


def _opened() -> Any:
    """What opens object stores; UsageError without the library, which most projects don't need."""
    try:
        return import_module("tidemill.adapters.objectstore.opened")
    except ModuleNotFoundError as error:
        command = install_command(error.name or "")
        raise UsageError(f"an object store needs {error.name}: {command}") from error


def probe_store(settings: Settings) -> None:
    """Write, read and delete an object; raises what the first use would."""
    if not settings.artifacts.startswith(FOLDER):
        open_object_store(settings).probe()
    elif (settings.root / settings.home).exists():
        open_artifacts(settings)


def _claim(folder: Path, own: str) -> None:
    """Note in a folder whose objects it has; StorageError if they are another home's."""
    from tidemill.adapters.objectstore.owner import NOTES, require_own

    homes, place = folder / NOTES, str(folder)
    with translate_os_errors(str(homes)):
        make_folder(str(homes))
        require_own(place, os.listdir(homes), own)
        if (homes / own).exists():
            return
        with open(homes / own, "w", encoding="utf-8", opener=open_private):
            pass
        try:
            # Another home may have done so as well.
            require_own(place, os.listdir(homes), own)
        except StorageError:
            (homes / own).unlink()
            raise
