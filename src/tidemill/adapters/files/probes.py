"""Cache probe results in one small file next to the ledger; losing it costs only time."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Mapping
from pathlib import Path

from tidemill.adapters.codec.events import decode, encode
from tidemill.analysis.query.summary import QuerySummary
from tidemill.core.errors import StorageError

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
            beside.write_text(encode(kept), encoding="utf-8")
            os.replace(beside, self._path)
        except OSError:
            beside.unlink(missing_ok=True)

    def _load(self) -> dict[str, QuerySummary]:
        try:
            return decode(dict[str, QuerySummary], self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, StorageError):
            return {}
