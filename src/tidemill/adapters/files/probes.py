"""Cache probe results in one small file next to the ledger; losing it costs only time."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Mapping
from hashlib import blake2b
from pathlib import Path

from tidemill.adapters.codec.events import decode, encode
from tidemill.analysis.query.summary import QuerySummary
from tidemill.core.errors import StorageError
from tidemill.ledger.io.home_files import open_private

# Enough to keep the stages of earlier code versions, in case that code comes back.
_MAX_ENTRIES = 2000


class FileProbes:
    """Query summaries by key in `home`/probes.json; the newest are kept."""

    def __init__(self, home: Path) -> None:
        self._path = home / "probes.json"

    def get(self, keys: Collection[str]) -> Mapping[str, QuerySummary]:
        """The known results under these keys; none if the file is missing or damaged."""
        known = self._load()
        return {key: known[key] for key in keys if key in known}

    def put(self, found: Mapping[str, QuerySummary]) -> None:
        known = {key: query for key, query in self._load().items() if key not in found}
        kept = dict([*known.items(), *found.items()][-_MAX_ENTRIES:])
        beside = self._path.with_name(f"{self._path.name}.{uuid.uuid4().hex}")
        try:
            with open(beside, "x", encoding="utf-8", opener=open_private) as file:
                text = encode(kept)
                file.write(f"{_checksum(text)}\n{text}")
            os.replace(beside, self._path)
        except OSError:
            beside.unlink(missing_ok=True)

    def _load(self) -> dict[str, QuerySummary]:
        try:
            mark, _, text = self._path.read_text(encoding="utf-8").partition("\n")
            return decode(dict[str, QuerySummary], text) if mark == _checksum(text) else {}
        except (OSError, UnicodeDecodeError, StorageError):
            return {}


def _checksum(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
