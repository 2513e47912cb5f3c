"""Which version an endpoint answers with: follow what is live in the ledger, at once or by a rollout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from tidemill.core.errors import UsageError
from tidemill.ledger.delivery import Delivery
from tidemill.ledger.event import RecordedEvent, RolloutStepped
from tidemill.ledger.rollout import Phase, RolloutAction, RolloutStep
from tidemill.serving.rollout import RolloutState, advance, begin, end, hold, restore, resume
from tidemill.serving.rollout_counts import Observed
from tidemill.workflow.endpoint import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """What an endpoint does: answers with the version `serving`, and rolls out another, if there is one.

    `last` is the endpoint's last recorded step. `records` are the steps that were taken just now.
    """

    serving: str = ""
    rollout: RolloutState | None = None
    last: RolloutStep | None = None
    records: tuple[RolloutStep, ...] = ()


def last_steps(
    facts: Iterable[RecordedEvent], ours: Callable[[str, int], bool]
) -> dict[str, RolloutStep]:
    """Return the last step of each endpoint, of the events (oldest first) of `ours`.

    A hold counts until somebody resumes, also if a server took a step before it knew of the hold.
    """
    found: dict[str, RolloutStep] = {}
    for fact in facts:
        event = fact.event
        if isinstance(event, RolloutStepped) and ours(event.environment, fact.seq):
            found[event.endpoint] = _still_held(found.get(event.endpoint), event.step)
    return found


def _still_held(before: RolloutStep | None, step: RolloutStep) -> RolloutStep:
    if before is None or before.action is not RolloutAction.HELD:
        return step
    if step.action is not RolloutAction.PROMOTED or step.candidate != before.candidate:
        return step
    return replace(step, action=before.action, actor=before.actor, reason=before.reason)


def steps_of(
    facts: Iterable[RecordedEvent], endpoint: str, ours: Callable[[str, int], bool]
) -> tuple[RolloutStep, ...]:
    """Return all steps of an endpoint, oldest first, of the events of `ours`."""
    return tuple(
        fact.event.step
        for fact in facts
        if isinstance(fact.event, RolloutStepped)
        and fact.event.endpoint == endpoint
        and ours(fact.event.environment, fact.seq)
    )


def after_restart(last: RolloutStep | None, plan: Rollout | None) -> EndpointState:
    """Return what an endpoint did before its server was restarted."""
    if last is None:
        return EndpointState()
    # Without a plan nothing is rolled out any more: `follow_live` completes what was.
    rollout = None if plan is None else restore(last, plan)
    return EndpointState(serving=last.served, rollout=rollout, last=last)


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
        if version == rollout.candidate and not live.rollback:
            return before
        ended = _end(rollout, live, plan, now)
        before = EndpointState(serving=before.serving, last=ended, records=(ended,))
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
    return EndpointState(serving=step.served, rollout=state, last=step, records=(step,))


def pause(
    before: EndpointState, plan: Rollout, now: float, *, held: bool, actor: str, reason: str = ""
) -> EndpointState:
    """Hold the rollout, or resume it; UsageError if there is none, nothing if it is done already."""
    if before.rollout is None:
        raise UsageError("no rollout is under way")
    if before.rollout.held is held:
        return replace(before, records=())
    change = hold if held else resume
    state, step = change(before.rollout, plan, now, actor=actor, reason=reason)
    return EndpointState(serving=before.serving, rollout=state, last=step, records=(step,))


def _switch(
    before: EndpointState, live: Delivery, plan: Rollout | None, now: float
) -> EndpointState:
    """Answer with the live version at once, or begin its rollout."""
    version = live.artifact.id
    if plan is None or live.rollback or before.serving in ("", version):
        step = _at_once(before, live, now)
        return EndpointState(serving=version, last=step, records=(*before.records, step))
    state, step = begin(
        model=live.name, candidate=version, incumbent=before.serving, plan=plan, now=now
    )
    return EndpointState(
        serving=before.serving, rollout=state, last=step, records=(*before.records, step)
    )


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
    back = live.artifact.id == rollout.incumbent
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
