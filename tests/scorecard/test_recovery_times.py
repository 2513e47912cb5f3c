"""What goes wrong is followed until it is healthy again, whichever events tell that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.drift import DriftVerdict
from tidemill.ledger.event import (
    Attempted,
    EnvironmentCreated,
    EnvironmentDropped,
    Event,
    RecordedEvent,
    Removed,
    RunEnded,
    RunStarted,
    Settled,
)
from tidemill.ledger.incident import ClosingReason, IncidentChange
from tidemill.ledger.incident_events import IncidentChanged, IncidentClosed, IncidentOpened
from tidemill.ledger.run import Outcome, Receipt, StageTotals, Status
from tidemill.scorecard.recovery_report import RecoveryReport, report_recoveries
from tidemill.scorecard.recovery_times import RECOVERY_KINDS, RecoveryTimes
from tidemill.testing import incident_records as incidents
from tidemill.testing import records

FAILED, OK = Outcome.FAILED, Outcome.OK
NOW = 1e6


def tried(
    outcome: Outcome,
    partition: str = "p",
    run: str = "r1",
    environment: str = "prod",
    code: int = 1,
) -> Attempted:
    return records.attempted_event(
        "a", partition, run=run, environment=environment, outcome=outcome, exit_code=code
    )


def ended(run: str, *, failed: int = 0, skipped: int = 0, stage: str = "a") -> RunEnded:
    totals = StageTotals(stage=stage, failed=failed, skipped=skipped, current=1)
    receipt = Receipt(run=run, status=Status.OK, stages=(totals,))
    return RunEnded(run=run, status=Status.OK, receipt=receipt)


def recorded(*events: Event, at: Sequence[float] | None = None) -> list[RecordedEvent]:
    """Events one after the other, by default every ten seconds from 100."""
    times = at or [100.0 + 10 * number for number in range(len(events))]
    return [
        RecordedEvent(seq=number + 1, at=times[number], event=event)
        for number, event in enumerate(events)
    ]


def read(facts: Sequence[RecordedEvent]) -> RecoveryTimes:
    times = RecoveryTimes(environment="prod")
    for fact in facts:
        times.add(fact)
    return times


def report(*events: Event, now: float = NOW, window: float = NOW) -> RecoveryReport:
    return report_recoveries(read(recorded(*events)), now, window)


def started(run: str, environment: str = "prod") -> RunStarted:
    return records.run_started_event(run, environment)


_runs = st.sampled_from(["r1", "r2", "r3"])
_partitions = st.sampled_from(["", "p", "q"])
HAPPENINGS: st.SearchStrategy[Event] = st.one_of(
    st.builds(tried, st.sampled_from([FAILED, OK, Outcome.BOUND, Outcome.RETRIED]), _partitions, _runs),
    st.builds(tried, st.just(FAILED), _partitions, _runs, st.sampled_from(["prod", "prod", "dev"])),
    st.builds(started, _runs, st.sampled_from(["prod", "prod", "dev"])),
    st.builds(ended, _runs, failed=st.integers(0, 1), skipped=st.integers(0, 1)),
    st.builds(lambda key: records.removed_event(key, stage="a"), _partitions),
    st.builds(lambda place: records.settled_event(stage="a", environment=place),
              st.sampled_from(["prod", "dev"])),
    st.just(EnvironmentDropped(environment="prod")),
    st.just(EnvironmentDropped(environment="dev")),
)  # fmt: skip


@dataclass
class Naive:
    """The same from the list of all events, again and again from its beginning."""

    facts: Sequence[RecordedEvent]

    def is_open(self, run: str, until: int) -> bool:
        """Whether a run of production is open before an event."""
        found = False
        for fact in self.facts[:until]:
            event = fact.event
            if isinstance(event, RunStarted) and event.run == run and event.environment == "prod":
                found = True
            if isinstance(event, RunEnded) and event.run == run:
                found = False
        return found

    def is_sound(self, n: int) -> bool:
        """Whether an event is the end of a run of production that left the stage sound."""
        event = self.facts[n].event
        if not isinstance(event, RunEnded) or not self.is_open(event.run, n):
            return False
        assert event.receipt is not None
        (totals,) = event.receipt.stages
        return not (totals.failed or totals.skipped)

    def is_bad(self, n: int, partition: str | None = None) -> bool:
        event = self.facts[n].event
        return (
            isinstance(event, Attempted)
            and event.environment == "prod"
            and event.attempt.outcome is FAILED
            and partition in (None, event.attempt.partition)
        )

    def clears(self, n: int, partition: str) -> bool:
        """Whether a partition doesn't fail after an event, whatever was before."""
        event = self.facts[n].event
        if isinstance(event, Attempted):
            good = event.attempt.outcome in (OK, Outcome.BOUND)
            return event.environment == "prod" and good and event.attempt.partition == partition
        if isinstance(event, Removed):
            return event.partition == partition
        if isinstance(event, Settled):
            return event.environment == "prod"
        return partition == "" and self.is_sound(n)

    def fails(self, first: int, until: int) -> bool:
        """Whether any partition fails after an event, of those that failed since `first`."""
        for partition in ("", "p", "q"):
            bad = [n for n in range(first, until + 1) if self.is_bad(n, partition)]
            if bad and not any(self.clears(n, partition) for n in range(bad[-1], until + 1)):
                return True
        return False

    def success(self, n: int) -> str | None:
        """The run of which an event is a success of the stage."""
        event = self.facts[n].event
        if isinstance(event, Attempted) and event.environment == "prod":
            return event.run if event.attempt.outcome in (OK, Outcome.BOUND) else None
        if isinstance(event, Settled) and event.environment == "prod":
            runs = [
                fact.event.run
                for fact in self.facts[:n]
                if isinstance(fact.event, RunStarted) and fact.event.environment == "prod"
            ]
            return runs[-1] if runs else "none"
        return event.run if isinstance(event, RunEnded) and self.is_sound(n) else None

    def episodes(self) -> list[tuple[str, float, float | None]]:
        """How each episode ended, when it began, and since when it was well."""
        found, n = [], 0
        while n < len(self.facts):
            if self.is_bad(n):
                how, times, n = self.episode(n)
                found.append((how, *times))
            else:
                n += 1
        return found

    def episode(self, first: int) -> tuple[str, tuple[float, float | None], int]:
        """How an episode that begins at an event goes on, and the event after it."""
        began = self.facts[first].at
        healthy: int | None = None
        for end in range(first, len(self.facts)):
            event = self.facts[end].event
            if isinstance(event, EnvironmentDropped) and event.environment == "prod":
                return "forgotten", (began, None), end + 1
            last = max(n for n in range(first, end + 1) if self.is_bad(n))
            well = [n for n in range(last, end + 1) if not self.fails(first, n)]
            healthy = well[0] if well else None
            runs = {self.success(n) for n in well} - {None}
            if len(runs) >= 2:
                assert healthy is not None
                return "over", (began, self.facts[healthy].at), end + 1
        at = None if healthy is None else self.facts[healthy].at
        return "lasts", (began, at), len(self.facts)


