"""The pages that entries of the audit trail are about."""

from __future__ import annotations

import pytest

from tidemill.console.audit_pages import page_of_entry, words_of_kind
from tidemill.governance.audit_trail import AuditEntry


@pytest.mark.parametrize(
    ("kind", "subject", "run", "page"),
    [
        ("RunStarted", "20260101-aa", "20260101-aa", ("runs", "20260101-aa")),
        ("IncidentOpened", "i1 features", "", ("incidents", "i1")),
        ("IncidentClosed", "i1", "", ("incidents", "i1")),
        ("SilenceEnded", "s1", "", ("silences",)),
        ("TokenCreated", "abc", "", ("settings", "tokens")),
        ("Waived", "shift for orders (w1)", "", ("settings", "rules")),
        ("PolicyDecided", "orders", "run", ("settings", "decisions")),
        ("Voted", "review r1", "", ("reviews", "r1")),
        ("ReviewOpened", "a long label r1", "", ("reviews", "r1")),
        ("EnvironmentCreated", "trial", "", ("environments", "trial")),
        # It is gone.
        ("EnvironmentDropped", "trial", "", ("environments",)),
        ("Ticked", "nightly 2026-01-01", "", ("settings", "schedules")),
        ("Decided", "demand 0123", "", ("models", "demand")),
        ("RolloutStepped", "loaves 0123", "", ("endpoints", "loaves")),
        ("Ruled", "sales 2026-01-05: 3 rows", "", ("stages", "sales", "quarantine")),
        ("Ruled", "sales: all rows", "", ("stages", "sales", "quarantine")),
        ("DataPinned", "orders (p1)", "", ("settings", "retention")),
        # Of other kinds: the run, else the stage, else nothing.
        ("Attempted", "sales 2026-01-05", "r1", ("runs", "r1")),
        ("Published", "sales 2026-01-05", "", ("stages", "sales")),
        ("Published", "", "", ()),
        ("Acted", "all events", "", ()),
        ("IncidentClosed", "", "", ("incidents",)),
        ("Ruled", "", "", ()),
    ],
)
def test_entries_lead_to_what_they_are_about(
    kind: str, subject: str, run: str, page: tuple[str, ...]
) -> None:
    entry = AuditEntry(
        seq=1, at=0.0, who="ana", action="", subject=subject, reason="", kind=kind, run=run
    )
    assert page_of_entry(entry) == page


def test_kinds_of_events_are_words() -> None:
    assert words_of_kind("IncidentOpened") == "incident opened"
    assert words_of_kind("Voted") == "voted"
