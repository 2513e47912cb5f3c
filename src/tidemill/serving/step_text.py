"""Steps of rollouts as text, for people and for the log of a server."""

from __future__ import annotations

from tidemill.ledger.rollout import Phase, RolloutAction, RolloutStep

_DONE = {
    RolloutAction.STARTED: "rollout started",
    RolloutAction.PROMOTED: "more requests",
    RolloutAction.COMPLETED: "answers all requests",
    RolloutAction.ROLLED_BACK: "rolled back",
    RolloutAction.REPLACED: "replaced by another version",
    RolloutAction.HELD: "held",
    RolloutAction.RESUMED: "resumed",
    RolloutAction.SUSPENDED: "suspended, because the server stopped",
    RolloutAction.CONTINUED: "continued by another server, or after a restart",
}
# Steps after which the share of the candidate is of interest.
_WITH_SHARE = (RolloutAction.STARTED, RolloutAction.PROMOTED, RolloutAction.CONTINUED)


def phase_text(phase: Phase, share: float) -> str:
    """The phase of a rollout, with the share of the candidate."""
    return f"canary {100 * share:g} %" if phase is Phase.CANARY else str(phase)


def step_done(step: RolloutStep) -> str:
    """What a step did, and in which phase the rollout is then."""
    done = _DONE[step.action]
    if step.action in _WITH_SHARE:
        return f"{done}: {phase_text(step.phase, step.share)}"
    return done


def logged_step(step: RolloutStep) -> str:
    """A step for the log of a server: without who did it, which may be a person."""
    against = f" instead of {step.incumbent}" if step.incumbent else ""
    seen = ""
    if step.evidence:
        gates = ", ".join(f"{gate} {value:.3g}" for gate, value in step.evidence.items())
        seen = (
            f" ({step.requests:,} requests, {step.control_requests:,} of the version before; "
            f"evidence {step.total:.3g}: {gates})"
        )
    reason = f": {step.reason}" if step.reason else ""
    return f"{step.candidate}{against} {step_done(step)}{seen}{reason}"
