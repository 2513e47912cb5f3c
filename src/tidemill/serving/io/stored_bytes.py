"""Read what a version needs from a copy on this machine, so that it loads while the store is away."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tidemill.ports.artifacts import Artifacts


def stored_bytes(artifacts: Artifacts, name: str) -> bytes:
    """The bytes of an object, verified against its name; StorageError if they can't be had.

    The copy is fetched if need be, and stays for the next start.
    """
    try:
        payload = Path(artifacts.uri(name)).read_bytes()
    except OSError:
        payload = b""
    is_sound = hashlib.sha256(payload).hexdigest() == name[:64]
    return payload if is_sound else artifacts.get(name)
