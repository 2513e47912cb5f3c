"""The settings of checkpoints, from `[tool.tidemill.audit]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import parse_seconds

if TYPE_CHECKING:
    from tidemill.governance.checkpoint import CheckpointTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """Which key signs checkpoints, where they are written, and when one is due.

    `key` is the file of a private key, and `keys` are files of the public keys whose signatures count
    (default: the one beside `key`). A checkpoint is due after so many `events`, or after a time of `every`
    with a new event. It is written to the `file`, as a tag of the repository `git`, and to the stdin of
    `command`. Paths are relative to the project.
    """

    key: str = ""
    keys: tuple[str, ...] = ()
    file: str = ""
    git: str = ""
    command: str = ""
    events: int = 1000
    every: str | float = "1h"

    @property
    def is_on(self) -> bool:
        """Whether checkpoints are made by themselves."""
        return bool(self.key)

    @property
    def terms(self) -> CheckpointTerms:
        """When a checkpoint is due."""
        from tidemill.governance.checkpoint import CheckpointTerms

        return CheckpointTerms(events=self.events, every_s=parse_seconds(self.every))


def parse_audit_settings(table: Mapping[str, Any], place: str) -> AuditSettings:
    """Read the table; UsageError for unknown keys and invalid values. `place` names it in messages."""
    known = [each.name for each in fields(AuditSettings)]
    for name, value in table.items():
        if name not in known:
            raise UsageError(f"{place} {name}: {did_you_mean(name, known)}")
        if wanted := _fault(name, value):
            raise UsageError(f"{place} {name} = {value!r} is not {wanted}")
    if table and not table.get("key") and not table.get("keys"):
        raise UsageError(
            f"{place} needs a key that signs: `tidemill keys create ~/.config/tidemill/audit.pem`, then "
            'key = "~/.config/tidemill/audit.pem"'
        )
    return AuditSettings(**{**table, "keys": tuple(table.get("keys", ()))})


def _fault(name: str, value: Any) -> str:
    if name == "keys":
        is_list = isinstance(value, list) and all(isinstance(each, str) and each for each in value)
        return "" if is_list else "a list of files"
    if name == "events":
        is_count = type(value) is int and value > 0
        return "" if is_count else "a number of events, such as 1000"
    if name == "every":
        try:
            parse_seconds(value)
        except (ValueError, TypeError):
            return "a time, such as '1h'"
        return ""
    return "" if isinstance(value, str) and value else "text"
