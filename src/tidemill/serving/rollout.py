"""The rollout of a new version at an endpoint: shadow, canary steps, all requests, or back.

A step is over when its time is over and it had enough requests to find the additional share `detect` of
failed ones. Evidence of at least 1 / alpha that the candidate is worse ends the rollout at any time.
"""

from __future__ import annotations

import math
from dataclasses import field, replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.rollout import ROLLOUT, Phase, RolloutAction, RolloutStep
from tidemill.serving.buckets import quantile
from tidemill.serving.e_process import ALTERNATIVES, FIRST, expected_evidence
from tidemill.serving.rollout_counts import Arm, Observed
from tidemill.serving.rollout_evidence import GATES, RolloutEvidence
from tidemill.workflow.endpoint import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A step of a plan: the candidate answers `share` of the requests for at least `least_s` seconds."""

    phase: Phase
    share: float
    least_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutCourse:
    """How far a rollout is: in step number `step` of its plan since `since` (Unix seconds)."""

    model: str
    candidate: str
    incumbent: str
    step: int
    since: float
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RolloutState:
    """A rollout that is under way, and what was observed of it; `totals` are the requests of this step."""

    course: RolloutCourse
    evidence: RolloutEvidence = field(default_factory=RolloutEvidence)
    totals: Observed = field(default_factory=Observed)

    def with_hold(self, held: bool) -> RolloutState:
        """Return the rollout with or without a person's hold."""
        return replace(self, course=replace(self.course, held=held))


def planned_steps(plan: Rollout) -> tuple[PlannedStep, ...]:
    """Return the steps of a rollout; with the last one it is complete."""
    shadow = PlannedStep(phase=Phase.SHADOW, share=0.0, least_s=plan.shadow_s)
    shares = [
        PlannedStep(
            phase=Phase.CANARY if share < 1 else Phase.FULL, share=share, least_s=plan.step_s
        )
        for share in plan.canary
    ]
    return (shadow, *shares) if plan.shadow_s else tuple(shares)


def begin(
    *, model: str, candidate: str, incumbent: str, plan: Rollout, now: float
) -> tuple[RolloutState, RolloutStep]:
    """Begin the rollout of a candidate."""
    course = RolloutCourse(model=model, candidate=candidate, incumbent=incumbent, step=0, since=now)
    state = RolloutState(course=course)
    return state, _record(state, plan, now, RolloutAction.STARTED)


def advance(
    state: RolloutState, observed: Observed, now: float, plan: Rollout
) -> tuple[RolloutState | None, RolloutStep | None]:
    """Judge what was observed since the last call; return the new state, and the step if one was taken.

    The state is None when the rollout has ended. A step to the next share begins at `now`, so what is
    observed until the server uses the new share must be passed before.
    """
    course = state.course
    here = planned_steps(plan)[course.step]
    shadow = here.phase is Phase.SHADOW
    kept = _without_outputs(observed)
    state = replace(
        state,
        evidence=state.evidence.add(observed, plan, shadow=shadow),
        totals=state.totals + kept,
    )
    if state.evidence.total >= 1 / plan.alpha:
        reason = describe_evidence(state, plan)
        return None, _record(state, plan, now, RolloutAction.ROLLED_BACK, reason=reason)
    if course.held or now < course.since + here.least_s or not has_enough_traffic(state, plan):
        return state, None
    later = replace(
        state,
        course=replace(course, step=course.step + 1, since=now),
        evidence=state.evidence.next_step(),
        totals=Observed(),
    )
    if planned_steps(plan)[later.course.step].phase is Phase.FULL:
        return None, _record(state, plan, now, RolloutAction.COMPLETED)
    return later, _record(state, plan, now, RolloutAction.PROMOTED, into=later)


def hold(
    state: RolloutState, plan: Rollout, now: float, *, actor: str, reason: str = ""
) -> tuple[RolloutState, RolloutStep]:
    """Keep the candidate at its share until a person resumes; it is still rolled back if it is worse."""
    held = state.with_hold(True)
    return held, _record(held, plan, now, RolloutAction.HELD, actor=actor, reason=reason)


def resume(
    state: RolloutState, plan: Rollout, now: float, *, actor: str, reason: str = ""
) -> tuple[RolloutState, RolloutStep]:
    """Let a rollout go on that was held; the time of its step went on meanwhile."""
    going = state.with_hold(False)
    return going, _record(going, plan, now, RolloutAction.RESUMED, actor=actor, reason=reason)


def end(
    state: RolloutState,
    plan: Rollout,
    now: float,
    action: RolloutAction,
    *,
    actor: str = ROLLOUT,
    reason: str = "",
) -> RolloutStep:
    """Record that a rollout ends because something else moved what is live."""
    return _record(state, plan, now, action, actor=actor, reason=reason)


def restore(last: RolloutStep, plan: Rollout, *, held: bool = False) -> RolloutState | None:
    """Return the state of a rollout as its last recorded step has it; None if it has ended.

    What was observed since then isn't part of it, so it is in the same step, with the evidence up to the
    record.
    """
    if last.is_end:
        return None
    steps = planned_steps(plan)
    # The plan may have changed: never more requests than before, and a last step is still to come.
    fit = [number for number, step in enumerate(steps[:-1]) if step.share <= last.share]
    course = RolloutCourse(
        model=last.model,
        candidate=last.candidate,
        incumbent=last.incumbent,
        step=max(fit, default=0),
        since=last.since,
        held=held,
    )
    earlier = {gate: float(last.evidence.get(gate, 1.0)) for gate in GATES}
    return RolloutState(course=course, evidence=RolloutEvidence(earlier=earlier))


