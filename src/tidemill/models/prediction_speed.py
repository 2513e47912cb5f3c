"""Judge what predicting takes: the fastest of several repetitions of each call, and their CPU time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.gate import GateResult
from tidemill.workflow.model_gates import CostPer1k, LatencyLimit

# The calls that are measured, and how often each is repeated; fewer where they would take longer together.
CALLS, LEAST_CALLS, REPEATS = 200, 20, 5
BUDGET_S = 20.0
_WARM_UPS = 3

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionSpeed:
    """The seconds of each call of `rows` rows, at its fastest, and the CPU seconds of a row."""

    calls: tuple[float, ...]
    cpu_s: float
    rows: int

    @property
    def p99(self) -> float:
        """The 99th percentile of the calls in seconds; NaN if one of them isn't known."""
        if not self.calls or not all(map(math.isfinite, self.calls)):
            return math.nan
        return sorted(self.calls)[math.ceil(0.99 * len(self.calls)) - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuPrice:
    """The price of a CPU hour; 0 if none is set."""

    hour: float = 0.0
    currency: str = "USD"


def measure_calls(
    function: Callable[[Any], Any], inputs: Sequence[Any], rows: int, wall: Clock, cpu: Clock
) -> PredictionSpeed:
    """Call a prediction function on inputs of so many rows, several times each.

    `wall` and `cpu` are clocks in seconds. Interruptions only ever add time, so that the fastest repetition
    of a call is the best estimate of what it takes.
    """
    begun = wall()
    for given in inputs[:_WARM_UPS]:
        function(given)
    each = max(wall() - begun, 1e-9) / max(1, len(inputs[:_WARM_UPS]))
    affordable = int(BUDGET_S / (each * REPEATS))
    some = inputs[: max(LEAST_CALLS, min(CALLS, affordable))]
    fastest = [math.inf] * len(some)
    least_cpu = math.inf
    for _ in range(REPEATS):
        cpu_before = cpu()
        for at, given in enumerate(some):
            before = wall()
            function(given)
            fastest[at] = min(fastest[at], wall() - before)
        least_cpu = min(least_cpu, cpu() - cpu_before)
    return PredictionSpeed(calls=tuple(fastest), cpu_s=least_cpu / (len(some) * rows), rows=rows)


def calls_of(given: Any, rows: int) -> list[Any]:
    """The inputs of up to 200 calls of so many rows, from the rows of a model's input, in turn."""
    height = len(given)
    starts = range(min(CALLS, max(LEAST_CALLS, height)))
    positions = [np.arange(start * rows, (start + 1) * rows) % height for start in starts]
    return [given[at] for at in positions]


def judge_latency(gate: LatencyLimit, speed: PredictionSpeed) -> GateResult:
    """Judge the 99th percentile of the calls."""
    p99 = speed.p99 * 1e3
    calls = f"{plural(len(speed.calls), 'call')} of {plural(gate.rows, 'row')}"
    evidence = f"p99 {p99:.3g} ms, at most {gate.p99_ms:g} ms ({calls}, fastest of {REPEATS})"
    passed = math.isfinite(p99) and p99 <= gate.p99_ms
    return GateResult(gate=str(gate), passed=passed, evidence=evidence)


def judge_cost(gate: CostPer1k, speed: PredictionSpeed, price: CpuPrice) -> GateResult:
    """Judge what the CPU time of 1,000 predictions costs."""
    if not (math.isfinite(price.hour) and price.hour > 0):
        return GateResult(
            gate=str(gate), passed=False, unknown=True,
            evidence="no price is set ([tool.tidemill] cpu_hour): not enough data to tell",
        )  # fmt: skip
    seconds = speed.cpu_s * 1000
    cost = seconds / 3600 * price.hour
    evidence = (
        f"{cost:.3g} {price.currency} for 1,000 predictions, at most {gate.most:g} "
        f"({seconds:.3g} s of CPU at {price.hour:g} an hour)"
    )
    # A product of tiny numbers is 0, whatever their signs.
    passed = math.isfinite(cost) and seconds >= 0 and cost <= gate.most
    return GateResult(gate=str(gate), passed=passed, evidence=evidence)
