"""Store immutable objects in an object store: `objects/ab/abcdef....parquet`, as in a folder.

No write depends on another one, since some stores accept conditions and ignore them: an object is named by
its content, so whoever writes it twice writes the same, and the ledger's transaction decides what counts.
An empty object in `homes/` names the home that they belong to, since a sweep of another one would delete what
it needs. One in `damaged/` remembers that the object of that name is missing or isn't what was stored, one in
`renewed/` that somebody stored it again. Objects are read from copies on this machine.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import obstore

from tidemill.adapters.objectstore.object_cache import ObjectCache
from tidemill.adapters.objectstore.owner import NOTES, require_own
from tidemill.adapters.objectstore.store_errors import STORE_ERRORS, describe_store_error
from tidemill.core.errors import DamagedObjectError, StorageError
from tidemill.core.fingerprint import is_object_name, object_name
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.payload import Payload, byte_count
from tidemill.ports.upkeep import Discarded, StoredObject

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

    from tidemill.ports.artifacts import StoredBytes

R = TypeVar("R")
# Requests that wait for a store at the same time.
_AT_ONCE = 16
# Larger objects are sent in parts, several at a time, each of which is tried again by itself.
_LARGE, _PART = 64 << 20, 16 << 20
_HOMES, _OBJECTS, _DAMAGED, _RENEWED = f"{NOTES}/", "objects/", "damaged/", "renewed/"
# Of an object that was sent as a whole, most stores have this as the tag.
_MD5 = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class _OpenCopy:
    """The opened copy of an object, with a version that doesn't change when it is read."""

    file: StoredBytes
    version: object

    @property
    def size(self) -> int:
        return self.file.size

    def read(self, offset: int, length: int) -> bytes:
        return self.file.read(offset, length)