def suspend(state: RolloutState, plan: Rollout, now: float) -> RolloutStep:
    """Record the evidence up to now, because the server that judges stops."""
    return _record(state, plan, now, RolloutAction.SUSPENDED)


def take_over(
    last: RolloutStep, plan: Rollout, now: float, *, held: bool = False
) -> tuple[RolloutState, RolloutStep] | None:
    """Continue a rollout that another server judged, or this one before it was started again.

    What that one observed after the last record is lost. Its evidence counts as the least that it can have
    been. None if the rollout has ended.
    """
    state = restore(last, plan, held=held)
    if state is None:
        return None
    reason = ""
    if last.action is not RolloutAction.SUSPENDED:
        state = replace(state, evidence=state.evidence.after_loss())
        reason = "the server that judged it is gone, with the evidence since its last step"
    return state, _record(state, plan, now, RolloutAction.CONTINUED, reason=reason)


def needed_requests(state: RolloutState, plan: Rollout) -> int:
    """How many requests the candidate needs in this step until it can be judged.

    With so many, a candidate that fails the additional share `detect` of its requests would be found more
    often than not.
    """
    ours, theirs = state.totals.candidate, state.totals.control
    share = _share(ours, theirs, planned_steps(plan)[state.course.step])
    rate = theirs.error_share
    # Of one request of the candidate, and of those of the control that come with it.
    worse = min(1.0, rate + plan.detect)
    one = expected_evidence(worse, rate * (1 - share) / share, share)
    limit = math.log(len(GATES) * ALTERNATIVES.size / (FIRST * plan.alpha))
    # Where the control fails always, nothing could be worse.
    return math.ceil(limit / one) if one > 1e-12 else ours.requests + 1


def has_enough_traffic(state: RolloutState, plan: Rollout) -> bool:
    """Whether both versions answered enough requests in this step to judge the candidate."""
    totals = state.totals
    if not (totals.candidate.requests and totals.control.requests):
        return False
    return totals.candidate.requests >= needed_requests(state, plan)


def describe_evidence(state: RolloutState, plan: Rollout) -> str:
    """Describe the evidence against a candidate in a sentence."""
    gate, value = max(state.evidence.values.items(), key=lambda item: item[1])
    ours, theirs = state.totals.candidate, state.totals.control
    seen = {
        "errors": f"{_part(ours.errors, ours)} failed, {_part(theirs.errors, theirs)} of the version before",
        "outside": (
            f"{_part(ours.outside, ours)} were outside of the bounds, "
            f"{_part(theirs.outside, theirs)} of the version before"
        ),
        "slow": f"it is slow more than {plan.slower:g} times as often as the version before",
        "shift": f"a kind of outputs is {plan.shift:g} times as frequent as before, or as rare",
    }[gate]
    total = f"evidence {state.evidence.total:,.3g} of {1 / plan.alpha:,.3g}"
    return f"{gate}: {seen} in this step ({total}; {gate} {value:,.3g})"


def _part(count: int, arm: Arm) -> str:
    return f"{count:,} of {arm.requests:,} answers"


def _share(ours: Arm, theirs: Arm, step: PlannedStep) -> float:
    """The candidate's share of the requests that judge it: as observed, before that as planned."""
    if ours.requests and theirs.requests:
        return ours.requests / (ours.requests + theirs.requests)
    return step.share if step.phase is Phase.CANARY else 0.5


def _without_outputs(observed: Observed) -> Observed:
    return replace(
        observed,
        candidate=replace(observed.candidate, outputs=()),
        control=replace(observed.control, outputs=()),
    )


_SHARES = {
    RolloutAction.COMPLETED: 1.0, RolloutAction.ROLLED_BACK: 0.0, RolloutAction.REPLACED: 0.0,
}  # fmt: skip


def _record(
    state: RolloutState,
    plan: Rollout,
    now: float,
    action: RolloutAction,
    *,
    into: RolloutState | None = None,
    actor: str = ROLLOUT,
    reason: str = "",
) -> RolloutStep:
    steps, then = planned_steps(plan), into or state
    totals = state.totals
    return RolloutStep(
        model=state.course.model,
        candidate=state.course.candidate,
        incumbent=state.course.incumbent,
        action=action,
        phase=steps[then.course.step].phase,
        share=_SHARES.get(action, steps[then.course.step].share),
        at=now,
        since=then.course.since,
        requests=totals.candidate.requests,
        control_requests=totals.control.requests,
        evidence=state.evidence.values,
        total=state.evidence.total,
        figures=_figures(totals),
        actor=actor,
        reason=reason,
    )


def _figures(totals: Observed) -> dict[str, float]:
    ours, theirs, pairs = totals.candidate, totals.control, totals.comparison
    if not (ours.requests or theirs.requests):
        return {}
    found: dict[str, float] = {
        "errors": ours.errors,
        "control_errors": theirs.errors,
        "outside": ours.outside,
        "control_outside": theirs.outside,
    }
    if pairs.pairs:
        found |= {"changed_share": pairs.changed_share, "largest_difference": pairs.largest}
    found["p99_s"] = quantile(ours.latency, 0.99)
    found["control_p99_s"] = quantile(theirs.latency, 0.99)
    # What isn't known, or has no bounds, can't be recorded.
    return {name: value for name, value in found.items() if math.isfinite(value)}
