"""Endpoints that serve a model's predictions, and the rollout of its new versions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tidemill.core.callsite import caller
from tidemill.core.errors import raise_faults
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_number, parse_seconds
from tidemill.workflow.prediction_log import RequestLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """How a new version of a model takes over an endpoint: shadow, canary steps, all requests.

    `canary` are the shares of requests that the new version answers, step by step; the last is 1. A step
    lasts `step_s`, and longer while it hasn't had enough requests to find an additional share `detect` of
    failed ones. `alpha` bounds the probability of rolling back a version that isn't worse. `slower` and
    `shift` are the factors by which slow requests and outputs of one kind may be more frequent than
    before.
    """

    shadow_s: float = 1_800.0
    canary: tuple[float, ...] = (0.05, 0.25, 1.0)
    step_s: float = 1_800.0
    alpha: float = 0.05
    detect: float = 0.02
    slower: float = 2.0
    shift: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A name under which a server answers requests with an approved model.

    `features` is the stage that computes the model's inputs from a request, "" if requests have them.
    Without a `rollout` a new version answers all requests at once; without a `log` no request is kept.
    """

    name: str
    model: str
    features: str = ""
    rollout: Rollout | None = None
    log: RequestLog | None = None
    place: str = ""


def rollout(
    *,
    shadow: str | float | None = "30m",
    canary: Sequence[float] = (0.05, 0.25, 1.0),
    step: str | float = "30m",
    alpha: float = 0.05,
    detect: float = 0.02,
    slower: float = 2.0,
    shift: float = 2.0,
) -> Rollout:
    """Let a new version of a model take over an endpoint step by step, and roll it back if it is worse.

    - `shadow`: how long the new version computes the same requests first, without answering; None: not
      at all.
    - `canary`: the shares of requests that it answers then, in increasing order. The last one is 1, and
      may be left out.
    - `step`: how long each share below 1 lasts at least. Durations are seconds, or text such as "30m".
    - `alpha`: the probability, over the whole rollout, of rolling back a version that isn't worse.
    - `detect`: a step also lasts until it has had enough requests to find this additional share of
      failed ones, so that silence never promotes a version.
    - `slower`: the version is worse if it is this many times as often slower than the 99th percentile of
      the version before, by more than a millisecond.
    - `shift`: the version is worse if outputs in a tenth of the former outputs' range become this many
      times as frequent, or as rare.

    Raises DeclarationError for invalid values.
    """
    faults: list[str] = []
    shadow_s = 0.0 if shadow is None else _seconds("shadow", shadow, faults)
    step_s = _seconds("step", step, faults)
    shares = _shares(canary, faults)
    if shadow is None and shares == (1.0,):
        faults.append(
            "without shadow= and shares below 1 there is nothing to roll out; leave rollout= out"
        )
    for name, value in (("alpha", alpha), ("detect", detect)):
        if not (is_number(value) and 0 < value < 1):
            faults.append(f"{name}={value!r} is not between 0 and 1")
    for name, value in (("slower", slower), ("shift", shift)):
        if not (is_number(value) and 1 <= value < 1e6):
            faults.append(f"{name}={value!r} is not a factor of at least 1, such as 2.0")
    raise_faults("tm.rollout", faults, caller(1))
    return Rollout(
        shadow_s=shadow_s,
        canary=shares,
        step_s=step_s,
        alpha=float(alpha),
        detect=float(detect),
        slower=float(slower),
        shift=float(shift),
    )


def _seconds(name: str, length: str | float, faults: list[str]) -> float:
    try:
        return parse_seconds(length)
    except ValueError as error:
        faults.append(f"{name}={error}")
        return 0.0


def _shares(canary: object, faults: list[str]) -> tuple[float, ...]:
    """The shares of the canary steps, ending with 1."""
    if isinstance(canary, str) or not isinstance(canary, Sequence):
        faults.append(f"canary={canary!r} is not a list of shares such as [0.05, 0.25, 1.0]")
        return (1.0,)
    wrong = [share for share in canary if not (is_number(share) and 0 < share <= 1)]
    faults += [f"canary: {share!r} is not a share between 0 and 1" for share in wrong]
    if wrong:
        return (1.0,)
    shares = tuple(float(share) for share in canary)
    if any(one >= two for one, two in pairwise(shares)):
        faults.append(f"canary={list(canary)!r}: each share must be larger than the one before")
    return shares if shares[-1:] == (1.0,) else (*shares, 1.0)
