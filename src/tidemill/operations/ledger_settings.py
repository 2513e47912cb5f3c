"""Read from the settings when events of the ledger are compacted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass

_DAY_S = 86_400.0
_DAYS = re.compile(r"([1-9][0-9]{0,4})d")


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """Events older than `compact_after_s` seconds lose details when nothing needs them any more."""

    compact_after_s: float = 14 * _DAY_S


def parse_ledger_settings(table: Mapping[str, Any], place: str) -> LedgerSettings:
    """Read the table `ledger` of the settings; UsageError names what is wrong, at `place`."""
    known = ["compact_after"]
    for name in table:
        if name not in known:
            raise UsageError(f"{place} {name}: {did_you_mean(name, known)}")
    if "compact_after" not in table:
        return LedgerSettings()
    given = table["compact_after"]
    match = _DAYS.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        raise UsageError(
            f"{place} compact_after = {given!r} is not a number of days, such as '14d'"
        )
    return LedgerSettings(compact_after_s=int(match[1]) * _DAY_S)
