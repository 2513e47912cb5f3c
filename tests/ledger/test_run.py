"""Runs: what the ledger keeps has names that never change."""

from __future__ import annotations

from dataclasses import fields

from tidemill.ledger.run import Attempt, Outcome, Receipt, RunInfo, StageTotals, Status


def test_names_that_are_recorded() -> None:
    assert [str(outcome) for outcome in Outcome] == [
        "ok",
        "bound",
        "current",
        "failed",
        "retried",
        "refused",
        "skipped",
    ]
    assert [str(status) for status in Status] == ["running", "ok", "failed", "interrupted", "lost"]


def test_what_did_nothing_costs_nothing() -> None:
    attempt = Attempt(stage="a", partition="p", action="run", outcome=Outcome.OK)
    receipt = Receipt(run="r", status=Status.OK)
    for record in (attempt, receipt, StageTotals(stage="a")):
        numbers = [
            getattr(record, f.name)
            for f in fields(record)
            # The first try has the number 1.
            if f.type in ("int", "float") and f.name != "number"
        ]
        assert numbers
        assert not any(numbers)


def test_a_run_that_has_not_ended() -> None:
    info = RunInfo(id="r", environment="prod", status=Status.RUNNING, started=1.0)
    assert (info.ended, info.receipt, dict(info.holder)) == (None, None, {})
