"""The attempts of a run, summed up while they are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidemill.history.io import run_attempts
from tidemill.history.io.runs import History
from tidemill.ledger.run import Outcome
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import attempted_event, run_started_event


def test_who_looks_again_reads_only_what_is_new(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    history = History(ledger, tmp_path)
    ledger.append([run_started_event("r1"), attempted_event(run="r1", partition="a")], now=0.0)
    first = history.summed_attempts("r1")
    assert (first.total, first.done, first.stages["features"].ran) == (1, 1, 1)
    others = [
        attempted_event(run="r1", partition=partition, outcome=outcome)
        for partition, outcome in (
            ("b", Outcome.RETRIED),
            ("b", Outcome.FAILED),
            ("c", Outcome.SKIPPED),
            ("d", Outcome.BOUND),
        )
    ]
    ledger.append(others, now=1.0)
    for found in (history.summed_attempts("r1"), History(ledger, tmp_path).summed_attempts("r1")):
        stage = found.stages["features"]
        assert (stage.ran, stage.bound, stage.skipped) == (1, 1, 1)
        assert (stage.failed, stage.retried) == (1, 1)
        assert (found.total, found.done, len(found.failed)) == (5, 2, 2)
        assert [each.partition for each in found.failures["features"]] == ["b"]
        assert [at for at, _ in found.last] == [0.0, 1.0, 1.0, 1.0, 1.0]


def test_runs_that_nobody_asks_for_are_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = MemoryLedger()
    history = History(ledger, tmp_path)
    ledger.append([run_started_event("r1"), attempted_event(run="r1")], now=0.0)
    found = history.summed_attempts("r1")
    history.drop_old()
    assert history.summed_attempts("r1") is found
    monkeypatch.setattr(run_attempts, "_KEPT_S", 0.0)
    history.drop_old()
    again = history.summed_attempts("r1")
    assert again is not found
    assert again == found
