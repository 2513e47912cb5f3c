"""Decide which incidents open, change and close, by the problems that there are now."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from math import inf
from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.incident import (
    ClosingReason,
    FollowingProblem,
    Incident,
    IncidentCause,
    IncidentChange,
)
from tidemill.ledger.incident_events import IncidentChanged, IncidentClosed, IncidentOpened
from tidemill.operations.incident import IncidentState, IncidentStatus
from tidemill.operations.problem import Problem, ProblemKind, ProblemSeverity

IncidentEvent: TypeAlias = IncidentOpened | IncidentChanged | IncidentClosed

# From the least to the most severe.
SEVERITIES = (ProblemSeverity.NOTE, ProblemSeverity.TICKET, ProblemSeverity.PAGE)
# Problems that a check finds. People open the others.
FOUND_KINDS = frozenset(ProblemKind) - {ProblemKind.REPORTED}
# Problems that follow from others upstream, or from what is wrong with the whole installation.
_EFFECTS = frozenset((ProblemKind.STALE_STAGE, ProblemKind.OBJECTIVE_BREACH))
_OF_ALL = frozenset((ProblemKind.SUPERVISOR_DOWN, ProblemKind.DISK_SPACE))
# Which problem of one stage follows from which, in this order.
_RANKS = {
    ProblemKind.BROKEN_CONTRACT: 0,
    ProblemKind.FAILED_STAGE: 1,
    ProblemKind.STALE_STAGE: 2,
    ProblemKind.OBJECTIVE_BREACH: 3,
}
# All but the last, which measures what the others cause.
_CAUSES = frozenset(_RANKS) - {ProblemKind.OBJECTIVE_BREACH}
# Their beginning moves while they last, so that a later one doesn't show that they began once more.
_MOVING = frozenset((
    ProblemKind.STALE_STAGE, ProblemKind.OBJECTIVE_BREACH, ProblemKind.ANOMALY,
    ProblemKind.DISK_SPACE, ProblemKind.BUDGET,
))  # fmt: skip
_RETRIED = frozenset((
    ProblemKind.FAILED_STAGE, ProblemKind.BROKEN_CONTRACT, ProblemKind.FAILED_DELIVERY,
    ProblemKind.LOST_RUN,
))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRules:
    """When an incident is over: without a problem for `hold_s`, or after `successes` runs in a row.

    If one of its problems is back within `reopen_s` of its end, the same incident continues.
    """

    hold_s: float = 300.0
    successes: int = 2
    reopen_s: float = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryFacts:
    """What happened to stages: when their last runs succeeded, without a failure since, oldest first.

    `changed` is when their code changed last, `rolled_back` when an earlier version went live.
    """

    successes: Mapping[str, Sequence[float]] = field(default_factory=dict)
    changed: Mapping[str, float] = field(default_factory=dict)
    rolled_back: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemCheck:
    """The problems of an environment that were found at `now`, after the event number `seq`.

    Only problems of these `kinds` were looked for: nothing is known about others. `upstream` are all stages
    that a stage depends on.
    """

    environment: str
    now: float
    seq: int
    problems: Sequence[Problem] = ()
    kinds: frozenset[ProblemKind] = FOUND_KINDS
    upstream: Mapping[str, frozenset[str]] = field(default_factory=dict)
    facts: RecoveryFacts = field(default_factory=RecoveryFacts)


def elapsed(now: float, then: float) -> float:
    """The seconds between two times, whichever is later.

    So what waits for a time to pass waits for at most twice that time if the clock is set back.
    """
    return abs(now - then)


def next_incidents(
    known: Iterable[IncidentState], check: ProblemCheck, rules: IncidentRules | None = None
) -> tuple[IncidentEvent, ...]:
    """The events that bring the known incidents up to date with a check.

    Each problem is part of one open incident: of the one that it is part of already, of that of the problem
    that caused it, or of its own. A person's end of an incident holds until its problems begin once more.
    """
    rules = rules or IncidentRules()
    own = sorted(
        (state for state in known if state.environment == check.environment),
        key=lambda state: state.opened,
    )
    placed = _placed(own, check, rules)
    by_id = {state.id: state for state in own}
    events: list[IncidentEvent] = []
    for id, problems in placed.items():
        if id in by_id:
            events += _continued(by_id[id], problems, check)
        else:
            events.append(_opened(id, problems, check))
    found = {problem.key for problem in check.problems}
    for state in own:
        if state.id in placed or not _is_known_to_be_gone(state, check):
            continue
        if state.is_open:
            events += _recovered(state, check, rules)
        elif state.is_answered and not state.members & found:
            events.append(_change(state, IncidentChange.RECOVERING, check.now))
    return tuple(events)


def shown_incident(state: IncidentState, problems: Iterable[Problem]) -> IncidentState:
    """An incident with its cause as it is among the problems of now: with the last run, for example.

    Its events tell of the cause as it was when it became the cause.
    """
    causes = (_cause(each) for each in problems if state.is_open and each.key == state.cause.key)
    return replace(state, cause=next(causes, state.cause))


def _placed(
    own: Sequence[IncidentState], check: ProblemCheck, rules: IncidentRules
) -> dict[str, list[Problem]]:
    """The problems by the id of their incident, the first of each is its cause if it is new."""
    homes: dict[str, str] = {}
    ended: dict[str, IncidentState] = {}
    for state in own:
        for key in state.members:
            if state.is_open:
                homes.setdefault(key, state.id)
            else:
                ended[key] = state
    placed: dict[str, list[Problem]] = {}
    ordered = _ordered(check)
    causes = [each for each in ordered if each.kind in _CAUSES | _OF_ALL]
    for problem in ordered:
        last = ended.get(problem.key)
        if problem.key not in homes:
            if last is not None and _is_answered(last, problem):
                continue
            homes[problem.key] = _home(problem, last, causes, homes, check, rules)
        placed.setdefault(homes[problem.key], []).append(problem)
    return placed


def _home(
    problem: Problem,
    last: IncidentState | None,
    causes: Sequence[Problem],
    homes: Mapping[str, str],
    check: ProblemCheck,
    rules: IncidentRules,
) -> str:
    if last is not None and elapsed(check.now, last.closed_at or 0.0) < rules.reopen_s:
        return last.id
    found = [cause for cause in causes if _follows(problem, cause, check) and cause.key in homes]
    if found:
        return homes[min(found, key=lambda cause: cause.kind in _OF_ALL).key]
    return _id_of(problem.key, check.seq)


def _ordered(check: ProblemCheck) -> list[Problem]:
    """The problems, each once and after those that it may follow from."""

    def place(problem: Problem) -> tuple[bool, int, int, float, str]:
        depth = len(check.upstream.get(problem.stage, ()))
        rank = _RANKS.get(problem.kind, 0)
        return problem.kind in _EFFECTS, depth, rank, problem.since, problem.key

    unique = {problem.key: problem for problem in sorted(check.problems, key=place, reverse=True)}
    return sorted(unique.values(), key=place)


def _follows(problem: Problem, cause: Problem, check: ProblemCheck) -> bool:
    if cause.key == problem.key:
        return False
    if cause.kind in _OF_ALL:
        return problem.kind in _EFFECTS
    if not problem.stage or problem.kind not in _RANKS:
        return False
    if cause.stage == problem.stage:
        return _RANKS[cause.kind] < _RANKS[problem.kind]
    return problem.kind in _EFFECTS and cause.stage in check.upstream.get(problem.stage, ())


def _is_answered(state: IncidentState, problem: Problem) -> bool:
    """Whether a person closed the incident while this problem was there already, and no worse than now."""
    if not state.is_answered or _rank(problem.severity) > _rank(state.severity):
        return False
    known_at = max(state.closed_at or 0.0, state.bad_since)
    return problem.kind in _MOVING or problem.since <= known_at


def _opened(id: str, problems: Sequence[Problem], check: ProblemCheck) -> IncidentOpened:
    first, *others = problems
    incident = Incident(
        id=id,
        cause=_cause(first),
        severity=_worst(problems),
        since=min(first.since, check.now),
        detected=check.now,
        consequences=tuple(map(_consequence, others)),
    )
    return IncidentOpened(environment=check.environment, incident=incident)


def _continued(
    state: IncidentState, problems: Sequence[Problem], check: ProblemCheck
) -> Iterator[IncidentChanged]:
    """How an incident changes that has problems now."""
    began = min(check.now, *(problem.since for problem in problems))
    lead = _lead(state, problems, check)
    worst = _worst(problems)
    has_moved = lead.key != state.cause.key
    # The cause so far, if it lasts and follows from what is the cause now.
    still = tuple(
        _consequence(each) for each in problems if each.key == state.cause.key != lead.key
    )
    milder = worst if has_moved and _rank(worst) < _rank(state.severity) else ""
    is_back = state.status is not IncidentStatus.OPEN
    if is_back or (has_moved and state.cause.kind in check.kinds):
        change, since = IncidentChange.MOVED, check.now
        if is_back:
            is_closed = state.status is IncidentStatus.CLOSED
            change = IncidentChange.REOPENED if is_closed else IncidentChange.RELAPSED
            since = max(began, state.recovered or began)
        # The cause as it is now: with the last run, for example.
        yield _change(state, change, since, severity=milder, cause=_cause(lead), consequences=still)
    added = [problem for problem in problems if problem.key not in state.members]
    if added:
        yield _change(
            state, IncidentChange.GREW, check.now, consequences=tuple(map(_consequence, added))
        )
    if _rank(worst) > _rank(state.severity):
        yield _change(state, IncidentChange.WORSENED, check.now, severity=worst)


def _lead(state: IncidentState, problems: Sequence[Problem], check: ProblemCheck) -> Problem:
    """The problem that an incident is about now: its cause, unless one that caused it is there again."""
    first = [
        each
        for each in problems
        if not any(_follows(each, other, check) for other in problems if other.key in state.members)
    ]
    return max(first or problems, key=lambda each: _closeness(each, state))


def _closeness(problem: Problem, state: IncidentState) -> tuple[bool, bool, int]:
    """How well a problem stands for an incident: its cause, what was part of it before, the most severe."""
    is_cause = problem.key == state.cause.key
    return is_cause, problem.key in state.members, _rank(problem.severity)


def _change(
    state: IncidentState,
    change: IncidentChange,
    since: float,
    *,
    severity: str = "",
    cause: IncidentCause | None = None,
    consequences: tuple[FollowingProblem, ...] = (),
) -> IncidentChanged:
    return IncidentChanged(
        environment=state.environment, incident=state.id, change=change, since=since,
        severity=severity, cause=cause, consequences=consequences,
    )  # fmt: skip


def _is_known_to_be_gone(state: IncidentState, check: ProblemCheck) -> bool:
    """Whether the check looked for all that the incident consists of."""
    kinds = {state.cause.kind, *(each.kind for each in (*state.consequences, *state.former))}
    return kinds <= {str(kind) for kind in check.kinds}


def _recovered(
    state: IncidentState, check: ProblemCheck, rules: IncidentRules
) -> Iterator[IncidentChanged | IncidentClosed]:
    """What happens to an incident without problems: it recovers first, and is closed if that holds."""
    successes = [
        at
        for at in check.facts.successes.get(state.cause.stage, ())
        if state.bad_since <= at <= check.now
    ]
    since = state.recovered
    if since is None:
        # A clock that was set back must not make it end before it began.
        since = successes[0] if successes else max(check.now, state.bad_since)
        yield _change(state, IncidentChange.RECOVERING, since)
    seen = since if successes or state.recovered is not None else check.now
    held = elapsed(check.now, seen) >= rules.hold_s
    if held or len([at for at in successes if at >= since]) >= rules.successes:
        how = _closing_reason(state, check, has_succeeded=bool(successes))
        yield IncidentClosed(
            environment=state.environment, incident=state.id, how=how, recovered=since
        )


def _closing_reason(
    state: IncidentState, check: ProblemCheck, *, has_succeeded: bool
) -> ClosingReason:
    stage, facts = state.cause.stage, check.facts
    began = state.incident.since
    if facts.rolled_back.get(stage, -inf) >= began:
        return ClosingReason.ROLLED_BACK
    concerned = (stage, *check.upstream.get(stage, ()))
    if any(facts.changed.get(name, -inf) >= began for name in concerned):
        return ClosingReason.FIXED
    if has_succeeded and state.cause.kind in _RETRIED:
        return ClosingReason.RETRIED
    return ClosingReason.RECOVERED


def _cause(problem: Problem) -> IncidentCause:
    return IncidentCause(
        key=problem.key,
        kind=str(problem.kind),
        title=problem.title,
        stage=problem.stage,
        evidence=dict(problem.evidence),
        command=problem.command,
    )


def _consequence(problem: Problem) -> FollowingProblem:
    return FollowingProblem(
        key=problem.key, kind=str(problem.kind), title=problem.title, stage=problem.stage
    )


def _worst(problems: Iterable[Problem]) -> str:
    return str(max((problem.severity for problem in problems), key=_rank))


def _rank(severity: str) -> int:
    return SEVERITIES.index(ProblemSeverity(severity))


def _id_of(key: str, seq: int) -> str:
    """An id of an incident that a check opens: the same for two checks of the same events."""
    return f"i{hashlib.sha256(f'{seq} {key}'.encode()).hexdigest()[:10]}"
