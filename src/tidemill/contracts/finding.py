"""Record what the checks of a contract found in a partition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Literal, TypeAlias

from tidemill.core.errors import ContractError
from tidemill.core.lazy_dataclass import dataclass

# The ends of the names of rules that a value breaks which can't be read, so that nothing is left of it.
UNREAD_RULES = (".type", ".fields", ".unicode")

Severity: TypeAlias = Literal["fail", "quarantine", "warn", "info"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A broken rule: how many rows break it, sample values, and advice."""

    rule: str
    severity: Severity
    rows: int
    sample: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFindings:
    """Findings of the table rules, with the time (Unix seconds) and the table versions they hold for.

    `heads` maps each stage that was read, including the checked stage, to the version of its head; for
    the checked stage this includes what the same run published earlier. `rules` is the digest of the
    rules. `newest` holds the newest timestamp of each column with a freshness rule.
    """

    at: float
    heads: Mapping[str, int] = field(default_factory=dict)
    rules: str = ""
    findings: tuple[Finding, ...] = ()
    newest: Mapping[str, float] = field(default_factory=dict)

    @property
    def messages(self) -> tuple[str, ...]:
        """What is wrong, finding by finding."""
        return tuple(finding.message or finding.rule for finding in self.findings)


class BrokenContract(ContractError):
    """A partition breaks its contract; `findings` are the rules that its bad rows break, most rows first."""

    def __init__(self, message: str, findings: tuple[Finding, ...] = ()) -> None:
        self.findings = findings
        super().__init__(message)


def rejections(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The rules that sent rows to quarantine, most rows first, if these are too many to publish the rest."""
    found = tuple(findings)
    if not any(item.rule == "budget" and item.severity == "fail" for item in found):
        return ()
    bad = (item for item in found if item.severity == "quarantine")
    return tuple(sorted(bad, key=lambda item: -item.rows))
