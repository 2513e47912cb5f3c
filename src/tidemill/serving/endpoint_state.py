"""Which version an endpoint answers with: follow what is live in the ledger, at once or by a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.delivery import Delivery
from tidemill.ledger.rollout import Phase, RolloutAction, RolloutStep
from tidemill.serving.endpoint_record import EndpointRecord
from tidemill.serving.rollout import (
    RolloutCourse,
    RolloutState,
    advance,
    begin,
    end,
    hold,
    restore,
    resume,
    suspend,
    take_over,
)
from tidemill.serving.rollout_counts import Observed
from tidemill.workflow.endpoint import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """What an endpoint does: answers with the version `serving`, and rolls out another, if there is one.

    `since` is when that version took over (Unix seconds), 0 if unknown. `last` is the last step of a server,
    `records` are those that were taken just now.
    """

    serving: str = ""
    since: float = 0.0
    rollout: RolloutState | None = None
    last: RolloutStep | None = None
    records: tuple[RolloutStep, ...] = ()

    @property
    def course(self) -> EndpointCourse:
        """What it does, without what was observed."""
        course = None if self.rollout is None else self.rollout.course
        return EndpointCourse(
            serving=self.serving, since=self.since, rollout=course, last=self.last
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointCourse:
    """What an endpoint does, as other processes need it: without the evidence, which one process judges."""

    serving: str = ""
    since: float = 0.0
    rollout: RolloutCourse | None = None
    last: RolloutStep | None = None

    @property
    def state(self) -> EndpointState:
        """The state, with a rollout of which nothing was observed."""
        rollout = None if self.rollout is None else RolloutState(course=self.rollout)
        return EndpointState(
            serving=self.serving, since=self.since, rollout=rollout, last=self.last
        )


def recorded_state(record: EndpointRecord | None, plan: Rollout | None) -> EndpointState:
    """Return what an endpoint does by its record: without what was observed since then."""
    if record is None:
        return EndpointState()
    last, held = record.last, record.hold is not None
    # Without a plan nothing is rolled out any more: `follow_live` completes what was.
    rollout = None if plan is None else restore(last, plan, held=held)
    return EndpointState(serving=last.served, since=record.since, rollout=rollout, last=last)


def taken_over(
    record: EndpointRecord | None, live: Delivery | None, plan: Rollout | None, now: float
) -> EndpointState:
    """Return what an endpoint does when its server begins to judge; it records that a rollout continues."""
    found = recorded_state(record, plan)
    if record is None or live is None or found.rollout is None or plan is None:
        return found
    if live.artifact.id != found.rollout.course.candidate or live.rollback:
        # Something else went live meanwhile, which ends the rollout.
        return found
    continued = take_over(record.last, plan, now, held=record.hold is not None)
    assert continued is not None
    state, step = continued
    return replace(found, rollout=state, last=step, records=(step,))


def followed_state(
    record: EndpointRecord | None, live: Delivery, plan: Rollout | None
) -> EndpointState:
    """Return what an endpoint does in a server that doesn't judge: what is recorded, and no step of its own.

    It doesn't wait for the record of what happens at once, such as a rollback by a person.
    """
    known = recorded_state(record, plan)
    found = replace(follow_live(known, live, plan, live.at), records=())
    return found if found.rollout is None else known


def follow_live(
    before: EndpointState, live: Delivery, plan: Rollout | None, now: float
) -> EndpointState:
    """Return what an endpoint does now that a version is live.

    A version that a person went back to, the first version, and every version without a `plan` answer all
    requests at once. A version that was rolled back stays so until it is delivered again.
    """
    version, rollout = live.artifact.id, before.rollout
    before = replace(before, records=())
    if _is_settled(before, live):
        return before
    if rollout is not None and plan is not None:
        if version == rollout.course.candidate and not live.rollback:
            return before
        ended = _end(rollout, live, plan, now)
        before = replace(before, rollout=None, last=ended, records=(ended,))
    if version == before.serving and not _is_open(before.last):
        return before
    return _switch(before, live, plan, now)


def judge(
    before: EndpointState, observed: Observed, now: float, plan: Rollout | None
) -> EndpointState:
    """Return what an endpoint does after it observed requests since the last call."""
    quiet = replace(before, records=())
    if before.rollout is None or plan is None:
        return quiet
    state, step = advance(before.rollout, observed, now, plan)
    if step is None:
        return replace(quiet, rollout=state)
    since = step.at if step.action is RolloutAction.COMPLETED else before.since
    return EndpointState(
        serving=step.served, since=since, rollout=state, last=step, records=(step,)
    )


def suspended(before: EndpointState, plan: Rollout | None, now: float) -> EndpointState:
    """Return the state with a record of the evidence of its rollout, because its server stops."""
    if before.rollout is None or plan is None:
        return replace(before, records=())
    step = suspend(before.rollout, plan, now)
    return replace(before, last=step, records=(step,))


def pause(
    before: EndpointState,
    plan: Rollout,
    now: float,
    *,
    held: bool,
    actor: str,
    reason: str = "",
    note: str = "",
) -> RolloutStep | None:
    """Return the step that holds or resumes the rollout; None if that is done. UsageError without one."""
    if before.rollout is None:
        raise UsageError("no rollout is under way")
    if before.rollout.course.held is held:
        return None
    change = hold if held else resume
    step = change(before.rollout, plan, now, actor=actor, reason=reason)[1]
    return replace(step, note=note)


def _switch(
    before: EndpointState, live: Delivery, plan: Rollout | None, now: float
) -> EndpointState:
    """Answer with the live version at once, or begin its rollout."""
    version = live.artifact.id
    if plan is None or live.rollback or before.serving in ("", version):
        step = _at_once(before, live, now)
        return EndpointState(serving=version, since=now, last=step, records=(*before.records, step))
    state, step = begin(
        model=live.name, candidate=version, incumbent=before.serving, plan=plan, now=now
    )
    return replace(before, rollout=state, last=step, records=(*before.records, step))


def _is_open(last: RolloutStep | None) -> bool:
    return last is not None and not last.is_end


def _is_settled(before: EndpointState, live: Delivery) -> bool:
    """Whether the live version was rolled back here, and nobody delivered it again since then."""
    last = before.last
    return (
        last is not None
        and last.action is RolloutAction.ROLLED_BACK
        and last.candidate == live.artifact.id
        and live.at <= last.at
    )


def _end(rollout: RolloutState, live: Delivery, plan: Rollout, now: float) -> RolloutStep:
    back = live.artifact.id == rollout.course.incumbent
    reason = live.reason or f"{live.artifact.id} went live"
    action = RolloutAction.ROLLED_BACK if back else RolloutAction.REPLACED
    return end(rollout, plan, now, action, actor=live.actor, reason=reason)


def _at_once(before: EndpointState, live: Delivery, now: float) -> RolloutStep:
    if not before.serving:
        why = "the first version here"
    elif live.rollback:
        why = "rollback"
    else:
        why = "without a rollout"
    return RolloutStep(
        model=live.name,
        candidate=live.artifact.id,
        incumbent=before.serving,
        action=RolloutAction.COMPLETED,
        phase=Phase.FULL,
        share=1.0,
        at=now,
        since=now,
        actor=live.actor,
        reason=f"{why}: {live.reason}" if live.reason else why,
    )


def moves_back(step: RolloutStep, live: Mapping[str, Delivery]) -> bool:
    """Whether what is live must move back to the incumbent, because its candidate was rolled back."""
    now = live.get(step.model)
    return (
        step.action is RolloutAction.ROLLED_BACK
        and now is not None
        and now.artifact.id == step.candidate
        and now.at <= step.at
    )
