"""Incidents over random histories of problems: each is covered once, and all close after recovery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.event import RecordedEvent
from tidemill.ledger.incident import ClosingReason, IncidentChange
from tidemill.ledger.incident_events import IncidentChanged, IncidentClosed, IncidentOpened
from tidemill.operations.incident import IncidentState, IncidentStatus, fold_incidents
from tidemill.operations.incidents import (
    FOUND_KINDS,
    IncidentRules,
    ProblemCheck,
    RecoveryFacts,
    elapsed,
    next_incidents,
    shown_incident,
)
from tidemill.operations.problem import Problem, ProblemKind, ProblemSeverity, problem_key

PROD = "prod"
UPSTREAM = {
    "raw": frozenset[str](),
    "features": frozenset({"raw"}),
    "labels": frozenset({"raw"}),
    "model": frozenset({"raw", "features", "labels"}),
}
RULES = IncidentRules(hold_s=60.0, successes=2, reopen_s=600.0)


def problem(
    stage: str = "features",
    kind: ProblemKind = ProblemKind.FAILED_STAGE,
    *,
    since: float = 90.0,
    severity: ProblemSeverity = ProblemSeverity.TICKET,
) -> Problem:
    return Problem(
        kind=kind, key=problem_key(kind, PROD, stage), since=since, severity=severity,
        title=f"{stage}: {kind}", stage=stage, environment=PROD, command=f"tidemill runs {stage}",
    )  # fmt: skip


@dataclass
class Watch:
    """The ledger of a project whose problems are checked."""

    facts: list[RecordedEvent] = field(default_factory=list)
    states: dict[str, IncidentState] = field(default_factory=dict)

    def check(self, now: float, *problems: Problem, **terms: Any) -> list[Any]:
        check = ProblemCheck(
            environment=PROD, now=now, seq=len(self.facts), problems=problems, upstream=UPSTREAM,
            **terms,
        )  # fmt: skip
        return self.append(now, next_incidents(self.states.values(), check, RULES))

    def append(self, now: float, events: Sequence[Any]) -> list[Any]:
        start = len(self.facts) + 1
        new = [RecordedEvent(seq=n, at=now, event=event) for n, event in enumerate(events, start)]
        self.facts += new
        self.states = fold_incidents(new, self.states)
        return list(events)

    @property
    def only(self) -> IncidentState:
        [state] = self.states.values()
        return state


def changes(events: Sequence[Any]) -> list[str]:
    return [str(getattr(event, "change", type(event).__name__)) for event in events]


def test_a_problem_opens_one_incident_until_it_held_for_a_while() -> None:
    watch = Watch()
    assert changes(watch.check(100.0, problem())) == ["IncidentOpened"]
    assert (watch.only.incident.since, watch.only.incident.detected) == (90.0, 100.0)
    assert watch.check(110.0, problem()) == []
    assert changes(watch.check(120.0)) == ["recovering"]
    assert watch.only.status is IncidentStatus.RECOVERING
    assert watch.check(179.0) == []
    [closed] = watch.check(180.0)
    assert closed == IncidentClosed(
        environment=PROD, incident=watch.only.id, how=ClosingReason.RECOVERED, recovered=120.0
    )
    assert (watch.only.status, watch.only.closed_at) == (IncidentStatus.CLOSED, 180.0)
    assert watch.check(190.0) == []


@pytest.mark.parametrize(
    ("facts", "how"),
    [
        ({}, ClosingReason.RETRIED),
        # Code of the stage, or of one upstream, changed since it failed; an earlier change doesn't count.
        ({"changed": {"features": 95.0}}, ClosingReason.FIXED),
        ({"changed": {"raw": 95.0}}, ClosingReason.FIXED),
        ({"changed": {"features": 80.0, "model": 95.0}}, ClosingReason.RETRIED),
        ({"rolled_back": {"features": 95.0}, "changed": {"raw": 95.0}}, ClosingReason.ROLLED_BACK),
    ],
)
def test_two_successes_in_a_row_close_it_at_the_time_of_the_first(
    facts: dict[str, Any], how: ClosingReason
) -> None:
    watch = Watch()
    watch.check(100.0, problem())
    first = RecoveryFacts(successes={"features": (50.0, 105.0)}, **facts)
    assert changes(watch.check(106.0, facts=first)) == ["recovering"]
    both = replace(first, successes={"features": (50.0, 105.0, 110.0)})
    [closed] = watch.check(111.0, facts=both)
    assert (closed.how, closed.recovered) == (how, 105.0)


def test_what_wasnt_looked_for_stays_open() -> None:
    watch = Watch()
    watch.check(100.0, problem())
    others = FOUND_KINDS - {ProblemKind.FAILED_STAGE}
    for now in (110.0, 500.0):
        assert watch.check(now, kinds=others) == []
    assert watch.only.status is IncidentStatus.OPEN


def test_an_incident_that_comes_and_goes_stays_one() -> None:
    watch = Watch()
    watch.check(100.0, problem())
    watch.check(110.0)
    [relapsed] = watch.check(130.0, problem(since=125.0))
    assert (relapsed.change, relapsed.since) == (IncidentChange.RELAPSED, 125.0)
    watch.check(140.0)
    assert changes(watch.check(200.0)) == ["IncidentClosed"]
    [again] = watch.check(700.0, replace(problem(since=690.0), command="tidemill runs logs new"))
    assert watch.only.cause.command == "tidemill runs logs new"
    assert (again.change, again.since, watch.only.status) == (
        IncidentChange.REOPENED, 690.0, IncidentStatus.OPEN,
    )  # fmt: skip
    assert watch.only.opened == again_number(watch)
    watch.check(710.0)
    watch.check(770.0)
    # Later than that it is another one.
    assert changes(watch.check(1370.0, problem(since=1370.0))) == ["IncidentOpened"]
    assert len(watch.states) == 2


def again_number(watch: Watch) -> int:
    return watch.facts[-1].seq


def test_a_failure_upstream_is_one_incident_with_its_consequences() -> None:
    watch = Watch()
    stale = [problem(name, ProblemKind.STALE_STAGE) for name in ("model", "labels", "features")]
    slow = problem("model", ProblemKind.OBJECTIVE_BREACH, severity=ProblemSeverity.PAGE)
    failed = problem("raw", since=80.0)
    watch.check(100.0, *stale, slow, failed)
    state = watch.only
    assert (state.cause.stage, state.severity) == ("raw", "page")
    assert state.stages == ("raw", "features", "labels", "model")
    assert len(state.consequences) == 4
    # The cause is gone, and one consequence stayed: the incident goes on with it.
    [moved] = watch.check(110.0, stale[0])
    assert (moved.change, watch.only.cause.stage) == (IncidentChange.MOVED, "model")
    assert "raw" in watch.only.stages
    watch.check(120.0)
    assert changes(watch.check(180.0)) == ["IncidentClosed"]


def test_later_consequences_join_and_can_make_it_worse() -> None:
    watch = Watch()
    watch.check(100.0, problem("raw"))
    late = problem("model", ProblemKind.STALE_STAGE, severity=ProblemSeverity.PAGE)
    assert changes(watch.check(110.0, problem("raw"), late)) == ["grew", "worsened"]
    assert watch.only.severity == "page"
    assert watch.only.members == {problem("raw").key, late.key}
    # It is as bad as it was.
    assert watch.check(120.0, problem("raw"), replace(late, severity=ProblemSeverity.NOTE)) == []


def test_stages_that_fail_by_themselves_are_incidents_of_their_own() -> None:
    watch = Watch()
    watch.check(100.0, problem("raw"), problem("model"))
    assert len(watch.states) == 2


def test_a_broken_contract_and_the_failure_of_its_stage_are_one() -> None:
    watch = Watch()
    watch.check(100.0, problem("raw"), problem("raw", ProblemKind.BROKEN_CONTRACT))
    assert watch.only.cause.kind == "broken contract"


@pytest.mark.parametrize("kind", [ProblemKind.SUPERVISOR_DOWN, ProblemKind.DISK_SPACE])
def test_what_is_wrong_with_all_explains_what_is_stale(kind: ProblemKind) -> None:
    watch = Watch()
    down = replace(problem("", kind), stage="")
    watch.check(100.0, down, problem("labels", ProblemKind.STALE_STAGE))
    assert (watch.only.cause.kind, len(watch.only.consequences)) == (kind, 1)
    # A failed stage upstream explains it better.
    other = Watch()
    other.check(100.0, down, problem("raw"), problem("labels", ProblemKind.STALE_STAGE))
    causes = {state.cause.kind: len(state.consequences) for state in other.states.values()}
    assert causes == {kind: 0, "failed stage": 1}


def test_other_problems_follow_from_nothing() -> None:
    watch = Watch()
    drift = problem("model", ProblemKind.DRIFT)
    notifier = replace(problem("", ProblemKind.FAILED_NOTIFIER), stage="")
    watch.check(100.0, problem("raw"), drift, notifier)
    assert len(watch.states) == 3


def test_what_a_person_closed_opens_again_only_if_it_begins_again() -> None:
    watch = Watch()
    watch.check(100.0, problem())
    stale = problem("model", ProblemKind.STALE_STAGE)
    closed = IncidentClosed(
        environment=PROD, incident=watch.only.id, how=ClosingReason.BY_PERSON, recovered=110.0,
        actor="ana", reason="known",
    )  # fmt: skip
    watch.append(110.0, [closed])
    assert watch.check(120.0, problem()) == []
    # What follows from it is its own, because nobody answered that.
    assert changes(watch.check(125.0, problem(), stale)) == ["IncidentOpened"]
    assert changes(watch.check(130.0, problem(since=129.0), stale)) == ["reopened"]


def closed_by_person(watch: Watch, at: float) -> None:
    closed = IncidentClosed(
        environment=PROD, incident=watch.only.id, how=ClosingReason.BY_PERSON, recovered=at,
        actor="ana", reason="known",
    )  # fmt: skip
    watch.append(at, [closed])


@pytest.mark.parametrize(
    "kind",
    [
        ProblemKind.STALE_STAGE,
        ProblemKind.OBJECTIVE_BREACH,
        ProblemKind.ANOMALY,
        ProblemKind.DISK_SPACE,
    ],
)
def test_what_a_person_closed_stays_closed_until_it_was_gone(kind: ProblemKind) -> None:
    """The beginning of some problems moves while they last."""
    watch = Watch()
    watch.check(100.0, problem(kind=kind))
    closed_by_person(watch, 110.0)
    for now in (120.0, 5_000.0, 90_000.0):
        assert watch.check(now, problem(kind=kind, since=now)) == []
    assert changes(watch.check(90_010.0)) == ["recovering"]
    assert watch.check(90_020.0) == []
    assert watch.only.status is IncidentStatus.CLOSED
    assert changes(watch.check(90_030.0, problem(kind=kind, since=80_000.0))) == ["IncidentOpened"]


def test_what_a_person_closed_opens_again_if_it_gets_worse_or_comes_back_soon() -> None:
    watch = Watch()
    watch.check(100.0, problem())
    closed_by_person(watch, 110.0)
    worse = problem(severity=ProblemSeverity.PAGE)
    assert changes(watch.check(120.0, worse)) == ["reopened", "worsened"]
    closed_by_person(watch, 130.0)
    assert watch.check(140.0, worse) == []
    assert changes(watch.check(150.0)) == ["recovering"]
    assert changes(watch.check(160.0, worse)) == ["reopened"]
    assert not watch.only.has_ended


def test_what_a_person_closed_before_the_clock_was_set_back_stays_closed() -> None:
    watch = Watch()
    watch.check(100_000.0, problem(since=99_990.0))
    closed_by_person(watch, 50.0)
    assert watch.check(60.0, problem(since=99_990.0)) == []


def test_a_stage_that_fails_and_is_stale_is_about_what_is_left() -> None:
    watch = Watch()
    failed = problem(severity=ProblemSeverity.PAGE)
    stale = problem(kind=ProblemKind.STALE_STAGE)
    watch.check(100.0, failed, stale)
    assert (watch.only.cause.kind, watch.only.severity) == ("failed stage", "page")
    # It fails no more, but its data are still too old.
    assert changes(watch.check(110.0, stale)) == ["moved"]
    state = watch.only
    assert (state.cause.kind, state.severity) == ("stale stage", "ticket")
    assert (state.consequences, [each.kind for each in state.former]) == ((), ["failed stage"])
    assert state.stages == ("features",)
    # It fails once more, which is why it is stale.
    assert changes(watch.check(120.0, failed, stale)) == ["moved", "worsened"]
    state = watch.only
    assert (state.cause.kind, state.severity) == ("failed stage", "page")
    assert ([each.kind for each in state.consequences], state.former) == (["stale stage"], ())
    assert watch.check(130.0, failed, stale) == []
    # The other way round: the data are new enough, but it fails.
    assert watch.check(140.0, failed) == []
    assert watch.only.cause.kind == "failed stage"
    assert changes(watch.check(150.0)) == ["recovering"]
    assert changes(watch.check(160.0, stale)) == ["relapsed"]
    assert changes(watch.check(170.0)) == ["recovering"]
    assert changes(watch.check(180.0, stale, failed)) == ["relapsed", "worsened"]
    assert [each.kind for each in watch.only.consequences] == ["stale stage"]


def test_incidents_of_other_environments_stay_as_they_are() -> None:
    watch = Watch()
    watch.check(100.0, problem())
    check = ProblemCheck(environment="dev", now=900.0, seq=1)
    assert next_incidents(watch.states.values(), check) == ()


def test_a_clock_that_was_set_back_keeps_nothing_open() -> None:
    assert elapsed(10.0, 4.0) == elapsed(4.0, 10.0) == 6.0
    watch = Watch()
    watch.check(100.0, problem())
    watch.check(110.0)
    # By a little: it waits for its time, and no longer than twice that.
    assert watch.check(105.0) == []
    assert changes(watch.check(50.0)) == ["IncidentClosed"]


def test_no_incident_ends_before_it_began() -> None:
    watch = Watch()
    watch.check(100_000.0, problem(since=99_000.0))
    assert changes(watch.check(100.0)) == ["recovering"]
    [closed] = watch.check(200.0)
    assert closed.recovered == 99_000.0


PROBLEMS = [
    problem("raw"),
    problem("features"),
    problem("raw", ProblemKind.BROKEN_CONTRACT),
    problem("raw", ProblemKind.STALE_STAGE),
    problem("features", ProblemKind.STALE_STAGE),
    problem("model", ProblemKind.STALE_STAGE, severity=ProblemSeverity.PAGE),
    problem("model", ProblemKind.OBJECTIVE_BREACH),
    replace(problem("", ProblemKind.DISK_SPACE), stage=""),
]
CHECKS = st.lists(
    st.tuples(
        st.floats(0.0, 400.0),
        st.sets(st.integers(0, len(PROBLEMS) - 1)),
        st.booleans(),
        st.booleans(),
    ),
    max_size=25,
)


def resume(watch: Watch) -> Watch:
    """The same ledger, read by a process that starts."""
    again = Watch(facts=watch.facts)
    again.states = fold_incidents(watch.facts)
    assert again.states == watch.states
    return again


@given(CHECKS)
def test_each_problem_is_covered_by_one_incident_and_all_close(
    checks: list[tuple[float, set[int], bool, bool]],
) -> None:
    watch, now = Watch(), 100.0
    began: dict[int, float] = {}
    for pause, wrong, restarts, twice in checks:
        now += pause
        began = {number: began.get(number, now) for number in wrong}
        problems = [replace(PROBLEMS[number], since=began[number]) for number in sorted(wrong)]
        before = {key for state in watch.states.values() if state.is_open for key in state.members}
        if restarts:
            watch = resume(watch)
        if twice:
            # The events of another process, which read the same ledger, are the same; one of both appends.
            known = ProblemCheck(
                environment=PROD,
                now=now,
                seq=len(watch.facts),
                problems=problems,
                upstream=UPSTREAM,
            )
            first = next_incidents(watch.states.values(), known, RULES)
            assert first == next_incidents([*watch.states.values()][::-1], known, RULES)
        events = watch.check(now, *problems)
        # What is wrong is in an incident that is open, and nothing was opened for what was in one.
        active = [s for s in watch.states.values() if s.status is IncidentStatus.OPEN]
        assert {p.key for p in problems} <= {key for s in active for key in s.members}
        opened = [event.incident for event in events if isinstance(event, IncidentOpened)]
        assert not {incident.cause.key for incident in opened} & before
        keys = [
            key for each in opened for key in (each.cause.key, *(c.key for c in each.consequences))
        ]
        assert len(keys) == len({*keys})
        # No cause is a consequence as well.
        assert not any(s.cause.key in {c.key for c in s.consequences} for s in active)
        assert all(
            {s.cause.key, *(each.key for each in (*s.consequences, *s.former))} == s.members
            for s in active
        )
        # Each open incident has a problem now, and a check that sees the same changes nothing.
        assert all(s.members & {p.key for p in problems} for s in active)
        assert watch.check(now, *problems) == [] or not problems
    watch.check(now + 1.0)
    watch.check(now + 2.0 + RULES.hold_s)
    assert all(state.status is IncidentStatus.CLOSED for state in watch.states.values())
    for state in watch.states.values():
        assert state.incident.since <= state.incident.detected
        closing = [f for f in state.events if isinstance(f.event, IncidentClosed)]
        assert all(
            f.event.recovered <= f.at for f in closing if isinstance(f.event, IncidentClosed)
        )
        reopened = [
            f for f in state.events
            if isinstance(f.event, IncidentChanged) and f.event.change is IncidentChange.REOPENED
        ]  # fmt: skip
        assert len(closing) == len(reopened) + 1


JUMPS = st.lists(
    st.tuples(
        st.floats(-1_000.0, 1_000.0),
        st.sets(st.integers(0, len(PROBLEMS) - 1)),
        st.booleans(),
    ),
    max_size=25,
)


@given(JUMPS)
def test_people_and_clocks_that_jump_do_no_harm(
    checks: list[tuple[float, set[int], bool]],
) -> None:
    """What a person closed stays closed while its problems last; nothing ends before it began."""
    watch, now = Watch(), 100_000.0
    for jump, wrong, closes in checks:
        now += jump
        # Those that began are known by when they began first, whatever the clock said then.
        problems = [replace(PROBLEMS[number], since=90.0) for number in sorted(wrong)]
        keys = {each.key for each in problems}
        answered = [
            state.id
            for state in watch.states.values()
            if state.is_answered and state.members & keys
            if not any(p.severity == "page" and p.key in state.members for p in problems)
        ]
        watch.check(now, *problems)
        assert all(watch.states[id].is_answered for id in answered)
        active = [state for state in watch.states.values() if state.is_open]
        covered = {key for state in active for key in state.members}
        assert keys <= covered | {
            key for s in watch.states.values() if s.is_answered for key in s.members
        }
        assert all(
            fact.event.recovered >= state.incident.since
            for state in watch.states.values()
            for fact in state.events
            if isinstance(fact.event, IncidentClosed)
        )
        # Problems that recover may be closed by the next check at once, if the clock jumped.
        watch.check(now, *problems)
        assert watch.check(now, *problems) == []
        assert fold_incidents(watch.facts) == watch.states
        for state in active if closes else ():
            known = watch.states[state.id]
            if known.is_open:
                end = IncidentClosed(
                    environment=PROD, incident=state.id, how=ClosingReason.BY_PERSON,
                    recovered=max(now, known.bad_since), actor="ana", reason="known",
                )  # fmt: skip
                watch.append(now, [end])
                # What a check would open again now was there before.
                assert watch.check(now, *problems) == []


def test_the_cause_is_shown_as_it_is_now() -> None:
    watch = Watch()
    watch.check(100.0, problem())
    [state] = watch.states.values()
    now = replace(problem(), title="fails in another way", evidence={"run": "r2"})
    shown = shown_incident(state, [problem("labels"), now])
    assert (shown.cause.title, shown.cause.evidence) == ("fails in another way", {"run": "r2"})
    assert shown_incident(state, [problem("labels")]) == state
