"""Back up a home while it is in use, and restore a backup into a new one."""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tidemill.adapters.sqlite import integrity, snapshot
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.counts import are, plural
from tidemill.core.errors import AccessError, StorageError, TidemillError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.ledger.access_token import TOKEN_VARIABLE
from tidemill.ledger.event import Event, RunEnded
from tidemill.ledger.governance_events import Acted
from tidemill.ledger.io.home_files import make_private_folder
from tidemill.ledger.run import Status
from tidemill.ledger.workflow_scope import workflow_prefix
from tidemill.operations.backup_manifest import (
    BackedUpFile,
    BackupManifest,
    is_backed_up,
    left_out_keys,
    object_list,
)
from tidemill.operations.io.backup_folder import (
    BackupFolder,
    copy_file,
    file_is_sound,
    list_files,
)
from tidemill.operations.io.home_restoration import HomeRestoration
from tidemill.project.identity import has_token
from tidemill.project.verification import LEDGER
from tidemill.project.workspace import Workspace

# A sweep may delete objects of the ledger that was copied: then a newer copy doesn't need them.
_MOST_COPIES = 5
_MOST_NAMED = 3
_SETTINGS = ("pyproject.toml", "tidemill.rules.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupReport:
    """A backup that was made: its manifest, and how much of it is new since the one before."""

    manifest: BackupManifest
    new_objects: int
    new_bytes: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupCheck:
    """What a verified backup has, and what is wrong with it."""

    manifest: BackupManifest
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredHome:
    """A home that was made of a backup; `lost_runs` were going on when the backup was made."""

    home: Path
    manifest: BackupManifest
    lost_runs: tuple[str, ...]
    notes: tuple[str, ...] = ()


class HomeBackups:
    """Backs up the home of a workspace, with all workflows in it, and restores backups.

    `clock` tells the time where a home is made: opening the adapters, which have one, would begin another.
    """

    def __init__(self, workspace: Workspace, clock: Callable[[], float] = time.time) -> None:
        self._workspace = workspace
        self._clock = clock

    def back_up(
        self, target: Path, *, with_keys: bool = False, is_quick: bool = False
    ) -> BackupReport:
        """Bring the backup in the folder `target` up to date: the ledger at one moment, and all it needs.

        Only what is new is copied; what is there is read, with `is_quick` only its size, and written anew if
        it is damaged. Until the end the folder has the backup from before. Keys that are stored in the home
        are only copied with `with_keys`. It can be done while runs and sweeps go on.

        Raises UsageError for a folder with something else or in the home, ConflictError if another backup is
        going on there, StorageError if something can't be read or written.
        """
        space, home = self._workspace, self._workspace.home.resolve()
        if not (home / LEDGER).exists():
            raise UsageError(f"there is no ledger {home / LEDGER}: nothing was ever run here")
        if target.resolve().is_relative_to(home) or home.is_relative_to(target.resolve()):
            raise UsageError(
                f"{target} and the home {home} lie in each other: name a folder elsewhere"
            )
        if space.settings.artifacts:
            raise UsageError(
                f"the objects of this home are in {space.settings.artifacts}, and a backup copies those in "
                "the home only: let the store keep versions of them, and write the events to a file with "
                "`tidemill ledger export`, or back up the database if they are in one"
            )
        space.record_action(Permission.MANAGE_HOME, str(target), "backed up")
        folder = BackupFolder(target, is_quick=is_quick)
        with folder.writing():
            folder.clear_leftovers()
            before = _known_objects(folder)
            # Checkpoints of more events than the ledger has would look like a ledger that lost some.
            paths = list_files(home)
            files = [
                found
                for path in paths
                if is_backed_up(path, with_keys=with_keys)
                and (found := folder.add(path, home / path)) is not None
            ]
            ledger, copied, sizes, missing = self._copy_state(folder)
            manifest = BackupManifest(
                at=self._clock(),
                home=str(home),
                tidemill=importlib.metadata.version("tidemill"),
                events=copied.events,
                link=copied.link,
                ledger=ledger,
                objects=folder.add_text("objects", object_list(sizes)),
                object_count=len(sizes),
                object_bytes=sum(sizes.values()),
                files=(*files, *self._settings(folder)),
                missing=tuple(sorted(missing)),
            )
            folder.finish(manifest, sizes)
        fresh = {name: size for name, size in sizes.items() if name not in before}
        keys = () if with_keys else left_out_keys(paths)
        return BackupReport(
            manifest=manifest,
            new_objects=len(fresh),
            new_bytes=sum(fresh.values()),
            notes=(*_mended_notes(folder.mended), *self._notes(missing, keys)),
        )

    def _copy_state(
        self, folder: BackupFolder
    ) -> tuple[BackedUpFile, snapshot.LedgerSnapshot, Mapping[str, int], Collection[str]]:
        """Copy the ledger and the objects that it needs."""
        home, gone = self._workspace.home, set[str]()
        with tempfile.TemporaryDirectory(dir=folder.root, prefix="new-") as temporary:
            for number in range(_MOST_COPIES):
                copy = Path(temporary) / f"{number}.db"
                copied = snapshot.copy_ledger(home / LEDGER, copy)
                sizes = folder.add_objects(sorted(copied.objects | copied.kept), home)
                missing = copied.objects - sizes.keys()
                # What a newer ledger needs as well isn't swept: it is missing or damaged.
                if missing <= gone:
                    break
                gone = set(missing)
            ledger = folder.add(LEDGER, copy)
        assert ledger is not None
        return ledger, copied, sizes, missing

    def _settings(self, folder: BackupFolder) -> Iterator[BackedUpFile]:
        """The settings of the project, to look them up: they are restored with the project."""
        for name in _SETTINGS:
            path = self._workspace.root / name
            if path.is_file() and (found := folder.add(f"project/{name}", path)) is not None:
                yield found

    def _notes(self, missing: Collection[str], keys: Collection[str]) -> Iterator[str]:
        if missing:
            yield (
                f"{are(len(missing), 'object')} missing or damaged in the home, and so in the backup "
                f"({_some(sorted(missing))}): `tidemill verify` says what needs them"
            )
        for key in keys:
            yield (
                f"{key} is a key and isn't in the backup: keep it elsewhere, or back it up with --with-keys"
            )
        memo = self._workspace.settings.memo
        if memo:
            yield f"results of memos in {memo} aren't in the backup: they lie outside of the home"

    def verify(self, source: Path) -> BackupCheck:
        """Compare a backup with its manifest, every file by its SHA-256, and verify its ledger.

        Raises UsageError if there is no complete backup, StorageError if its manifest can't be read.
        """
        folder = BackupFolder(source)
        manifest = folder.read()
        faults = list(_file_faults(folder, manifest))
        if not faults:
            with _translate("the backup wasn't verified"), _temporary_folder() as temporary:
                ledger = temporary / LEDGER
                copy_file(folder.path_of(manifest.ledger), ledger)
                faults += _ledger_faults(ledger, manifest, folder.read_objects(manifest))
        return BackupCheck(manifest=manifest, faults=tuple(faults))

    def restore(self, source: Path, into: Path | None = None) -> RestoredHome:
        """Make a home of a backup: that of the project, or the folder `into`, which must be empty or missing.

        The backup is verified before, and the home before it gets its name. Its leases are free, and runs
        that were going on are closed as lost. Deliveries that were queued are carried out by the next run.

        Raises UsageError if the home isn't empty, AccessError for a token, which an empty home doesn't know,
        StorageError if the backup is damaged.
        """
        space = self._workspace
        if space.settings.home_url and into is None:
            raise UsageError(
                "this home is in PostgreSQL: restore to a folder with --into, and copy that with `tidemill "
                "home move`"
            )
        # Without `..`, so that what lies in it can be told from what doesn't.
        home = Path(os.path.abspath(space.home if into is None else into))
        place = HomeRestoration(home)
        with _translate("nothing was restored"):
            place.require_empty()
        if home.resolve().is_relative_to(source.resolve()):
            raise UsageError(
                f"{home} lies in the backup {source}: name a folder elsewhere with --into"
            )
        if has_token():
            # To look for it would begin a ledger in the home, which then isn't empty.
            raise AccessError(
                f"a home that is empty knows no token: restore without {TOKEN_VARIABLE}"
            )
        actor = space.require(Permission.MANAGE_HOME).name
        found = self.verify(source)
        if found.faults:
            raise StorageError(
                f"the backup {source} is damaged, and nothing was restored: {_some(found.faults)}. Take "
                "another copy of it, or back up the old home again if it is still there"
            )
        with _translate("nothing was restored"), place.filling(space.settings.home_group) as new:
            _copy_files(BackupFolder(source), found.manifest, new)
            told = Acted(
                environment=f"{workflow_prefix(space.declared.name)}{space.environment}",
                action=str(Permission.MANAGE_HOME),
                subject=str(source),
                actor=actor,
                detail=f"restored to {home}",
            )
            lost = self._prepare(new / LEDGER, told)
            faults = integrity.find_damage(new / LEDGER)
            if faults:
                raise StorageError(f"the restored ledger is damaged: {_some(faults)}")
        return RestoredHome(
            home=home,
            manifest=found.manifest,
            lost_runs=lost,
            notes=tuple(self._notes(found.manifest.missing, ())),
        )

    def _prepare(self, path: Path, told: Acted) -> tuple[str, ...]:
        """Make a copied ledger one that stands for itself, and record that in it."""
        lost = snapshot.release_leases(path)
        ledger = SqliteLedger(path, redactor=self._workspace.redactor)
        try:
            ends: list[Event] = [RunEnded(run=run, status=Status.LOST) for run in lost]
            ledger.append([told, *ends], now=self._clock())
        finally:
            ledger.close()
        return lost


def _mended_notes(mended: Sequence[Path]) -> Iterator[str]:
    if mended:
        yield f"wrote {plural(len(mended), 'damaged file')} of the backup anew"


def _some(texts: Sequence[str]) -> str:
    """The first few texts, and how many more there are."""
    more = len(texts) - _MOST_NAMED
    return "; ".join([*texts[:_MOST_NAMED], *([f"and {more:,} more"] if more > 0 else [])])


def _known_objects(folder: BackupFolder) -> Mapping[str, int]:
    """The objects of the backup before; none if there is none that can be read."""
    previous = folder.read_previous()
    if previous is not None:
        with suppress(StorageError):
            return folder.read_objects(previous)
    return {}


def _file_faults(folder: BackupFolder, manifest: BackupManifest) -> Iterator[str]:
    """Describe files of a backup that aren't what was stored."""
    for file in manifest.stored:
        yield from _fault(folder.path_of(file), file.sha256, file.path)
    if file_is_sound(folder.path_of(manifest.objects), manifest.objects.sha256):
        for name in folder.read_objects(manifest):
            yield from _fault(folder.object_path(name), name[:64], name)


def _fault(path: Path, digest: str, name: str) -> Iterator[str]:
    if not path.exists():
        yield f"{path} is missing ({name})"
    elif not file_is_sound(path, digest):
        yield f"{path} is damaged ({name})"


def _ledger_faults(path: Path, manifest: BackupManifest, objects: Collection[str]) -> Iterator[str]:
    """Describe what is wrong with the ledger of a backup, which is opened and so brought up to date."""
    try:
        SqliteLedger(path).close()
    except TidemillError as error:
        yield str(error)
        return
    yield from integrity.find_damage(path)
    lacking = snapshot.needed_objects(path) - {*objects} - {*manifest.missing}
    if lacking:
        yield f"its ledger needs {plural(len(lacking), 'object')} that it doesn't list"


def _copy_files(folder: BackupFolder, manifest: BackupManifest, home: Path) -> None:
    """Copy the files of a backup to a home, and verify each on the way."""
    for file in (manifest.ledger, *manifest.files):
        if not file.path.startswith("project/"):
            _copy(folder.path_of(file), _inside(home, file.path), file.sha256)
    for name in folder.read_objects(manifest):
        _copy(folder.object_path(name), home / "objects" / name[:2] / name, name[:64])


def _inside(home: Path, path: str) -> Path:
    """The place of a file in a home; StorageError for one that would lie outside of it."""
    place = Path(os.path.normpath(home / path))
    if not place.is_relative_to(home):
        raise StorageError(f"the backup has a file {path!r}, which lies outside of a home")
    return place


def _copy(source: Path, target: Path, digest: str) -> None:
    make_private_folder(target.parent)
    found, _ = copy_file(source, target)
    if found != digest:
        raise StorageError(f"{source} was damaged while it was read: nothing was restored")


@contextmanager
def _translate(outcome: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = f"{error.filename} can't be read or written" if error.filename else "it failed"
        raise StorageError(
            f"{place} ({error.strerror}): {outcome}; call it again when that is mended"
        ) from error


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
        yield Path(folder)
