"""What a contract found in a partition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["fail", "quarantine", "warn", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that rows or a partition broke: how many rows, some of their values, and what to do."""

    rule: str
    severity: Severity
    rows: int
    sample: str = ""
    message: str = ""
