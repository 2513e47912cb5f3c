"""Simulated canaries: many rollouts at once, looked at every second, under this gate and three others.

A canary of 10 % for an hour. All four gates see requests: errors, outputs outside of the bounds, slow
answers, and tenths of the outputs; only the rate of errors differs in a regression. Counts are drawn for each
second and judged as `RolloutEvidence` judges them, for all rollouts in one array; `agrees` compares both.
The other gates are rules of our own in the style of known ones, looked at every minute.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tidemill.serving.e_process import ALTERNATIVES, FIRST, LATER, log_ratios
from tidemill.serving.rollout import advance, begin, planned_steps
from tidemill.serving.rollout_counts import Arm, Observed
from tidemill.serving.rollout_evidence import LEAST_REQUESTS, RolloutEvidence
from tidemill.workflow.endpoint import Rollout

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHARE, MINUTES, ALPHA = 0.1, 60, 0.05
ERRORS, OUTSIDE, SLOW, TENTHS = 0.005, 0.001, 0.005, 10
PLAN = Rollout(alpha=ALPHA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """When each simulated rollout went back, in seconds; infinity if it never did."""

    at: Floats

    @property
    def share(self) -> float:
        """The share that went back, in percent."""
        return 100 * float(np.isfinite(self.at).mean())

    @property
    def median_s(self) -> float:
        """The median seconds until they went back; infinity if most didn't."""
        return float(np.median(self.at))


def hours(rps: float, ratio: float, simulations: int, seed: int) -> dict[str, Outcome]:
    """Simulate canaries with `ratio` times the errors of the control, under each gate."""
    rng = np.random.default_rng(seed)
    gate = Evidence(simulations)
    others = {name: Minutes(simulations, name) for name in ("z", "flagger", "argo")}
    minute = np.zeros((4, simulations), np.int64)
    for second in range(1, 60 * MINUTES + 1):
        total = rng.poisson(rps, simulations)
        ours = rng.binomial(total, SHARE)
        theirs = total - ours
        errors = rng.binomial(ours, ERRORS * ratio), rng.binomial(theirs, ERRORS)
        gate.look(rng, second, (ours, theirs), errors)
        minute += np.stack([ours, theirs, *errors])
        if second % 60 == 0:
            for rule in others.values():
                rule.look(second, minute)
            minute[:] = 0
    found = {name: Outcome(at=rule.at) for name, rule in others.items()}
    return {"evidence": Outcome(at=gate.at), **found}


class Evidence:
    """The gate of `tidemill.serving`, for many rollouts at once."""

    def __init__(self, simulations: int) -> None:
        self.at = np.full(simulations, np.inf)
        self.pending = np.zeros((2, 3, simulations), np.int64)
        self.requests = np.zeros((2, simulations), np.int64)
        self.rates = np.zeros((3, simulations, ALTERNATIVES.size))
        self.shifts = np.zeros((2 * TENTHS, simulations, ALTERNATIVES.size))
        self.batches = np.zeros(simulations, np.int64)

    def look(
        self,
        rng: np.random.Generator,
        now: int,
        requests: tuple[Ints, Ints],
        errors: tuple[Ints, Ints],
    ) -> None:
        """Judge one more second; the events of the other gates are equally frequent in both versions."""
        self.requests += np.stack(requests)
        for arm, count in enumerate(requests):
            outside, slow = rng.binomial(count, OUTSIDE), rng.binomial(count, SLOW)
            self.pending[arm] += np.stack([errors[arm], outside, slow])
        full = np.flatnonzero((self.requests >= LEAST_REQUESTS).all(axis=0))
        if not full.size:
            return
        self.batches[full] += 1
        share = self.requests[0, full] / self.requests[:, full].sum(axis=0)
        factors = np.array([[1.0], [1.0], [PLAN.slower]])
        logs = log_ratios(self.pending[0][:, full], self.pending[1][:, full], share, factors)
        self._bet(self.rates, full, logs)
        self._bet(self.shifts, full, self._shift_logs(rng, full, share))
        self.pending[:, :, full], self.requests[:, full] = 0, 0
        total = (self._value(self.rates).sum(axis=0) + self._value(self.shifts).mean(axis=0)) / 4
        self.at[(total >= 1 / ALPHA) & np.isinf(self.at)] = now

    def _shift_logs(self, rng: np.random.Generator, full: Ints, share: Floats) -> Floats:
        even = np.full(TENTHS, 1 / TENTHS)
        ours, theirs = (rng.multinomial(self.requests[arm, full], even).T for arm in (0, 1))
        rises = log_ratios(ours, theirs, share, PLAN.shift)
        return np.concatenate([rises, log_ratios(theirs, ours, 1 - share, PLAN.shift)])

    def _bet(self, sums: Floats, full: Ints, logs: Floats) -> None:
        number = self.batches[full]
        stake = np.where(number == 1, FIRST, LATER / np.maximum(number * (number - 1), 1))
        sums[:, full] = np.minimum((sums[:, full] + stake[:, None]) * np.exp(logs), 1e200)

    def _value(self, sums: Floats) -> Floats:
        rest = np.where(
            self.batches == 0, 1.0, 1 - FIRST - LATER + LATER / np.maximum(self.batches, 1)
        )
        found: Floats = sums.mean(axis=-1) + rest
        return found


