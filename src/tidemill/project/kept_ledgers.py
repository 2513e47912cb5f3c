"""Find a text in the ledgers that rebuilds kept beside the one of a home."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from tidemill.adapters.sqlite.people import count_named_events
from tidemill.core.errors import StorageError
from tidemill.governance.erasure import ErasurePlace, PlaceKind
from tidemill.project.found_places import FoundPlace


def find_in_kept_ledgers(
    home: Path, text: str, left: str, known: Collection[Path] = ()
) -> Iterator[FoundPlace]:
    """The ledgers, without those that are `known`, whose events mention a text; bodies are compressed.

    `left` says what to do about them.
    """
    for path in sorted({*home.glob("ledger.db.before-*")}.difference(known)):
        try:
            count, why = count_named_events(path, text), left
        except StorageError as error:
            count, why = 0, f"not searched: {error}"
        if count or why != left:
            place = ErasurePlace(kind=PlaceKind.FILES, name=path.name, rows=count, left=why)
            yield FoundPlace(place=place)