class StoreArtifacts:
    """Objects in a store, whose URL `place` stands in errors; a `cache` has copies of those that are read.

    They are only written and deleted for the home of which `home_id` returns the id. The same store as
    `quick` gives up sooner: what it is asked takes no time, and a transaction of the ledger may wait for it.
    """

    def __init__(
        self,
        store: ObjectStore,
        place: str,
        cache: ObjectCache,
        home_id: Callable[[], str],
        *,
        quick: ObjectStore | None = None,
    ) -> None:
        self._store, self._place, self.cache = store, place, cache
        self._quick = store if quick is None else quick
        self._home_id, self._is_ours = home_id, False
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="object-store")

    def put_all(self, objects: Sequence[tuple[Payload, str]]) -> list[str]:
        names = [object_name(payload, suffix) for payload, suffix in objects]
        wanted = {name: payload for name, (payload, _) in zip(names, objects, strict=True)}
        if not wanted:
            return []
        self._require_ours()
        damaged = self._list_damaged()
        self._each(lambda name: self._put(name, wanted[name], is_damaged=name in damaged), wanted)
        # A copy only saves time, and a disk may be full.
        with suppress(StorageError):
            self.cache.keep(objects)
        self._forget_damage(damaged & wanted.keys())
        return names

    def get(self, name: str) -> bytes:
        payload = self._read(name)
        if payload is None:
            self._remember_damage(name)
            raise self._missing(name)
        if self.cache.has(name):
            # Whoever asks for all of it may have found that the copy isn't what is stored.
            with suppress(StorageError):
                self.cache.keep([(payload, name[64:])])
        return payload

    @contextmanager
    def open(self, name: str) -> Iterator[_OpenCopy]:
        self.uri(name)
        version = self.cache.version(name)
        if version is None:
            raise self._missing(name)
        with self.cache.open(name) as file:
            yield _OpenCopy(file, version)

    def uri(self, name: str) -> str:
        """The path of a copy, which is fetched if need be; of none if the object isn't stored."""
        path = self.cache.path(name)
        if not self.cache.has(name) and (payload := self._read(name)) is not None:
            self.cache.keep([(payload, name[64:])])
        return path

    def fetch(self, names: Collection[str]) -> None:
        self._each(self.uri, [name for name in names if not self.cache.has(name)])

    def find_missing(self, names: Collection[str]) -> dict[str, str]:
        """Those of `names` that can't be used, in order."""
        if not names:
            return {}
        damaged, found = self._list_damaged(), self._heads(names)
        return {
            name: "damaged" if name in found else "missing"
            for name in names
            if name not in found or name in damaged
        }

    def versions(self, names: Collection[str]) -> dict[str, object]:
        """The versions of copies, which are what is read."""
        self.fetch(names)
        found = ((name, self.cache.version(name)) for name in names)
        return {name: version for name, version in found if version is not None}

    def names(self, *, damaged: bool = False) -> Iterable[str]:
        """Every stored object, in no particular order; others in the same place are skipped."""
        if damaged:
            return sorted(self._list_damaged())
        return (name for name, _ in self._listed(_OBJECTS))

    def remove(self, names: Iterable[str]) -> int:
        """Delete objects and return the number of bytes freed; names that aren't stored are ignored."""
        self._require_ours(may_claim=False)
        names = [*names]
        sizes = self.sizes(names)
        self._delete([_path(name) for name in sizes])
        self.cache.forget(names)
        self._forget_damage(self._list_damaged().intersection(names))
        return sum(sizes.values())

    def stored(self) -> Iterator[StoredObject]:
        renewed = {name: _written(known) for name, known in self._listed(_RENEWED)}
        for name, known in self._listed(_OBJECTS):
            written = max(_written(known), renewed.get(name, 0.0))
            yield StoredObject(name=name, bytes=known["size"], written=written)

    def sizes(self, names: Collection[str]) -> dict[str, int]:
        return {name: known["size"] for name, known in self._heads(names).items()}

    def discard(self, names: Sequence[str], *, before: float) -> Discarded:
        """Delete objects that were last stored before a time, by the clock of the store.

        One that somebody stores again just then may be deleted as well: then the ledger binds nothing to it.
        """
        self._require_ours(may_claim=False)
        away: list[str] = []
        found = self._each(lambda name: self._discard(name, before, away), names)
        failed = {name: size for name, size in found.items() if isinstance(size, str)}
        sizes = {name: size for name, size in found.items() if isinstance(size, int)}
        self.cache.forget(sizes)
        self._forget_damage(self._list_damaged() & sizes.keys())
        recent = tuple(name for name in names if name not in failed and name not in sizes)
        return Discarded(sizes=sizes, recent=recent, failed=failed)

    def remove_leftovers(self, before: float, *, dry_run: bool = False) -> int:
        """Delete notes of that time, and copies of what another machine deleted."""
        old = [name for name, known in self._listed(_RENEWED) if _written(known) < before]
        if not dry_run:
            self._require_ours(may_claim=False)
            self._delete([_RENEWED + name for name in old])
            # As the data of a person who is erased.
            copies = {*self.cache.names()}
            self.cache.forget(copies.difference(self.names()) if copies else ())
            self.cache.remove_leftovers(before)
        return 0

    def probe(self) -> None:
        """Write, read and delete an object; StorageError if that fails, or if the place is another home's."""
        self._require_ours(may_claim=False, is_new=True)
        path = f"probe/{secrets.token_hex(8)}"
        with self._errors():
            obstore.put(self._quick, path, b"1")
            obstore.get(self._quick, path).bytes()
            obstore.delete(self._quick, path)

    def _require_ours(self, *, may_claim: bool = True, is_new: bool = False) -> None:
        """StorageError if the objects are another home's, or nobody's, unless this one `may_claim` them.

        Each home has its own note, so that of two at the same time one notices the other at least. Whoever
        deletes looks again.
        """
        if may_claim and self._is_ours:
            return
        own, homes = self._home_id(), self._homes()
        if may_claim and not homes:
            with self._errors():
                obstore.put(self._quick, _HOMES + own, b"")
            homes = self._homes()
        require_own(self._place, homes, own)
        if not homes and not is_new:
            raise StorageError(
                f"nothing in {self._place}/{NOTES} says that the objects there are of this home ({own}), so "
                "none is deleted: run the workflow first"
            )
        self._is_ours = bool(homes)

    def _homes(self) -> set[str]:
        with self._errors():
            parts = obstore.list(self._quick, prefix=_HOMES)
            return {known["path"].rpartition("/")[2] for part in parts for known in part}

    def _read(self, name: str) -> bytes | None:
        """The bytes of an object, verified against its name; None if it isn't stored."""
        with self._errors():
            try:
                payload = obstore.get(self._store, _path(name)).bytes().to_bytes()
            except FileNotFoundError:
                return None
        if hashlib.sha256(payload).hexdigest() == name[:64]:
            return payload
        self._remember_damage(name)
        if (copy := self._restored(name)) is not None:
            return copy
        raise DamagedObjectError(
            f"the object {self._place}/{_path(name)} is damaged: its content doesn't match its name"
        )

    def _restored(self, name: str) -> bytes | None:
        """The bytes of a sound copy, by which an object that is damaged in the store was replaced."""
        copy = self.cache.read(name)
        if copy is not None:
            # Another home's objects aren't written.
            with suppress(StorageError):
                self._require_ours()
                self._put(name, copy, is_damaged=True)
                self._forget_damage({name})
        return copy

    def _put(self, name: str, payload: Payload, *, is_damaged: bool) -> None:
        if not is_damaged and self._renew(name, payload):
            return
        with self._errors():
            is_large = byte_count(payload) > _LARGE
            obstore.put(self._store, _path(name), payload, use_multipart=is_large, chunk_size=_PART)

    def _renew(self, name: str, payload: Payload) -> bool:
        """Whether an object is stored, as far as the store tells; then note that somebody needs it now."""
        known = self._head(_path(name))
        if known is None or known["size"] != byte_count(payload):
            return False
        tag = (known["e_tag"] or "").strip('"')
        if _MD5.fullmatch(tag) and tag != hashlib.md5(payload, usedforsecurity=False).hexdigest():
            return False
        with self._errors():
            obstore.put(self._quick, _RENEWED + name, b"")
        # A sweep may have deleted it until now.
        return self._head(_path(name)) is not None

    def _discard(self, name: str, before: float, away: list[str]) -> int | str | None:
        """Delete an object: its size, or why that failed; None if it was stored since a time.

        The first failure is noted in `away`: a store that doesn't answer isn't asked for each object.
        """
        if away:
            return away[0]
        try:
            known, renewed = self._head(_path(name)), self._head(_RENEWED + name)
            if known is None:
                return 0
            if max(_written(each) for each in (known, renewed) if each is not None) >= before:
                return None
            self._delete([_path(name), *([_RENEWED + name] if renewed is not None else [])])
        except StorageError as error:
            away.append(str(error))
            return str(error)
        return known["size"]

    def _head(self, path: str) -> ObjectMeta | None:
        with self._errors():
            try:
                return obstore.head(self._quick, path)
            except FileNotFoundError:
                return None

    def _heads(self, names: Collection[str]) -> dict[str, ObjectMeta]:
        found = self._each(lambda name: self._head(_path(name)), names)
        return {name: known for name, known in found.items() if known is not None}

    def _listed(self, folder: str) -> Iterator[tuple[str, ObjectMeta]]:
        """The objects in a folder by name; what isn't ours there is skipped."""
        with self._errors():
            for part in obstore.list(self._quick, prefix=folder):
                for known in part:
                    name = known["path"].rpartition("/")[2]
                    place = f"{folder}{name[:2]}/{name}" if folder == _OBJECTS else folder + name
                    if is_object_name(name) and known["path"] == place:
                        yield name, known

    def _delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            # Some stores tell that another process was first.
            with self._errors(), suppress(FileNotFoundError):
                obstore.delete(self._quick, path)

    def _list_damaged(self) -> frozenset[str]:
        return frozenset(name for name, _ in self._listed(_DAMAGED))

    def _remember_damage(self, name: str) -> None:
        with suppress(StorageError), self._errors():
            obstore.put(self._quick, _DAMAGED + name, b"")

    def _forget_damage(self, names: Set[str]) -> None:
        with suppress(StorageError):
            self._delete([_DAMAGED + name for name in names])

    def _each(self, call: Callable[[str], R], names: Iterable[str]) -> dict[str, R]:
        """What a call gives for each name; several requests are under way at a time."""
        names = dict.fromkeys(names)
        return dict(zip(names, self._pool.map(call, names), strict=True))

    def _missing(self, name: str) -> StorageError:
        return StorageError(
            f"the object {self._place}/{_path(name)} is missing: it was removed; run again to recompute it"
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except STORE_ERRORS as error:
            raise StorageError(
                f"the object store {self._place} can't be used: {describe_store_error(error)}"
            ) from error


def _path(name: str) -> str:
    if not is_object_name(name):
        raise StorageError(
            f"{name!r} isn't an object name: expected 64 hex digits and a suffix like .parquet"
        )
    return f"{_OBJECTS}{name[:2]}/{name}"


def _written(known: ObjectMeta) -> float:
    return known["last_modified"].timestamp()
