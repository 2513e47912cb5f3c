"""Count what the requests to two versions do, until the next look at a rollout."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from tidemill.serving.buckets import LATENCY_BUCKETS, latency_bucket
from tidemill.serving.output_bounds import OutputBounds
from tidemill.serving.rollout_counts import (
    Arm,
    Observed,
    Output,
    OutputComparison,
    compare_outputs,
)

# Outputs that are kept of each version between two looks; later ones say nothing about the earlier.
MOST_OUTPUTS = 1_000


class ArmTally:
    """Counts the requests that one version answered. Not for several threads at once."""

    __slots__ = ("_errors", "_latency", "_outputs", "_outside", "_requests")

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._requests = self._errors = self._outside = 0
        self._latency = [0] * LATENCY_BUCKETS
        self._outputs: list[Output] = []

    def fail(self) -> None:
        """Count a request that the version failed."""
        self._requests += 1
        self._errors += 1

    def answer(self, output: Output, *, outside: bool, nanoseconds: int | None = None) -> None:
        """Count an answered request, with its first prediction and the time of its computation.

        `nanoseconds` is None for an answer from a cache. `outside` says whether any prediction of it was.
        """
        self._requests += 1
        self._outside += outside
        if nanoseconds is not None:
            self._latency[latency_bucket(nanoseconds)] += 1
        if len(self._outputs) < MOST_OUTPUTS:
            self._outputs.append(output)

    def take(self) -> Arm:
        """Return the counts since the last call."""
        found = Arm(
            requests=self._requests,
            errors=self._errors,
            outside=self._outside,
            latency=tuple(self._latency),
            outputs=tuple(self._outputs),
        )
        self._start()
        return found


class RolloutTally:
    """Counts the requests to a candidate and to the version before.

    In the shadow phase count a request for both, or for neither: `pair` does that.
    """

    __slots__ = ("_bounds", "_comparison", "candidate", "control")

    def __init__(self, bounds: OutputBounds) -> None:
        self._bounds = bounds
        self._comparison = OutputComparison()
        self.candidate = ArmTally()
        self.control = ArmTally()

    def answer(
        self, outputs: Sequence[Output], *, candidate: bool, nanoseconds: int | None = None
    ) -> None:
        """Count an answer with one or more predictions, of the candidate or the version before."""
        arm = self.candidate if candidate else self.control
        arm.answer(outputs[0], outside=self._are_outside(outputs), nanoseconds=nanoseconds)

    def pair(self, control: Sequence[Output] | None, candidate: Sequence[Output] | None) -> None:
        """Count a request that both computed, in the shadow phase; None for a version that failed it."""
        for arm, outputs in ((self.control, control), (self.candidate, candidate)):
            if outputs is None:
                arm.fail()
            else:
                arm.answer(outputs[0], outside=self._are_outside(outputs))
        if control is not None and candidate is not None:
            self._comparison += compare_outputs(control, candidate)

    def take(self) -> Observed:
        """Return what was counted since the last call."""
        found = Observed(
            candidate=self.candidate.take(),
            control=self.control.take(),
            comparison=self._comparison,
        )
        self._comparison = OutputComparison()
        return found

    def _are_outside(self, outputs: Sequence[Output]) -> bool:
        return any(map(self._bounds.exclude, islice(outputs, MOST_OUTPUTS)))
