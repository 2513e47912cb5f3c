"""Results of memos as local files: `memo/SPACE/segments/...parquet`, written once and never changed.

A file's name begins with when it was made, so that older ones come first; one that takes the place of
several has the name of the first, and a higher number behind it. Who is about to compute something holds
a claim on the file that says so: when it dies, the claim is gone, and the next one removes the file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from tidemill.adapters.files.claims import FileClaims
from tidemill.adapters.files.disk import explained, explaining, make_folder, sync_folder

_SUFFIX = ".parquet"
_LONGEST_S = 10.0


class FileMemos:
    """Memos below the folder `root`, which several projects may share; it is made when it is needed."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.abspath(root)
        # Each intent has a holder of its own: claims tell holders apart, also in one process.
        self._held: dict[str, FileClaims] = {}

    def segments(self, space: str) -> Mapping[str, int]:
        """The names of a space's segments, oldest first, with their sizes in bytes."""
        folder = self._folder(space, "segments")
        # A listing isn't of one moment: one that others merge in meanwhile may have neither the segments
        # that were there nor the one in their place. Two that are the same had nobody in between.
        found = self._listed(folder)
        while found != (again := self._listed(folder)):
            found = again
        return dict(sorted(found.items(), key=_place))

    def open(self, space: str, segment: str) -> str | None:
        """The path of a segment's file; None when it has been merged into another."""
        path = os.path.join(self._folder(space, "segments"), segment)
        return path if os.path.exists(path) else None

    def append(self, space: str, payload: bytes) -> None:
        """Add a segment, durably."""
        self._write(self._folder(space, "segments"), f"{_unique()}.0{_SUFFIX}", payload)

    def merge(self, space: str, segments: Sequence[str], payload: bytes) -> bool:
        """Put one segment in the place of several that are neighbours; False if some are gone."""
        folder, claims, key = (
            self._folder(space, "segments"),
            self._claims(),
            _key(f"{space} merge"),
        )
        if not claims.take(key):
            return False  # somebody else is at it
        try:
            listed = self._listed(folder)
            if not set(segments) <= set(listed):
                return False
            base, _ = _place((segments[0], 0))
            # Higher than all that are there: whoever died while it merged may have left both behind.
            number = max(number for name, number in map(_place, listed.items()) if name == base)
            self._write(folder, f"{base}.{number + 1}{_SUFFIX}", payload)
            for name in segments:
                # Where a file that is open can't be removed, it stays: what it holds is known twice.
                with suppress(OSError):
                    os.unlink(os.path.join(folder, name))
            return True
        finally:
            claims.give(key)

    def intend(self, space: str, payload: bytes) -> str:
        """Say what is about to be computed; the intent's name."""
        claims, key = self._claims(), _key(f"{space} intent")
        # One after the other: whoever has a later name then sees those of all before.
        held = claims.wait(key, _LONGEST_S)
        try:
            name = _unique()
            claims.take(_key(name))
            self._held[name] = claims
            self._write(self._folder(space, "intents"), name, payload, durably=False)
        finally:
            if held:
                claims.give(key)
        return name

    def intents(self, space: str, before: str) -> Mapping[str, bytes]:
        """What others that came `before` an intent are about to compute."""
        folder, found = self._folder(space, "intents"), {}
        for name in sorted(self._listed(folder)):
            if name >= before:
                break
            path = os.path.join(folder, name)
            asking = self._claims()
            if asking.take(_key(name)):
                # Whoever said so is done, or dead.
                asking.give(_key(name))
                with suppress(OSError):
                    os.unlink(path)
                continue
            with suppress(FileNotFoundError), open(path, "rb") as file:
                found[name] = file.read()
        return found

    def withdraw(self, space: str, intent: str) -> None:
        """That was computed, or won't be."""
        with suppress(OSError):
            os.unlink(os.path.join(self._folder(space, "intents"), intent))
        claims = self._held.pop(intent, None)
        if claims is not None:
            claims.give(_key(intent))

    def turn(self, space: str, every_s: float) -> float:
        """Seconds to wait for one's turn, where all turns of a space are so far apart."""
        claims, key = self._claims(), _key(f"{space} turn")
        path = os.path.join(self._folder(space), "turn")
        held = claims.wait(key, _LONGEST_S)
        try:
            with explaining(path):
                make_folder(os.path.dirname(path))
                now = time.time()
                mine = min(max(now, _number(path)), now + 1_000 * every_s)
                temporary = f"{path}.{_unique()}"
                with open(temporary, "w", encoding="ascii") as file:
                    file.write(repr(mine + every_s))
                os.replace(temporary, path)
        finally:
            if held:
                claims.give(key)
        return mine - now

    def _folder(self, space: str, *inner: str) -> str:
        return os.path.join(self._root, space, *inner)

    def _claims(self) -> FileClaims:
        with explaining(self._root):
            make_folder(self._root)
        return FileClaims(Path(self._root, "claims.lock"))

    def _listed(self, folder: str) -> dict[str, int]:
        """The files of a folder with their sizes; those that are being written aren't among them."""
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
            raise explained(error, folder) from error
        return found

    def _write(self, folder: str, name: str, payload: bytes, *, durably: bool = True) -> None:
        """Let a file appear, whole or not at all."""
        temporary = os.path.join(folder, f".{name}")
        with explaining(folder):
            make_folder(folder)
            try:
                with open(temporary, "xb") as file:
                    file.write(payload)
                    if durably:
                        file.flush()
                        os.fsync(file.fileno())
                os.replace(temporary, os.path.join(folder, name))
            except BaseException:
                with suppress(OSError):
                    os.unlink(temporary)
                raise
            if durably:
                sync_folder(folder)


def _place(item: tuple[str, int]) -> tuple[str, int]:
    base, _, number = item[0].removesuffix(_SUFFIX).rpartition(".")
    return base, int(number)


def _number(path: str) -> float:
    """What a file says; 0 where it says nothing."""
    try:
        return float(Path(path).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0.0


def _key(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _unique() -> str:
    """A name that no other process or host can choose, later than those that are there."""
    return f"{time.time_ns():020}-{os.getpid()}-{os.urandom(6).hex()}"
