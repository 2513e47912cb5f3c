"""Deliver partitions as Parquet files in an object store, where readers find a whole file or none.

A store replaces an object at once. Nothing depends on conditions of writes: whoever delivers an object twice
writes the same bytes. What was written is compared with what the store says of it, since some stores put the
parts of large objects together wrongly.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import obstore

from tidemill.adapters.objectstore.opened import OpenedStores, open_stores
from tidemill.adapters.objectstore.store_errors import (
    STORE_ERRORS,
    describe_store_error,
    is_absence,
    is_denial,
)
from tidemill.core.errors import StorageError, TidemillError, UsageError
from tidemill.core.partition_file import partition_stem
from tidemill.core.store_url import split_store_url
from tidemill.ledger.delivery import Effect
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import EffectResult

# Larger files are sent in parts, several at a time, and as a whole if a store puts parts together wrongly.
_LARGE, _PART = 256 << 20, 16 << 20
_AT_ONCE = 8
# A store that doesn't answer isn't asked for each object.
_AWAY_S = 30.0


class ParquetObjects:
    """Delivers each partition as an object below a URL; `clock` is in seconds, and never jumps."""

    batch = 64

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._opened: dict[str, OpenedStores] = {}
        # What stores that didn't answer said, and until when that counts.
        self._away: dict[str, tuple[float, str]] = {}

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: Artifacts, /
    ) -> Iterator[tuple[Effect, EffectResult]]:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="object-store") as pool:
            results = pool.map(lambda effect: self._deliver(effect, artifacts), effects)
            yield from zip(effects, results, strict=True)

    def find_obstacle(self, effect: Effect, root: Path, /) -> str:
        try:
            self._stores(effect.target)
        except UsageError as error:
            return str(error)
        return ""

    def find_fault(
        self, effect: Effect, detail: Mapping[str, str], root: Path, artifacts: Artifacts, /
    ) -> str | None:
        url = detail["file"]
        with self._errors(url, f"the delivered file {url} can't be read"):
            payload = _read(self._stores(url), split_store_url(url)[1])
        if payload is None:
            return "" if effect.action == "remove" else f"the delivered file {url} was deleted"
        if effect.action == "remove":
            return f"the file {url} is there again, although its delivery was removed"
        if hashlib.sha256(payload).hexdigest() != effect.object[:64]:
            return f"the delivered file {url} was changed"
        return ""

    def _deliver(self, effect: Effect, artifacts: Artifacts) -> EffectResult:
        """Write or remove one object, idempotently; the error is the result of one that can't be."""
        url = f"{effect.target}/{partition_stem(effect.partition)}.parquet"
        what = f"{effect.stage} {effect.partition} can't be delivered to {url}"
        try:
            with self._errors(url, what):
                _carry_out(effect, self._stores(url), split_store_url(url)[1], artifacts)
        except TidemillError as error:
            return StorageError(f"{error}; it stays queued, and the next run will deliver it")
        return {"file": url}

    def _stores(self, url: str) -> OpenedStores:
        bucket, _ = split_store_url(url)
        if bucket not in self._opened:
            self._opened[bucket] = open_stores(bucket)
        return self._opened[bucket]

    @contextmanager
    def _errors(self, url: str, what: str) -> Iterator[None]:
        bucket, _ = split_store_url(url)
        until, said = self._away.get(bucket, (0.0, ""))
        if said and self._clock() < until:
            raise StorageError(f"{what}: {said}")
        try:
            yield
        except _OtherContentError as error:
            raise StorageError(f"{what}: {error}") from error
        except STORE_ERRORS as error:
            said = describe_store_error(error)
            if not (is_absence(error) or is_denial(error)):
                self._away[bucket] = self._clock() + _AWAY_S, said
            raise StorageError(f"{what}: {said}") from error


class _OtherContentError(StorageError):
    """A store doesn't have what was sent."""


def _carry_out(effect: Effect, stores: OpenedStores, key: str, artifacts: Artifacts) -> None:
    if effect.action == "remove":
        # Some stores tell that there was none.
        with suppress(FileNotFoundError):
            obstore.delete(stores.quick, key)
        return
    payload = artifacts.get(effect.object)
    for in_parts in (True, False) if len(payload) > _LARGE else (False,):
        obstore.put(stores.store, key, payload, use_multipart=in_parts, chunk_size=_PART)
        if _is_stored(stores, key, payload):
            return
    raise _OtherContentError("the store has something else than what was sent")


def _is_stored(stores: OpenedStores, key: str, payload: bytes) -> bool:
    known = obstore.head(stores.quick, key)
    tag = (known["e_tag"] or "").strip('"')
    if tag == hashlib.md5(payload, usedforsecurity=False).hexdigest():
        return True
    # The tag of an object that was sent in parts, or is encrypted, says nothing of its content.
    return known["size"] == len(payload) and _read(stores, key) == payload


def _read(stores: OpenedStores, key: str) -> bytes | None:
    """The bytes of an object; None if there is none."""
    try:
        return obstore.get(stores.store, key).bytes().to_bytes()
    except FileNotFoundError as error:
        if is_absence(error):
            return None
        raise
