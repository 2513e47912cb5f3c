"""What the rules that look beyond a partition said, at what time, and of which heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidemill.domain.finding import Finding


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
