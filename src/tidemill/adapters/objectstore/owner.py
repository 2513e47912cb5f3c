"""To which home stored objects belong: each home leaves a note beside them."""

from __future__ import annotations

from collections.abc import Collection

from tidemill.core.errors import StorageError

# The folder of the notes, which have the ids of homes as names.
NOTES = "homes"


def require_own(place: str, homes: Collection[str], own: str) -> None:
    """Raise StorageError if the objects at a place have notes of homes other than the `own` one."""
    if others := sorted({*homes} - {own}):
        raise StorageError(
            f"the objects at {place} belong to another home ({', '.join(others)}), whose sweeps would delete "
            f"those of this one ({own}): see that `home` is what you meant, and choose another path for "
            f"`artifacts`. Only if that home is gone for good, delete its note in {place}/{NOTES}"
        )
