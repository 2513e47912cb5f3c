"""The rollout of a new version at an endpoint: shadow, canary steps, all requests, or back.

A step is over when its time is over and it had enough requests to find the additional share `detect` of
failed ones. Evidence of at least 1 / alpha that the candidate is worse ends the rollout at any time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RolloutState:
    """A rollout that is under way: step number `step` since `since` (Unix seconds).

    `totals` are the requests of this step.
    """

    model: str
    candidate: str
    incumbent: str
    step: int
    since: float
    evidence: RolloutEvidence = field(default_factory=RolloutEvidence)
    totals: Observed = field(default_factory=Observed)
    held: bool = False


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
    state = RolloutState(model=model, candidate=candidate, incumbent=incumbent, step=0, since=now)
    return state, _record(state, plan, now, RolloutAction.STARTED)


def advance(
    state: RolloutState, observed: Observed, now: float, plan: Rollout
) -> tuple[RolloutState | None, RolloutStep | None]:
    """Judge what was observed since the last call; return the new state, and the step if one was taken.

    The state is None when the rollout has ended. A step to the next share begins at `now`, so what is
    observed until the server uses the new share must be passed before.
    """
    here = planned_steps(plan)[state.step]
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
    if state.held or now < state.since + here.least_s or not has_enough_traffic(state, plan):
        return state, None
    later = replace(
        state,
        step=state.step + 1,
        since=now,
        evidence=state.evidence.next_step(),
        totals=Observed(),
    )
    if planned_steps(plan)[later.step].phase is Phase.FULL:
        return None, _record(state, plan, now, RolloutAction.COMPLETED)
    return later, _record(state, plan, now, RolloutAction.PROMOTED, into=later)


def hold(
    state: RolloutState, plan: Rollout, now: float, *, actor: str, reason: str = ""
) -> tuple[RolloutState, RolloutStep]:
    """Keep the candidate at its share until a person resumes; it is still rolled back if it is worse."""
    held = replace(state, held=True)
    return held, _record(held, plan, now, RolloutAction.HELD, actor=actor, reason=reason)


def resume(
    state: RolloutState, plan: Rollout, now: float, *, actor: str, reason: str = ""
) -> tuple[RolloutState, RolloutStep]:
    """Let a rollout go on that was held; the time of its step went on meanwhile."""
    going = replace(state, held=False)
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


def restore(last: RolloutStep, plan: Rollout) -> RolloutState | None:
    """Return the state of a rollout after a restart, from its last recorded step; None if it has ended.

    It continues in the same step, with the evidence of the steps before. What was observed in this step is
    lost, so it needs its traffic once more.
    """
    if last.is_end:
        return None
    steps = planned_steps(plan)
    # The plan may have changed: never more requests than before, and a last step is still to come.
    fit = [number for number, step in enumerate(steps[:-1]) if step.share <= last.share]
    earlier = {gate: float(last.evidence.get(gate, 1.0)) for gate in GATES}
    return RolloutState(
        model=last.model,
        candidate=last.candidate,
        incumbent=last.incumbent,
        step=max(fit, default=0),
        since=last.since,
        evidence=RolloutEvidence(earlier=earlier),
        held=last.action is RolloutAction.HELD,
    )


def needed_requests(state: RolloutState, plan: Rollout) -> int:
    """How many requests the candidate needs in this step until it can be judged.

    With so many, a candidate that fails the additional share `detect` of its requests would be found more
    often than not.
    """
    ours, theirs = state.totals.candidate, state.totals.control
    share = _share(ours, theirs, planned_steps(plan)[state.step])
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
        model=state.model,
        candidate=state.candidate,
        incumbent=state.incumbent,
        action=action,
        phase=steps[then.step].phase,
        share=_SHARES.get(action, steps[then.step].share),
        at=now,
        since=then.since,
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
