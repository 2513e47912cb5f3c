"""What a rollout does, what it waits for, and what would end it, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tidemill.core.figures import approximate_seconds
from tidemill.ledger.rollout import EndpointStatus, Phase
from tidemill.serving.step_text import phase_text


def rollout_text(status: EndpointStatus) -> str:
    """The rollout of an endpoint in short; "-" without one."""
    if not status.candidate:
        return "-"
    held = ", held" if status.held else ""
    return f"{phase_text(status.phase, status.share)} of {status.candidate}{held}"


def doing_text(status: EndpointStatus) -> str:
    """What the candidate does with requests."""
    return {
        Phase.SHADOW: "computes all requests without answering",
        Phase.CANARY: f"answers {100 * status.share:g} % of the requests",
    }.get(status.phase, "answers all requests")


def next_step_text(status: EndpointStatus, now: float, shown: Callable[[float], str]) -> str:
    """What the next step of a rollout waits for; `shown` writes a time."""
    if status.held:
        return "held by a person"
    if status.judged and status.requests < status.needed:
        return f"not enough traffic to judge: {_missing(status, now)}"
    if not status.judged:
        return f"not before {shown(status.until)}"
    if now < status.until:
        return f"in {approximate_seconds(status.until - now)}, if it isn't worse"
    return "at the next look"


def _missing(status: EndpointStatus, now: float) -> str:
    """The requests that a step needs, and how long that takes if they go on as until now."""
    text = f"{status.requests:,} of about {status.needed:,} requests"
    if not status.requests or now <= status.step_since:
        return text
    rest_s = (now - status.step_since) * (status.needed / status.requests - 1)
    return f"{text}; at this rate in {approximate_seconds(max(rest_s, status.until - now))}"


def gate_limits(status: EndpointStatus) -> Mapping[str, float]:
    """The evidence of each gate with which it would send the candidate back, if the others stayed."""
    values = status.evidence
    missing = status.limit * len(values) - sum(values.values())
    return {gate: missing + value for gate, value in values.items()}