class Minutes:
    """A rule that looks at the counts of each minute: "z", "flagger" or "argo".

    - z: the candidate's errors are more frequent, one-sided p < 0.05, of all requests until then.
    - flagger: the candidate's success rate of a minute is below 99 %, for the fifth time.
    - argo: its error rate of a minute is 1.5 times the control's, for the third time.
    """

    def __init__(self, simulations: int, rule: str) -> None:
        self.at = np.full(simulations, np.inf)
        self.rule = rule
        self.sums = np.zeros((4, simulations))
        self.failed = np.zeros(simulations, np.int64)

    def look(self, now: int, minute: Ints) -> None:
        """Judge one more minute."""
        self.sums += minute
        ours, theirs, errors, others = self.sums if self.rule == "z" else minute
        one, two = errors / np.maximum(ours, 1), others / np.maximum(theirs, 1)
        if self.rule == "z":
            pooled = (errors + others) / np.maximum(ours + theirs, 1)
            parts = 1 / np.maximum(ours, 1) + 1 / np.maximum(theirs, 1)
            error = np.sqrt(pooled * (1 - pooled) * parts)
            back = one - two > 1.6449 * np.maximum(error, 1e-12)
        elif self.rule == "flagger":
            self.failed += (one > 0.01) & (ours > 0)
            back = self.failed >= 5
        else:
            self.failed += one > 1.5 * two
            back = self.failed >= 3
        self.at[back & np.isinf(self.at)] = now


def agrees(rps: float, seed: int) -> float:
    """The largest relative difference between the arrays here and `RolloutEvidence`, in errors."""
    rng = np.random.default_rng(seed)
    here, there, worst = Evidence(1), RolloutEvidence(), 0.0
    for second in range(1, 600):
        requests = np.array([rng.poisson(rps * SHARE)]), np.array([rng.poisson(rps * (1 - SHARE))])
        errors = rng.binomial(requests[0], 0.02), rng.binomial(requests[1], ERRORS)
        here.look(rng, second, requests, errors)
        arms = [
            Arm(requests=int(count[0]), errors=int(failed[0]))
            for count, failed in zip(requests, errors, strict=True)
        ]
        there = there.add(Observed(candidate=arms[0], control=arms[1]), PLAN, shadow=False)
        value = there.values["errors"]
        worst = max(worst, abs(float(here._value(here.rates)[0, 0]) / value - 1))
    return worst


def whole_rollouts(rps: float, simulations: int, seed: int) -> tuple[int, int]:
    """Run whole rollouts of equal versions; return how many went back, and how many were completed."""
    plan = replace(PLAN, shadow_s=600.0, step_s=1200.0)
    ended = [
        _whole_rollout(plan, rps, np.random.default_rng([seed, n])) for n in range(simulations)
    ]
    return ended.count("rolled_back"), ended.count("completed")


def _whole_rollout(plan: Rollout, rps: float, rng: np.random.Generator) -> str:
    state, _ = begin(model="m", candidate="b", incumbent="a", plan=plan, now=0.0)
    for minute in range(1, 10_000):
        share = planned_steps(plan)[state.course.step].share
        total = int(rng.poisson(60 * rps))
        ours = int(rng.binomial(total, share)) if share else total
        arms = _arm(rng, ours), _arm(rng, total - ours if share else total)
        found, record = advance(
            state, Observed(candidate=arms[0], control=arms[1]), 60.0 * minute, plan
        )
        if found is None:
            assert record is not None
            return str(record.action)
        state = found
    return "endless"


def _arm(rng: np.random.Generator, requests: int) -> Arm:
    slow = int(rng.binomial(requests, SLOW))
    outputs = rng.normal(size=min(requests, 50)).tolist()
    return Arm(
        requests=requests,
        errors=int(rng.binomial(requests, ERRORS)),
        outside=int(rng.binomial(requests, OUTSIDE)),
        latency=(*[0] * 6, requests - slow, *[0] * 11, slow),
        outputs=tuple(outputs),
    )
