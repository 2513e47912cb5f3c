"""Open the ledger of a home: a SQLite file in its folder, or a PostgreSQL database that machines share."""

from __future__ import annotations

import os
import secrets
from contextlib import closing
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.adapters.files.claims import FileClaims
from tidemill.adapters.files.disk import translate_os_errors
from tidemill.adapters.sqlite.event_chain import OtherEventsError
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.replacement import lock_ledger
from tidemill.adapters.sqlite.scratch_folder import scratch_folder
from tidemill.core.errors import StorageError, UsageError
from tidemill.core.extras import install_command
from tidemill.core.redaction import Redactor, url_secrets
from tidemill.ledger.io.home_files import LEDGER_NAME, open_private
from tidemill.ports.reuse import Claims
from tidemill.project.home_settings import resolve_home
from tidemill.project.settings import Settings

if TYPE_CHECKING:
    from tidemill.adapters.postgres.address import HomeAddress
    from tidemill.adapters.postgres.ledger import PostgresLedger
    from tidemill.adapters.postgres.replica import Copied

HOME_ID = "home-id"


def ledger_file(settings: Settings) -> Path:
    """The ledger's file: of a shared home the copy of this machine."""
    return settings.root / settings.home / LEDGER_NAME


def has_ledger(settings: Settings) -> bool:
    """Whether there is a ledger that can be opened without making one: a shared home has one."""
    return bool(settings.home_url) or ledger_file(settings).is_file()


def require_ledger(settings: Settings) -> None:
    """Raise UsageError unless there is a ledger."""
    if not has_ledger(settings):
        raise UsageError(f"there is no ledger {ledger_file(settings)}: nothing was ever run here")


def open_ledger(
    settings: Settings, redactor: Redactor | None = None, *, when_used: bool = False
) -> SqliteLedger:
    """Open the ledger of a home; with `when_used` a server is asked only by the first use."""
    if not settings.home_url:
        return SqliteLedger(ledger_file(settings), redactor=redactor)
    return open_shared(settings, redactor or Redactor(), when_used=when_used)


def open_shared(
    settings: Settings, redactor: Redactor, *, when_used: bool = False
) -> PostgresLedger:
    """Open a ledger that machines share."""
    address = home_address(settings)
    redactor.learn(url_secrets(address.dsn))
    found: PostgresLedger = _adapter().PostgresLedger(
        ledger_file(settings), address, redactor=redactor, by_server_time=True, when_used=when_used
    )
    return found


def home_id(settings: Settings) -> str:
    """The id of a home, which it gets once; "" of one that isn't there yet."""
    home = settings.root / settings.home
    if not home.exists():
        return ""
    file = home / HOME_ID
    with translate_os_errors(str(file)):
        if not file.exists():
            _write_once(file, _shared_id(settings) or secrets.token_hex(8))
        found = file.read_text(encoding="utf-8")
    if not found:
        raise StorageError(
            f"{file} is empty: delete it, and the note of this home among the objects"
        )
    return found


def _shared_id(settings: Settings) -> str:
    if not settings.home_url:
        return ""
    ledger = open_shared(settings, Redactor(), when_used=True)
    try:
        return ledger.id
    finally:
        ledger.close()


def _write_once(file: Path, text: str) -> None:
    """Write a file, unless another process is first."""
    draft = file.with_name(f"{file.name}-{secrets.token_hex(8)}")
    with open(draft, "x", encoding="utf-8", opener=open_private) as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def open_claims(settings: Settings) -> Claims:
    """The claims of steps: those of the processes of this machine, or of all that share a home."""
    if not settings.home_url:
        return FileClaims(settings.root / settings.home / "claims.lock")
    module = import_module("tidemill.adapters.postgres.claims")
    found: Claims = module.PostgresClaims(home_address(settings))
    return found


def home_address(settings: Settings) -> HomeAddress:
    """Where a shared home is; UsageError if the variable that says so isn't set."""
    return resolve_home(settings.home_url, f"{settings.file}: [tool.tidemill]")


def find_server_damage(settings: Settings) -> list[str]:
    """Describe what is wrong with a ledger that machines share, by a copy of all of it.

    StorageError if the server can't be reached.
    """
    _shared_id(settings)
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


def _adapter() -> Any:
    try:
        # Most projects need no library for it.
        return import_module("tidemill.adapters.postgres.ledger")
    except ModuleNotFoundError as error:
        command = install_command(error.name or "")
        raise UsageError(f"a home in PostgreSQL needs {error.name}: {command}") from error
