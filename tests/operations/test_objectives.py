"""How objectives are met."""

from __future__ import annotations

import pytest

from tidemill.operations.failure_detector import FailureDetector
from tidemill.operations.ledger_metrics import LedgerMetrics
from tidemill.operations.objective_settings import Objective, ObjectiveKind
from tidemill.operations.objectives import find_breaches, judge_objectives
from tidemill.operations.outcome_counts import OutcomeCounts
from tidemill.operations.problem import ProblemSeverity
from tidemill.operations.watermarks import StageWatermark

NOW = 1_000_000_000.0
HOUR, DAY = 3600.0, 86_400.0
STEPS = Objective(name="steps", kind=ObjectiveKind.SUCCESS, subject="a", target=0.99)
FRESH = Objective(
    name="fresh", kind=ObjectiveKind.FRESHNESS, subject="a", target=0.99, limit=26 * HOUR
)


def metrics(*objectives: Objective) -> LedgerMetrics:
    return LedgerMetrics(environment="prod", zone="UTC", objectives=objectives)


def counted(*events: tuple[float, int, int]) -> LedgerMetrics:
    """Metrics with good and bad events so many seconds ago."""
    found = metrics(STEPS)
    counts, detector = OutcomeCounts(), FailureDetector(allowed=STEPS.allowed)
    for ago, good, bad in events:
        counts.add(NOW - ago, good, bad)
        detector.add(NOW - ago, good=good, bad=bad)
    found.counts["steps"], found.detectors["steps"] = counts, detector
    return found


def test_nothing_is_known_yet() -> None:
    for status in judge_objectives(metrics(STEPS, FRESH), NOW):
        assert (status.achieved, status.budget_left, status.burns) == (None, None, ())
    assert [*find_breaches(metrics(STEPS, FRESH), NOW)] == []


def test_what_was_achieved_and_what_is_left() -> None:
    (status,) = judge_objectives(counted((9 * DAY, 1990, 10)), NOW)
    assert status.achieved == 0.995
    assert status.budget_left == pytest.approx(0.5)


def test_many_errors_at_once_page() -> None:
    (found,) = find_breaches(counted((2 * HOUR, 5000, 0), (1200, 700, 500), (60, 900, 500)), NOW)
    assert found.severity is ProblemSeverity.PAGE
    assert NOW - 1200 - 60 < found.since <= NOW - 1200
    assert "as fast as allowed" in found.why
    assert found.status.evidence is None


def test_few_errors_for_long_are_a_ticket() -> None:
    events = [(hour * HOUR, 985, 15) for hour in range(80)]
    (found,) = find_breaches(counted(*reversed(events)), NOW)
    assert found.severity is ProblemSeverity.TICKET


def test_with_few_events_the_detector_decides() -> None:
    events = [(day * DAY, 1, 0) for day in range(20, 3, -1)]
    assert [*find_breaches(counted(*events, (DAY, 0, 1)), NOW)] == []
    bad = [(3 * DAY - hour * HOUR, 0, 1) for hour in range(5)]
    (found,) = find_breaches(counted(*events, *bad), NOW)
    assert (found.severity, found.since) == (ProblemSeverity.TICKET, NOW - 3 * DAY)
    assert found.status.evidence == pytest.approx(1.25)
    assert "more than 0.01 of the events are bad" in found.why


def test_stale_data_burn_time() -> None:
    found = metrics(FRESH)
    mark = found.watermarks["a"] = StageWatermark()
    mark.publish("1", NOW - 10 * DAY, NOW - 10 * DAY)
    mark.publish("2", NOW - 27 * HOUR, NOW - 9 * DAY)
    (breach,) = find_breaches(found, NOW)
    assert (breach.severity, breach.since) == (ProblemSeverity.PAGE, NOW - HOUR)
    status = breach.status
    assert (status.bad, status.good) == (HOUR, 10 * DAY - HOUR)
    assert status.achieved == pytest.approx(239 / 240)
    mark.publish("3", NOW - HOUR, NOW)
    # The budget of three days is used up for six hours more.
    (breach,) = find_breaches(found, NOW + HOUR)
    assert breach.severity is ProblemSeverity.TICKET
    assert [*find_breaches(found, NOW + 7 * HOUR)] == []


def test_the_first_hour_of_a_stage_is_no_evidence() -> None:
    found = metrics(FRESH)
    mark = found.watermarks["a"] = StageWatermark()
    for number in range(30):
        mark.publish(str(number), NOW - (40 - number) * DAY, NOW + number)
    assert [*find_breaches(found, NOW + 0.9 * HOUR)] == []
    (breach,) = find_breaches(found, NOW + HOUR)
    assert breach.severity is ProblemSeverity.PAGE
