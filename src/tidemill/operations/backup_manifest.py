"""The manifest of a backup: which files of a home it has, and the digest of each.

A backup stores every file under the digest of its content, so that a later one only adds what is new, and
until its manifest is written the one before is complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from tidemill.core.lazy_dataclass import dataclass

_TYPE = "tidemill.backup/1"
# Files and folders of a home that only processes of this machine need, or that are made again.
_LEFT_OUT = frozenset(
    (
        "ledger.db",
        "ledger.db-wal",
        "ledger.db-shm",
        "ledger.db-journal",
        "objects",
        "cache",
        "home-id",
        "moved-to",
        "moving-here",
        "tmp",
        "damaged",
        "loaded",
        "servers",
        "claims.lock",
        "restoring",
        "lost+found",
    )
)
# Keys that are stored in a home: whoever has one can forge what it protects.
KEYS = frozenset(("pickle.key",))


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUpFile:
    """A file of a home: its path there, its bytes, and the SHA-256 of its content."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupManifest:
    """What a backup has: the ledger of the first `events`, other files of the home, and objects.

    `link` is that of the last event. `objects` is the file that lists the names of `object_count` objects of
    `object_bytes` bytes; `missing` are objects that the ledger knows, and that the home didn't have intact.
    `at` is in Unix seconds.
    """

    at: float
    home: str
    tidemill: str
    events: int
    link: str
    ledger: BackedUpFile
    objects: BackedUpFile
    object_count: int
    object_bytes: int
    files: tuple[BackedUpFile, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The manifest as a JSON document with its own digest."""
        values = {"type": _TYPE, **asdict(self)}
        return json.dumps({**values, "sha256": _digest(values)}, indent=1) + "\n"

    @property
    def stored(self) -> tuple[BackedUpFile, ...]:
        """All files that are stored under their digests."""
        return (self.ledger, self.objects, *self.files)


class OtherManifestError(ValueError):
    """A manifest has another type than this version knows."""


def parse_manifest(text: str) -> BackupManifest:
    """Read a manifest; ValueError if it isn't one or was changed, OtherManifestError for another type."""
    try:
        values = json.loads(text)
        digest, kind = values.pop("sha256"), values.get("type")
        if kind != _TYPE:
            raise OtherManifestError(
                f"its type is {kind!r}, not {_TYPE}: a newer Tidemill may have made it (pip install -U "
                "tidemill)"
            )
        if digest != _digest(values):
            raise ValueError("it isn't what was written: its digest is another one")
        del values["type"]
        files = tuple(BackedUpFile(**each) for each in values.pop("files"))
        ledger, objects = (BackedUpFile(**values.pop(name)) for name in ("ledger", "objects"))
        missing = tuple(values.pop("missing"))
        return BackupManifest(
            files=files, ledger=ledger, objects=objects, missing=missing, **values
        )
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError("it isn't the manifest of a backup") from error


def object_list(sizes: Mapping[str, int]) -> str:
    """The text that lists objects with their bytes, one a line."""
    return "".join(f"{name} {sizes[name]}\n" for name in sorted(sizes))


def parse_object_list(text: str) -> dict[str, int]:
    """The bytes of each object of such a text; ValueError if it isn't one."""
    found = {}
    for line in text.splitlines():
        name, _, size = line.partition(" ")
        found[name] = int(size)
    return found


def is_backed_up(path: str, *, with_keys: bool) -> bool:
    """Whether a backup has a file of a home, by its path there; ledger and objects have their own places."""
    top = path.partition("/")[0]
    return (
        top not in _LEFT_OUT
        and not top.startswith("ledger.db.")
        and (with_keys or path not in KEYS)
    )


def left_out_keys(paths: Iterable[str]) -> list[str]:
    """The keys among some files of a home."""
    return sorted(KEYS & {*paths})


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
