"""Store memo results as immutable local files: `memo/SPACE/segments/...parquet`.

File names start with the creation time, so they sort oldest first; a merged segment keeps the name of
its first part with a higher number. A name ends with a checksum of the file. A
process that is about to compute something writes an intent file
and holds a claim on it: when the process dies, the claim is released and the next reader removes the
file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from shutil import rmtree

from tidemill.adapters.files.claims import FileClaims
from tidemill.adapters.files.disk import (
    make_folder,
    open_like_folder,
    storage_error,
    sync_folder,
    translate_os_errors,
)

_SUFFIX = ".parquet"
# Names that begin with a dot aren't listed.
_KEPT = ".damaged-"
# The file whose time is that of the last use of a space, to a day.
_USED = "used"
_DAY_S = 86_400.0
_MAX_WAIT_S = 10.0


class FileMemos:
    """Memos below the folder `root`, which projects may share; it is created on first use.

    So are its parents, except the home `below`, which may have been moved away since.
    """

    def __init__(self, root: Path, *, below: Path | None = None) -> None:
        self._root = os.path.abspath(root)
        self._below = "" if below is None else os.path.abspath(below)
        # Each intent has its own holder, because claims only exclude different holders.
        self._intent_claims: dict[str, FileClaims] = {}

    def segments(self, space: str) -> Mapping[str, int]:
        folder = self._folder(space, "segments")
        self._note_use(space)
        # A listing isn't atomic: during a merge it may contain neither the old segments nor the merged
        # one. Two equal listings in a row of a folder of the same time mean that nothing changed in between.
        while True:
            before, found = _changed_at(folder), self._list_files(folder)
            if found == self._list_files(folder) and before == _changed_at(folder):
                return dict(sorted(found.items(), key=_sort_key))

    def open(self, space: str, segment: str) -> str | None:
        """The path of a segment's file; None when it has been merged into another."""
        path = os.path.join(self._folder(space, "segments"), segment)
        return path if os.path.exists(path) else None

    def append(self, space: str, payload: bytes, mark: str = "") -> None:
        name = _segment_name(_unique_name(), 0, mark)
        self._write_file(self._folder(space, "segments"), name, payload)

    def merge(
        self,
        space: str,
        segments: Sequence[str],
        payload: bytes,
        mark: str = "",
        *,
        keep: bool = False,
    ) -> bool:
        """Replace adjacent segments by one; False if some are gone or another process is merging."""
        folder, claims, key = (
            self._folder(space, "segments"),
            self._claims(),
            _claim_key(f"{space} merge"),
        )
        if not claims.take(key):
            return False  # another process is merging
        try:
            listed = self._list_files(folder)
            if not set(segments) <= set(listed):
                return False
            base, _ = _sort_key((segments[0], 0))
            # Higher than all existing numbers: a process that crashed while merging may have left both.
            number = max(number for name, number in map(_sort_key, listed.items()) if name == base)
            self._write_file(folder, _segment_name(base, number + 1, mark), payload)
            for name in segments:
                path = os.path.join(folder, name)
                # Some systems can't remove an open file. It stays, and its results are stored twice.
                with suppress(OSError):
                    if keep:
                        os.replace(path, os.path.join(folder, f"{_KEPT}{name}"))
                    else:
                        os.unlink(path)
            return True
        finally:
            claims.release(key)

    def intend(self, space: str, payload: bytes) -> str:
        claims, key = self._claims(), _claim_key(f"{space} intent")
        # One at a time, so that the holder of a later name sees all earlier intents.
        held = claims.wait(key, _MAX_WAIT_S)
        try:
            name = _unique_name()
            claims.take(_claim_key(name))
            self._intent_claims[name] = claims
            self._write_file(self._folder(space, "intents"), name, payload, durable=False)
        finally:
            if held:
                claims.release(key)
        return name

    def intents(self, space: str, before: str) -> Mapping[str, bytes]:
        folder, found = self._folder(space, "intents"), {}
        for name in sorted(self._list_files(folder)):
            if name >= before:
                break
            path = os.path.join(folder, name)
            asking = self._claims()
            if asking.take(_claim_key(name)):
                # The process behind this intent has finished or died.
                asking.release(_claim_key(name))
                with suppress(OSError):
                    os.unlink(path)
                continue
            with suppress(FileNotFoundError), open(path, "rb") as file:
                found[name] = file.read()
        return found

    def withdraw(self, space: str, intent: str) -> None:
        with suppress(OSError):
            os.unlink(os.path.join(self._folder(space, "intents"), intent))
        claims = self._intent_claims.pop(intent, None)
        if claims is not None:
            claims.release(_claim_key(intent))

    def spaces(self) -> list[str]:
        """The names of all spaces that have segments."""
        found = Path(self._root).glob("*/segments")
        return sorted(folder.parent.name for folder in found)

    def unused_spaces(self, before: float) -> Mapping[str, int]:
        found: dict[str, int] = {}
        for space in self.spaces():
            if self._last_use(space) < before:
                found[space] = sum(self._list_files(self._folder(space, "segments")).values())
        return found

    def drop_space(self, space: str, before: float) -> int:
        """Delete a space that is still unused; return the number of bytes.

        It is renamed first, so that a process that begins to use it starts with an empty one.
        """
        if self._last_use(space) >= before:
            return 0
        size = sum(self._list_files(self._folder(space, "segments")).values())
        moved = self._folder(f".dropped-{_unique_name()}")
        try:
            os.rename(self._folder(space), moved)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise storage_error(error, self._folder(space)) from error
        rmtree(moved, ignore_errors=True)
        return size

    def _note_use(self, space: str) -> None:
        """Note the time at which a space is used, at most once a day."""
        folder, mark = self._folder(space), self._folder(space, _USED)
        with suppress(OSError):
            now = time.time()
            if os.path.isdir(folder) and now - _modified(mark) > _DAY_S:
                os.close(open_like_folder(mark, os.O_WRONLY | os.O_CREAT))
                os.utime(mark, (now, now))

    def _last_use(self, space: str) -> float:
        """When a space was used last, as far as that is known, or when its newest segment was stored."""
        folder = self._folder(space, "segments")
        files = [os.path.join(folder, name) for name in self._list_files(folder)]
        return max(map(_modified, (self._folder(space, _USED), folder, *files)))

    def turn(self, space: str, every_s: float) -> float:
        claims, key = self._claims(), _claim_key(f"{space} turn")
        path = os.path.join(self._folder(space), "turn")
        held = claims.wait(key, _MAX_WAIT_S)
        try:
            with translate_os_errors(path):
                make_folder(os.path.dirname(path), below=self._below)
                now = time.time()
                mine = min(max(now, _read_number(path)), now + 1_000 * every_s)
                temporary = f"{path}.{_unique_name()}"
                with open(temporary, "w", encoding="ascii", opener=open_like_folder) as file:
                    file.write(repr(mine + every_s))
                os.replace(temporary, path)
        finally:
            if held:
                claims.release(key)
        return mine - now

    def _folder(self, space: str, *inner: str) -> str:
        return os.path.join(self._root, space, *inner)

    def _claims(self) -> FileClaims:
        with translate_os_errors(self._root):
            make_folder(self._root, below=self._below)
        return FileClaims(Path(self._root, "claims.lock"))

    def _list_files(self, folder: str) -> dict[str, int]:
        """The files of a folder with their sizes, without those still being written."""
        found: dict[str, int] = {}
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        if not entry.name.startswith("."):
                            found[entry.name] = entry.stat().st_size
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise storage_error(error, folder) from error
        return found

    def _write_file(self, folder: str, name: str, payload: bytes, *, durable: bool = True) -> None:
        """Write a file atomically."""
        temporary = os.path.join(folder, f".{name}")
        with translate_os_errors(folder):
            make_folder(folder, below=self._below)
            try:
                with open(temporary, "xb", opener=open_like_folder) as file:
                    file.write(payload)
                    if durable:
                        file.flush()
                        os.fsync(file.fileno())
                os.replace(temporary, os.path.join(folder, name))
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)
                raise
            if durable:
                sync_folder(folder)


def _segment_name(base: str, number: int, mark: str) -> str:
    return f"{base}.{number}{mark and '.'}{mark}{_SUFFIX}"


def _changed_at(folder: str) -> int | None:
    """When something was added to a folder or removed from it, as far as clocks of disks tell."""
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return None


def _sort_key(item: tuple[str, int]) -> tuple[str, int]:
    base, number, *_ = item[0].split(".")
    return base, int(number)


def _read_number(path: str) -> float:
    """Read a number from a file; 0 if the file is missing or damaged."""
    try:
        return float(Path(path).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0.0


def _claim_key(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _unique_name() -> str:
    """A unique name that sorts after the existing ones."""
    return f"{time.time_ns():020}-{os.getpid()}-{os.urandom(6).hex()}"


def _modified(path: str) -> float:
    """When a file was changed last; 0 if there is none."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0
