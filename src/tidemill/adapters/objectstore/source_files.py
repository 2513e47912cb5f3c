"""List the files of a source in an object store, and fetch copies of them.

Nothing depends on what stores promise of conditions and ranges, because some ignore the former and answer the
latter wrongly: an object is fetched as a whole, and what came is compared with its size and its tag.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import obstore

from tidemill.adapters.objectstore.source_copies import ReceivedFile, SourceCopies
from tidemill.adapters.objectstore.store_errors import (
    STORE_ERRORS,
    describe_store_error,
    is_absence,
    is_denial,
)
from tidemill.core.errors import SourceError
from tidemill.core.file_pattern import FilePattern
from tidemill.core.store_url import split_store_url
from tidemill.ports.sources import StoredFile

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

# Files that are fetched at the same time, and the bytes of each that are in memory.
_AT_ONCE, _CHUNK = 16, 1 << 20
_ATTEMPTS = 3
# Of an object that was sent as a whole and isn't encrypted, most stores have this as the tag.
_MD5 = re.compile("[0-9a-f]{32}")
_SUFFIX = re.compile(r"\.\w{1,16}", re.ASCII)


class _AwayError(SourceError):
    """The store can't be used, so that no other file of it is asked for."""


class _GoneError(SourceError):
    """There is no such object."""


class StoreFiles:
    """The files in the bucket `place` (`s3://bucket`), and copies of them.

    `quick` is the same store, which gives up sooner: it is asked what takes no time.
    """

    def __init__(
        self, store: ObjectStore, quick: ObjectStore, place: str, copies: SourceCopies
    ) -> None:
        self._store, self._quick, self._place, self._copies = store, quick, place, copies
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="object-store")

    def list_files(self, pattern: str) -> list[StoredFile]:
        _, key = split_store_url(pattern)
        glob = FilePattern(f"/{key}")
        with self._errors(f"{pattern} can't be listed"):
            found = [known for known in self._objects(glob) if glob.matches(f"/{known['path']}")]
        # Keys that differ only in a slash at an end are listed as the same, and can't be told apart.
        times = Counter(known["path"] for known in found)
        files = {
            known["path"]: StoredFile(
                path=f"{self._place}/{known['path']}",
                size=known["size"],
                mtime_ns=round(known["last_modified"].timestamp() * 1e6) * 1000,
                tag=_tag(known) if times[known["path"]] == 1 else "",
            )
            for known in found
        }
        return [files[key] for key in sorted(files)]

    def fetch(self, files: Sequence[StoredFile]) -> dict[str, StoredFile | SourceError]:
        found = zip(files, self._pool.map(self._fetch_listed, files), strict=True)
        return {file.path: result for file, result in found if result is not None}

    def copies(self, digests: Mapping[str, str], *, folders: bool) -> dict[str, Path]:
        names = {path: _copy_name(path, folders=folders) for path in digests}
        found = {path: self._copies.path(digest, names[path]) for path, digest in digests.items()}
        absent = [path for path, copy in found.items() if copy is None]
        for path, received in zip(absent, self._pool.map(self._fetch, absent), strict=True):
            if received[1].digest != digests[path]:
                raise SourceError(f"{path} changed while this run was at work; run again")
            found[path] = self._copies.path(digests[path], names[path])
        if lost := [path for path, copy in found.items() if copy is None]:
            raise SourceError(f"the copy of {lost[0]} on this machine was deleted; run again")
        return {path: copy for path, copy in found.items() if copy is not None}

    def _objects(self, glob: FilePattern) -> Iterator[ObjectMeta]:
        """The objects below the folder that a pattern begins with: of this only, if its end alone varies."""
        folder = glob.base.strip("/")
        is_flat = len(PurePosixPath(folder).parts) == len(glob.segments) - 1
        if is_flat and glob.segments[-1] != "**":
            yield from obstore.list_with_delimiter(self._quick, folder or None)["objects"]
            return
        for part in obstore.list(self._quick, prefix=folder or None):
            yield from part

    def _fetch_listed(self, file: StoredFile) -> StoredFile | SourceError | None:
        """Fetch a file, or say why it can't be; None for a folder, which may be listed as an empty object."""
        if file.digest and self._copies.has(file.digest):
            return file
        try:
            known, received = self._fetch(file.path)
        except _AwayError:
            raise
        except _GoneError as error:
            return error if file.size else None
        except SourceError as error:
            return error
        is_same = (known["size"], _tag(known)) == (file.size, file.tag)
        return replace(
            file, size=known["size"], digest=received.digest, tag=file.tag if is_same else ""
        )

    def _fetch(self, path: str) -> tuple[ObjectMeta, ReceivedFile]:
        """Copy an object, and return what the store says of it; SourceError if it isn't the same twice."""
        before = None
        for _ in range(_ATTEMPTS):
            known, received = self._receive(path)
            # The tag of an encrypted object may be another digest: then two answers agree.
            if self._is_proven(path, known, received) or (_tag(known), received) == before:
                return known, received
            before = _tag(known), received
        raise SourceError(f"{path} changes while it is fetched; run again")

    def _receive(self, path: str) -> tuple[ObjectMeta, ReceivedFile]:
        with self._errors(f"{path} can't be read"):
            got = obstore.get(self._store, split_store_url(path)[1])
            known = got.meta
            try:
                return known, self._copies.add(got.stream(min_chunk_size=_CHUNK), known["size"])
            except SourceError as error:
                raise SourceError(f"{path} was cut off ({error}); run again") from error

    def _is_proven(self, path: str, known: ObjectMeta, received: ReceivedFile) -> bool:
        """Whether the tag tells the content, or the object is still the one that was fetched."""
        tag = _tag(known)
        if _MD5.fullmatch(tag):
            return tag == received.md5
        with self._errors(f"{path} can't be read"):
            now = obstore.head(self._quick, split_store_url(path)[1])
        return _state(now) == _state(known)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except STORE_ERRORS as error:
            if is_absence(error):
                raise _GoneError(
                    f"{what}: it was deleted since it was listed, or its key begins or ends with '/'; run "
                    "again, or rename it"
                ) from error
            kind = SourceError if is_denial(error) else _AwayError
            raise kind(f"{what}: {describe_store_error(error)}") from error


def _tag(known: ObjectMeta) -> str:
    # Some stores write it in quotes in one answer, and without in another.
    return (known["e_tag"] or "").removeprefix("W/").strip('"')


def _state(known: ObjectMeta) -> tuple[object, ...]:
    return known["size"], _tag(known), known["version"], known["last_modified"]


def _copy_name(path: str, *, folders: bool) -> str:
    """The end of the path of a copy: what readers look at, which is its suffix, and maybe folders."""
    key = PurePosixPath(split_store_url(path)[1])
    kept = [part for part in key.parts[:-1] if "=" in part] if folders else []
    return "/".join([*kept, f"file{key.suffix if _SUFFIX.fullmatch(key.suffix) else ''}"])
