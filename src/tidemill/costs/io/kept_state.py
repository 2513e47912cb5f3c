"""Keep what was derived from a ledger in a file, so that the next command reads only what is new.

Losing the file, or finding one that isn't whole, costs only the time to derive it again.
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

import msgspec

from tidemill.ledger.io.home_files import make_private_folder, open_private

State = TypeVar("State")
_DIGEST_BYTES = 16


def read_kept(file: Path | None, version: int, kind: type[State]) -> State | None:
    """What `write_kept` kept there as that version; None if it isn't whole, or was written by another."""
    if file is None:
        return None
    try:
        stored = file.read_bytes()
        digest, body = stored[:_DIGEST_BYTES], stored[_DIGEST_BYTES:]
        if digest != _digest(body):
            return None
        found_version, found = msgspec.msgpack.decode(body, type=tuple[int, kind])  # type: ignore[valid-type]
    except (OSError, msgspec.DecodeError):
        return None
    return found if found_version == version else None


def write_kept(file: Path | None, version: int, state: object) -> None:
    """Keep a dataclass in place of what is there; nothing happens where that isn't possible."""
    if file is None:
        return
    body = msgspec.msgpack.encode((version, state))
    beside = file.with_name(f"{file.name}.{uuid.uuid4().hex}")
    try:
        make_private_folder(file.parent, below=file.parent.parent)
        with open(beside, "xb", opener=open_private) as stream:
            stream.write(_digest(body) + body)
        os.replace(beside, file)
    except OSError:
        # Who may only read the home reads the events.
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=_DIGEST_BYTES).digest()
