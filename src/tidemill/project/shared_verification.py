"""Verify a ledger that machines share, and make this machine's copy anew."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.adapters.sqlite.event_chain import OtherEventsError
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.adapters.sqlite.replacement import lock_ledger
from tidemill.adapters.sqlite.scratch_folder import scratch_folder
from tidemill.core.redaction import Redactor
from tidemill.project.home_ledger import ledger_file, open_shared, shared_id
from tidemill.project.settings import Settings

if TYPE_CHECKING:
    from tidemill.adapters.postgres.replica import Copied


def find_server_damage(settings: Settings) -> list[str]:
    """Describe what is wrong with a ledger that machines share, by a copy of all of it.

    StorageError if the server can't be reached.
    """
    shared_id(settings)
    with scratch_folder(ledger_file(settings)) as folder:
        # Beside the files by which folders are locked.
        there = replace(settings, home=str(folder / "copy"))
        try:
            with closing(open_shared(there, Redactor())) as fresh:
                whole = fresh.copied
        except OtherEventsError as error:
            return [str(error)]
        return find_damage(ledger_file(there)) or _differences(settings, whole)


def _differences(settings: Settings, whole: Copied) -> list[str]:
    """Describe how this machine's copy differs from a copy of all that the server has."""
    if not ledger_file(settings).exists():
        return []
    try:
        with closing(open_shared(settings, Redactor())) as ledger:
            own = ledger.copied
    except OtherEventsError as error:
        return [str(error)]
    # Others may have recorded something in between.
    if own.seq == whole.seq and own.link != whole.link:
        return [f"the copy of this machine has another event {own.seq} than the server"]
    return []


def remake_copy(settings: Settings) -> None:
    """Make this machine's copy of a shared ledger anew; ConflictError if another process has it open."""
    file = ledger_file(settings)
    with lock_ledger(file):
        for tail in ("-wal", "-shm", ""):
            Path(f"{file}{tail}").unlink(missing_ok=True)
    open_shared(settings, Redactor()).close()