@given(st.lists(HAPPENINGS, min_size=1, max_size=30))
def test_it_equals_a_recomputation_from_the_list_of_all_events(events: list[Event]) -> None:
    facts = recorded(*events)
    found = report_recoveries(read(facts), NOW, NOW)
    naive = [each for each in Naive(facts).episodes() if each[0] != "forgotten"]
    assert [(each.first, each.healthy) for each in found.recovered] == [
        (first, healthy) for how, first, healthy in naive if how == "over"
    ]
    assert [(each.first, each.healthy) for each in found.lasting] == [
        (first, healthy) for how, first, healthy in naive if how == "lasts"
    ]


@given(st.lists(HAPPENINGS, min_size=1, max_size=16), st.data())
def test_what_is_kept_between_commands_continues(events: list[Event], data: st.DataObject) -> None:
    facts = recorded(*events)
    cut = data.draw(st.integers(0, len(facts)))
    stored = msgspec.msgpack.encode(read(facts[:cut]))
    again = msgspec.msgpack.decode(stored, type=RecoveryTimes)
    again.prune(0.0)
    for fact in facts[cut:]:
        again.add(fact)
    assert report_recoveries(again, NOW, NOW) == report_recoveries(read(facts), NOW, NOW)


def test_two_sound_runs_in_a_row_end_a_failure_from_its_first_event() -> None:
    found = report(
        started("r1"),
        tried(FAILED),
        tried(FAILED, "q"),
        ended("r1", failed=2),
        started("r2"),
        tried(OK, run="r2"),
        ended("r2", failed=1),
        started("r3"),
        tried(OK, "q", run="r3"),
        ended("r3"),
        started("r4"),
        ended("r4"),
    )
    (recovery,) = found.recovered
    assert (recovery.kind, recovery.stage, recovery.first) == ("failed stage", "a", 110.0)
    assert (recovery.healthy, recovery.lasted, recovery.detected) == (180.0, 70.0, None)
    assert (found.took.n, found.took.p50, found.noticed.n) == (1, 70.0, 0)


def opened(kind: str, stage: str = "a", id: str = "i1", since: float = 90.0) -> IncidentOpened:
    made = incidents.incident(id, since=since)
    cause = replace(made.cause, kind=kind, stage=stage)
    return IncidentOpened(environment="prod", incident=replace(made, cause=cause))


