"""Move the home of a project: from a folder to PostgreSQL, back, or to another place of that kind."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.adapters.sqlite import integrity, snapshot
from tidemill.adapters.sqlite.replacement import lock_ledger
from tidemill.core.errors import DamagedObjectError, StorageError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.ledger.governance_events import Acted
from tidemill.ledger.io.home_files import (
    ALL_THERE,
    LEDGER_NAME,
    MOVED,
    MOVING_HERE,
    make_home,
    make_private_folder,
    open_private,
)
from tidemill.ledger.workflow_scope import workflow_prefix
from tidemill.operations.backup_manifest import is_backed_up
from tidemill.operations.io.backup_folder import copy_file, list_files
from tidemill.ports.artifacts import Artifacts
from tidemill.project.home_ledger import (
    HOME_ID,
    home_address,
    home_id,
    ledger_file,
    open_ledger,
    require_ledger,
)
from tidemill.project.home_settings import is_shared, parse_home
from tidemill.project.object_stores import open_artifacts
from tidemill.project.settings import Settings
from tidemill.project.store_urls import parse_store_url
from tidemill.project.workspace import Workspace

if TYPE_CHECKING:
    from tidemill.adapters.postgres.transfer import LedgerTransfer

# So many objects are in memory at once, unless one is larger.
_OBJECTS = 20
# As `artifacts` it means: in the home.
IN_HOME = "home"


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedHome:
    """A home that was moved: where it and its objects are, as settings, and how much was copied.

    `link` is that of the last event, on which all events depend. `missing` are objects that the old home
    didn't have intact.
    """

    home: str
    artifacts: str
    events: int
    link: str
    objects: int
    object_bytes: int
    missing: tuple[str, ...] = ()


class HomeMove:
    """Moves the home of a workspace, with all workflows in it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def move(self, target: str, artifacts: str = "") -> MovedHome:
        """Copy ledger, objects and other files to `target`, verify them, and close the home where it was.

        `target` is a folder, or the URL of a PostgreSQL database. Objects go to `artifacts` (a URL, or "home"
        for the folder); by default they stay where they are. Nothing is deleted. An error leaves the home as
        it was.

        Raises UsageError for a target that isn't empty, or that can't be, ConflictError if anything uses the
        home, StorageError if something can't be read or written, or is damaged.
        """
        space = self._workspace
        own, there = space.settings, self._settings(target, artifacts)
        require_ledger(own)
        actor = space.require(Permission.MANAGE_HOME).name
        own_id, source = _made_id(space), open_artifacts(own)
        space.close()
        place = _place(there)
        with self._new_home(there) as folder, self._source(place, folder) as ledger:
            copied = snapshot.copy_ledger(ledger, folder / "moving.db")
            _require_sound(folder / "moving.db")
            _write(folder / HOME_ID, own_id)
            objects, size, missing = _copy_objects(
                source,
                open_artifacts(there),
                copied,
                is_same=own.artifacts == there.artifacts != "",
            )
            self._copy_files(folder)
            self._fill(there, folder / "moving.db", own_id, copied)
            told = Acted(
                environment=f"{workflow_prefix(space.declared.name)}{space.environment}",
                action=str(Permission.MANAGE_HOME),
                subject=place,
                actor=actor,
                detail=f"moved from {_place(own)}",
            )
            with closing(open_ledger(there, space.redactor)) as moved:
                moved.append([told], now=moved.clock())
        return MovedHome(
            home=target,
            artifacts=there.artifacts,
            events=copied.events,
            link=copied.link,
            objects=objects,
            object_bytes=size,
            missing=tuple(sorted(missing)),
        )

    def _settings(self, target: str, artifacts: str) -> Settings:
        """The settings with which the moved home is opened."""
        own, place = self._workspace.settings, "the target:"
        chosen = {"": own.artifacts, IN_HOME: ""}.get(artifacts, artifacts)
        if chosen and chosen != own.artifacts:
            chosen = parse_store_url(chosen, place)
        if is_shared(target):
            found = parse_home({"home": target, "artifacts": chosen}, place)
            there = replace(own, artifacts=chosen, home=found["home"], home_url=target)
        else:
            there = replace(own, artifacts=chosen, home=target, home_url="")
        if (there.home_url, there.root / there.home) == (own.home_url, own.root / own.home):
            raise UsageError(f"the home is {target} already")
        return there

    @contextmanager
    def _new_home(self, there: Settings) -> Iterator[Path]:
        """The folder of the new home, which must be empty or missing; after an error it is as it was.

        What an interrupted move has left there goes first.
        """
        folder = there.root / there.home
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file: name another folder, or move it away")
        if (folder / MOVING_HERE).exists():
            shutil.rmtree(folder)
        if folder.exists() and os.listdir(folder):
            raise UsageError(
                f"{folder}, where this machine would keep what it has of the home, isn't empty: move it away"
                if there.home_url
                else f"{folder} isn't empty: name another folder, or move it away"
            )
        is_new = not folder.exists()
        make_home(folder, there.home_group)
        try:
            _write(folder / MOVING_HERE, "")
            yield folder
            (folder / MOVING_HERE).unlink()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            if not is_new:
                make_home(folder, there.home_group)
            raise

    @contextmanager
    def _source(self, target: str, folder: Path) -> Iterator[Path]:
        """A file with the ledger, which nobody else can use from now on unless there is an error."""
        own = self._workspace.settings
        if own.home_url:
            transfer, file = _transfer(own), folder / "taken.db"
            transfer.take(file, target)
            try:
                yield file
            except BaseException as error:
                _reopen(transfer, error)
                raise
            for tail in ("", "-wal", "-shm"):
                Path(f"{file}{tail}").unlink(missing_ok=True)
            return
        file = ledger_file(own)
        mark = file.parent / MOVED
        with lock_ledger(file):
            _write(mark, f"{target}\n")
        try:
            yield file
            _write(mark, f"{target}\n{ALL_THERE}\n")
        except BaseException:
            mark.unlink()
            raise

    def _copy_files(self, folder: Path) -> None:
        """Copy all else that the home has, such as logs, results of memos and checkpoints."""
        home = self._workspace.home
        for path in list_files(home):
            if is_backed_up(path, with_keys=True):
                make_private_folder((folder / path).parent)
                copy_file(home / path, folder / path)

    def _fill(
        self, there: Settings, ledger: Path, own_id: str, copied: snapshot.LedgerSnapshot
    ) -> None:
        """Put a ledger's file where the new home has it, and verify what is there."""
        snapshot.release_leases(ledger)
        target = ledger_file(there)
        if not there.home_url:
            for tail in ("", "-wal"):
                if os.path.exists(f"{ledger}{tail}"):
                    os.replace(f"{ledger}{tail}", f"{target}{tail}")
            _require_sound(target)
            return
        _transfer(there).send(ledger, own_id)
        open_ledger(there).close()
        _require_sound(target)
        with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
            found = snapshot.copy_ledger(target, Path(temporary) / LEDGER_NAME)
        if (found.events, found.link) != (copied.events, copied.link):
            raise StorageError(
                f"{home_address(there).place} has {found.events:,} events up to {found.link[:12]}, and not "
                f"the {copied.events:,} up to {copied.link[:12]} that were sent: another program wrote there"
            )
        for tail in ("", "-wal", "-shm"):
            Path(f"{ledger}{tail}").unlink(missing_ok=True)


