"""The settings of attestations, from `[tool.tidemill.attest]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestSettings:
    """With a `key` runs attest what they deliver; `trusted` are the public keys that verification accepts.

    All are paths of PEM files, relative to the project. Without `trusted` the public key beside `key` counts.
    """

    key: str = ""
    trusted: tuple[str, ...] = ()


def parse_attest_settings(table: Mapping[str, Any], place: str) -> AttestSettings:
    """Read the table; UsageError names the setting that is wrong. `place` is its place in messages."""
    for name in table:
        if name not in ("key", "trusted"):
            raise UsageError(f"{place} {name}: {did_you_mean(name, ('key', 'trusted'))}")
    key, trusted = table.get("key", ""), table.get("trusted", [])
    if not isinstance(key, str):
        raise UsageError(f"{place} key = {key!r} is not the path of a key")
    if not isinstance(trusted, list) or not all(isinstance(each, str) and each for each in trusted):
        raise UsageError(f"{place} trusted = {trusted!r} is not a list of paths of public keys")
    return AttestSettings(key=key, trusted=tuple(trusted))
