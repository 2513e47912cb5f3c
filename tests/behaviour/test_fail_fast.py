"""With fail-fast the first step that fails stops what hasn't begun; the receipt and the ledger say so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.tides import Tides, day
from tidemill.core.errors import StorageError
from tidemill.ledger.event import Attempted, RunStarted
from tidemill.ledger.run import Outcome, Status
from tidemill.planning.plan import Step
from tidemill.runs.io.step_inputs import Bound, StepInputs
from tidemill.workflow.stage import Stage

# A day fails, by its rows: the plan runs days in order.
FAILING = """
def times(value: pl.Expr) -> pl.Expr:
    return value.map_elements(refuse, return_dtype=pl.Float64) * 2


def refuse(value: float) -> float:
    if value == 13:
        raise ValueError("thirteen")
    return value
"""
# A stage that nothing connects to the one that fails.
APART = """

@flow.ingest
def other() -> tm.Source[Raw]:
    return tm.files("data/*.parquet")
"""


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    tides = Tides(tmp_path)
    tides.edit("def times(value: pl.Expr) -> pl.Expr:\n    return value * 2\n", FAILING)
    for number in range(5):
        tides.send(number, (13.0,) if number == 1 else (1.0, 2.0))
    return tides


def skipped(tides: Tides, run: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for event in tides.events("Attempted", run=run):
        assert isinstance(event, Attempted)
        if event.attempt.outcome is Outcome.SKIPPED:
            found.setdefault(event.attempt.message, []).append(event.attempt.partition)
    return found


def test_nothing_begins_once_a_step_has_failed(tides: Tides) -> None:
    receipt = tides.run(fail_fast=True, inline=True)
    assert (receipt.status, receipt.exit_code) == (Status.FAILED, 1)
    ran = tides.ran(receipt)
    assert ran["failed run doubled"] == [day(1)]
    why = f"not begun, because doubled {day(1)} failed (fail-fast)"
    assert set(skipped(tides, receipt.run)) == {why}
    begun = sum(len(days) for what, days in ran.items() if not what.startswith("skipped"))
    left = sum(len(days) for days in skipped(tides, receipt.run).values())
    (event,) = tides.events("RunStarted")
    assert isinstance(event, RunStarted)
    assert begun + left == event.steps
    (message,) = (m for m in receipt.messages if "(fail-fast)" in m and "weren't" in m)
    assert message.startswith(f"doubled {day(1)} failed: {left} steps weren't begun (fail-fast): ")
    # Without it the other days go on.
    receipt = tides.run()
    assert not any("fail-fast" in text for text in receipt.messages)
    assert day(4) in tides.published()["daily"]


def test_nothing_of_a_batch_runs_once_a_step_of_it_failed_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tides = Tides(tmp_path)
    for number in range(5):
        tides.send(number)
    resolve = StepInputs.resolve

    def fail(self: StepInputs, stage: Stage, step: Step) -> Mapping[str, Bound]:
        if (stage.name, step.partition) == ("doubled", day(1)):
            raise StorageError("its input can't be read")
        return resolve(self, stage, step)

    monkeypatch.setattr(StepInputs, "resolve", fail)
    receipt = tides.run(fail_fast=True, inline=True)
    ran = tides.ran(receipt)
    assert ran["failed run doubled"] == [day(1)]
    assert ran["skipped run doubled"] == [day(2), day(3), day(4)]
    monkeypatch.undo()
    tides.ok()


@pytest.mark.parametrize("inline", [True, False])
def test_what_was_stopped_runs_next_time(tides: Tides, inline: bool) -> None:
    tides.text += APART
    tides.run(fail_fast=True, inline=inline)
    tides.edit("value == 13", "value == 1313")
    tides.ok(fail_fast=True, inline=inline)
    assert tides.published()["daily"] == [day(number) for number in range(5)]
    assert tides.ok() == {}


def test_a_run_without_a_failure_stops_nothing(tides: Tides) -> None:
    tides.edit("value == 13", "value == 1313")
    receipt = tides.run(fail_fast=True)
    assert (receipt.status, skipped(tides, receipt.run)) == (Status.OK, {})
