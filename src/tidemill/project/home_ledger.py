"""Open the ledger of a home: a SQLite file in its folder, or a PostgreSQL database that machines share."""

from __future__ import annotations

import os
import secrets
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.adapters.files.claims import FileClaims
from tidemill.adapters.files.disk import translate_os_errors
from tidemill.adapters.sqlite.ledger import SqliteLedger
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
            _write_once(file, shared_id(settings) or secrets.token_hex(8))
        found = file.read_text(encoding="utf-8")
    if not found:
        raise StorageError(
            f"{file} is empty: delete it, and the note of this home among the objects"
        )
    return found


def shared_id(settings: Settings) -> str:
    """The id of the ledger that machines share, as its server says; "" of another home."""
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


def _adapter() -> Any:
    try:
        # Most projects need no library for it.
        return import_module("tidemill.adapters.postgres.ledger")
    except ModuleNotFoundError as error:
        command = install_command(error.name or "")
        raise UsageError(f"a home in PostgreSQL needs {error.name}: {command}") from error
