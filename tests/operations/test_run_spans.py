"""Runs as spans of a trace."""

from __future__ import annotations

from dataclasses import replace

from tidemill.ledger.event import Attempted, Event, RecordedEvent, RunEnded
from tidemill.ledger.run import Attempt, Outcome, Status
from tidemill.operations.run_spans import SPAN_EVENTS, RunSpan, run_spans
from tidemill.testing import records


def attempted(stage: str, outcome: Outcome = Outcome.OK, **terms: object) -> Attempted:
    attempt = Attempt(stage=stage, partition="2024-03-01", action="run", outcome=outcome)
    return Attempted(run="run-1", environment="prod", attempt=replace(attempt, **terms))  # type: ignore[arg-type]


def spans_of(*events: Event, most: int = 100) -> list[RunSpan]:
    facts = [RecordedEvent(seq=n, at=100.0 + n, event=each) for n, each in enumerate(events)]
    return run_spans(facts, "tides", most)


STARTED = records.run_started_event("run-1")
ENDED = RunEnded(run="run-1", status=Status.OK)


def test_a_run_has_stages_that_have_steps() -> None:
    found = spans_of(
        STARTED,
        attempted("raw", wall_s=0.5, rows_out=3),
        attempted("raw", Outcome.BOUND),
        attempted("daily", Outcome.RETRIED, message="no luck", wall_s=0.25),
        attempted("daily", number=2, wall_s=-1.0),
        ENDED,
    )
    run, raw, daily, *steps = found
    assert [each.name for each in found[:3]] == ["run tides", "stage raw", "stage daily"]
    assert (run.start, run.end, run.parent, run.error) == (100.0, 105.0, 0, "")
    assert (raw.start, raw.end, raw.parent) == (100.5, 102.0, run.span)
    assert (raw.attributes["tidemill.steps.bound"], raw.attributes["tidemill.rows_out"]) == (1, 3)
    assert [(each.name, each.parent == daily.span, each.error) for each in steps] == [
        ("step raw", False, ""), ("step daily", True, "no luck"), ("step daily", True, ""),
    ]  # fmt: skip
    assert (steps[2].start, steps[2].end) == (104.0, 104.0)
    assert steps[1].attributes["tidemill.partition"] == "2024-03-01"
    assert {each.trace for each in found} == {run.trace}
    assert len({each.span for each in found}) == len(found)
    assert all(0 < each.span < 2**64 for each in found)
    assert 0 < run.trace < 2**128
    # A stage whose retry succeeded didn't fail.
    assert daily.error == ""


def test_the_same_run_has_the_same_ids() -> None:
    events = (STARTED, attempted("raw"), ENDED)
    assert spans_of(*events) == spans_of(*events)
    # Other events tell nothing.
    assert spans_of(*events, records.published_event()) == spans_of(*events)


def test_why_something_failed_is_one_line() -> None:
    long = attempted("raw", Outcome.FAILED, message="\x1b[31mno\nmore", fate="error")
    silent = attempted("daily", Outcome.FAILED, fate="oom")
    refused = attempted("model", Outcome.REFUSED)
    run, *others = spans_of(STARTED, long, silent, refused, replace(ENDED, status=Status.FAILED))
    assert run.error == "failed"
    assert [each.error for each in others] == [
        "\\x1b[31mno", "oom", "", "\\x1b[31mno", "oom", "refused",
    ]  # fmt: skip


def test_a_run_that_goes_on_or_began_before_has_none() -> None:
    assert spans_of(STARTED, attempted("raw")) == []
    assert spans_of(ENDED, attempted("raw")) == []
    assert SPAN_EVENTS == ("RunStarted", "Attempted", "RunEnded")


def test_a_clock_that_was_set_back() -> None:
    facts = [RecordedEvent(seq=1, at=9.0, event=STARTED), RecordedEvent(seq=2, at=5.0, event=ENDED)]
    [run] = run_spans(facts, "tides")
    assert (run.start, run.end) == (9.0, 9.0)


def test_too_many_steps_are_counted() -> None:
    found = spans_of(STARTED, *(attempted("raw", number=n) for n in range(5)), ENDED, most=2)
    assert len(found) == 4
    assert found[0].attributes["tidemill.left_out_steps"] == 3