def _place(settings: Settings) -> str:
    """Where a home is, without credentials."""
    if settings.home_url:
        return home_address(settings).place
    return f"{settings.root / settings.home} on {socket.gethostname()}"


def _made_id(space: Workspace) -> str:
    """The id of the home, which keeps it: its objects are noted as those of it."""
    _ = space.tools
    return home_id(space.settings)


def _write(path: Path, text: str) -> None:
    """Write a file durably."""
    with open(path, "w", encoding="utf-8", opener=open_private) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _reopen(transfer: LedgerTransfer, error: BaseException) -> None:
    """Let the ledger that wasn't moved be used again; StorageError, with the first error, if it can't be."""
    try:
        transfer.reopen()
    except StorageError as other:
        raise StorageError(f"{error}; and the old home stays closed: {other}") from error


def _transfer(settings: Settings) -> LedgerTransfer:
    module = import_module("tidemill.adapters.postgres.transfer")
    found: LedgerTransfer = module.LedgerTransfer(home_address(settings))
    return found


def _require_sound(ledger: Path) -> None:
    if faults := integrity.find_damage(ledger):
        raise StorageError(
            f"the ledger is damaged, and nothing was moved: {faults[0]}. `tidemill verify` says more"
        )


def _copy_objects(
    source: Artifacts, target: Artifacts, copied: snapshot.LedgerSnapshot, *, is_same: bool
) -> tuple[int, int, set[str]]:
    """Copy all objects that a ledger needs; return how many, their bytes, and those that aren't intact."""
    if is_same:
        return 0, 0, set()
    lacking, size, missing = sorted(target.find_missing(copied.objects | copied.kept)), 0, set()
    for first in range(0, len(lacking), _OBJECTS):
        some = lacking[first : first + _OBJECTS]
        source.fetch(some)
        payloads = []
        for name in some:
            try:
                payloads.append((source.get(name), name[64:]))
            except (DamagedObjectError, StorageError):
                missing.add(name)
        target.put_all(payloads)
        size += sum(len(payload) for payload, _ in payloads)
    for name in missing:
        # Whoever plans there knows that they are missing.
        with suppress(StorageError):
            target.get(name)
    return len(lacking) - len(missing), size, missing & copied.objects