def test_an_incident_of_a_failed_stage_tells_when_it_was_noticed() -> None:
    found = report(tried(FAILED), opened("failed stage", since=100.0), opened("lost run", id="i2"))
    (lasting,) = found.lasting
    assert (lasting.detected, lasting.noticed_after, lasting.incident) == (120.0, 20.0, "i1")
    assert found.noticed.p50 == 20.0
    again = report(tried(FAILED), opened("failed stage"), opened("failed stage", id="i9"))
    assert again.lasting[0].incident == "i1"
    assert report(opened("failed stage")) == RecoveryReport()


def changed(change: IncidentChange, since: float) -> IncidentChanged:
    return IncidentChanged(environment="prod", incident="i1", change=change, since=since)


CLOSED = IncidentClosed(
    environment="prod", incident="i1", how=ClosingReason.RECOVERED, recovered=150.0
)


@pytest.mark.parametrize("kind", ["stale stage", "objective breach", "reported", "failed delivery"])
def test_other_incidents_last_until_their_checks_find_them_well(kind: str) -> None:
    found = report(opened(kind), changed(IncidentChange.RECOVERING, 140.0), now=1000.0)
    assert (found.lasting[0].lasted, found.lasting[0].healthy) == (50.0, 140.0)
    relapse = changed(IncidentChange.RELAPSED, 145.0)
    found = report(opened(kind), changed(IncidentChange.RECOVERING, 140.0), relapse, now=1000.0)
    assert found.lasting[0].lasted == 910.0
    grew = changed(IncidentChange.GREW, 145.0)
    found = report(opened(kind), grew, CLOSED)
    assert (found.recovered[0].lasted, found.recovered[0].detected) == (60.0, 110.0)
    assert report(CLOSED, grew) == RecoveryReport()
    reopened = changed(IncidentChange.REOPENED, 200.0)
    found = report(opened(kind), CLOSED, reopened, now=1000.0)
    assert (found.recovered, found.lasting[0].lasted) == ((), 910.0)
    found = report(opened(kind), CLOSED, reopened, replace(CLOSED, recovered=300.0))
    assert found.recovered[0].lasted == 210.0


def test_data_that_are_older_than_the_first_run_are_late_since_that() -> None:
    stale = opened("stale stage", since=5.0)
    (late,) = report(started("r1"), stale, ended("r1"), started("r2")).lasting
    (alone,) = report(stale).lasting
    assert (late.first, alone.first) == (100.0, 5.0)


def test_objectives_of_endpoints_may_be_caused_by_any_model() -> None:
    live = records.delivered_event()
    found = report(live, opened("objective breach", stage="", since=110.0))
    assert found.lasting[0].by_delivery
    back = replace(live, delivery=replace(live.delivery, rollback=True))
    found = report(back, opened("objective breach", stage="", since=110.0))
    assert not found.lasting[0].by_delivery


def test_drift_lasts_until_it_needs_no_investigation() -> None:
    judged = records.drift_judged_event("a")
    well = replace(judged, verdict=DriftVerdict(signature="data"))
    alarm = records.drift_alarmed_event("a")
    noticed = opened("drift", since=100.0)
    found = report(well, alarm, noticed, judged, alarm, well)
    (recovery,) = found.recovered
    assert (recovery.kind, recovery.lasted, recovery.detected) == ("drift", 40.0, 120.0)
    (lasting,) = report(alarm).lasting
    assert lasting.kind == "drift"


def test_what_is_too_old_is_forgotten() -> None:
    facts = recorded(
        tried(FAILED), tried(OK), tried(OK, run="r2"), opened("reported"), CLOSED, tried(FAILED)
    )
    times = read(facts)
    times.prune(110.0)
    assert (times.ended, [*times.closed], [*times.failing]) == ([], ["i1"], ["a"])
    times.prune(150.0)
    assert times.closed == {}


def test_an_environment_of_the_same_name_begins_anew() -> None:
    dropped = EnvironmentDropped(environment="prod")
    alarm = records.drift_alarmed_event("a")
    assert report(tried(FAILED), alarm, opened("reported"), dropped) == RecoveryReport()
    other = EnvironmentCreated(environment="dev", parent="prod")
    assert len(report(tried(FAILED), other).lasting) == 1


def test_its_kinds_are_those_that_count() -> None:
    every = records.events_of_every_kind()
    facts = recorded(*every)
    counted = [fact for fact in facts if type(fact.event).__name__ in RECOVERY_KINDS]
    assert read(facts).troubles() == read(counted).troubles()
    assert "Published" not in RECOVERY_KINDS


def test_a_run_that_leaves_another_stage_sound_is_no_success() -> None:
    found = report(tried(FAILED), started("r2"), tried(OK), ended("r2", stage="b"))
    assert (len(found.lasting), found.recovered) == (1, ())
