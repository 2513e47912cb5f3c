"""Keep what hops to clusters cost in one small file next to the ledger; losing it costs only time."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

from tidemill.adapters.codec.events import decode, encode
from tidemill.core.errors import StorageError
from tidemill.ledger.io.home_files import open_private

# Clusters that a home remembers, the newest ones.
_KEPT = 100


class FileHopTimes:
    """Seconds of a hop by the address of a cluster, in `home`/hops.json."""

    def __init__(self, home: Path) -> None:
        self._path = home / "hops.json"

    def get(self, address: str) -> float:
        """The seconds of a hop; 0 if they aren't known, or the file is damaged."""
        return max(0.0, self._load().get(address, 0.0))

    def put(self, address: str, seconds: float) -> None:
        """Keep the seconds of a hop; not where the file can't be written."""
        known = {other: held for other, held in self._load().items() if other != address}
        kept = dict([*known.items(), (address, seconds)][-_KEPT:])
        beside = self._path.with_name(f"{self._path.name}.{uuid.uuid4().hex}")
        try:
            with open(beside, "x", encoding="utf-8", opener=open_private) as file:
                file.write(encode(kept))
            os.replace(beside, self._path)
        except OSError:
            with suppress(OSError):
                beside.unlink(missing_ok=True)

    def _load(self) -> dict[str, float]:
        try:
            return decode(dict[str, float], self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, StorageError):
            return {}
