"""What a contract found in a partition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Findings, and the moment (Unix seconds) and state that they hold for.

    `heads` maps the stages that were looked at, the own one included, to the versions that their heads
    had; of the own one also counts what the same run published before. `rules` is the digest of the
    rules that were judged. `newest` has the newest moment of each column whose freshness matters.
    """

    at: float
    heads: Mapping[str, int] = field(default_factory=dict)
    rules: str = ""
    findings: tuple[Finding, ...] = ()
    newest: Mapping[str, float] = field(default_factory=dict)
