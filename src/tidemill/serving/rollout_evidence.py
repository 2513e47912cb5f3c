"""Evidence that a candidate is worse than the version before, by gate, over all steps of a rollout.

Four gates have an equal part of alpha: their evidence is averaged, and the average is an e-process, too.

- errors: the candidate fails a larger share of its requests.
- outside: it predicts values outside of the declared bounds more often.
- slow: it is `slower` times as often slower than the 99th percentile of the control, by more than a
  millisecond. The percentile is that of earlier batches, and the control's own share above it is judged
  with the same requests, so that hours with more load are no evidence.
- shift: one kind of outputs (a tenth of the range, or a class) is `shift` times as frequent as the control's
  outputs of that kind, or as rare. A tenth is compared with a slightly wider one, because the outputs of
  a retrained model differ a little. Each kind has a series for either, and their evidence is averaged.

Requests are judged in batches with some requests of each version. When a batch ends depends on the numbers
of requests alone. Each step starts its own series, and the evidence of all steps is multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

import numpy as np

from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.buckets import latency_bucket, latency_ends
from tidemill.serving.e_process import LEAST, EProcesses, Floats, log_ratios
from tidemill.serving.output_bins import OutputBins
from tidemill.serving.rollout_counts import Arm, Observed, Output, add_counts
from tidemill.workflow.endpoint import Rollout

ERRORS, OUTSIDE, SLOW, SHIFT = GATES = ("errors", "outside", "slow", "shift")
# The fewest requests of each version in a batch. With fewer, a batch's share says too little.
LEAST_REQUESTS = 10
# A batch begins again after so many requests without any of the other version, such as all from one caller:
# they are of another time than those to come.
_MOST_ALONE = 1_000
_MOST_OUTPUTS = 5_000
# What is known of the control before a percentile of its latency, or kinds of its outputs, are chosen.
_REFERENCE = 200
_PERCENTILE = 0.99
# What the candidate may be slower: nobody notices less, and a bucket's end may lie between both versions.
_MARGIN_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RolloutEvidence:
    """The evidence of the current step, and that of the steps before (`earlier`).

    `pending` are the requests of the batch that has begun, `latency` and `outputs` what is known of the
    control from the batches before.
    """

    earlier: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(GATES, 1.0))
    pending: Observed = field(default_factory=Observed)
    rates: EProcesses = field(default_factory=lambda: EProcesses.start(3))
    shifts: EProcesses | None = None
    bins: OutputBins | None = None
    latency: tuple[int, ...] = ()
    outputs: tuple[Output, ...] = ()

    def add(self, observed: Observed, plan: Rollout, *, shadow: bool) -> RolloutEvidence:
        """Return the evidence with what was observed since the last look.

        In the `shadow` phase latency isn't judged: the candidate computes beside the replies.
        """
        pending = self.pending + observed
        fewer, more = sorted((pending.candidate.requests, pending.control.requests))
        if not fewer and more > _MOST_ALONE:
            return replace(self, pending=Observed())
        if fewer < LEAST_REQUESTS:
            return replace(self, pending=_with_recent_outputs(pending))
        ours, theirs = pending.candidate, pending.control
        logs = np.stack(
            [
                _rate_logs(ours.errors, theirs.errors, ours.requests, theirs.requests),
                _rate_logs(ours.outside, theirs.outside, ours.requests, theirs.requests),
                np.zeros_like(self.rates.sums[2])
                if shadow
                else self._slow_logs(ours, theirs, plan.slower),
            ]
        )
        judged = replace(self, pending=Observed(), rates=self.rates.add(logs))
        return judged._with_shift(ours, theirs, plan.shift)._with_reference(theirs)

    def next_step(self) -> RolloutEvidence:
        """Return the evidence at the beginning of the next step."""
        return RolloutEvidence(
            earlier=self.values,
            shifts=None if self.bins is None else EProcesses.start(self.bins.size, 2),
            bins=self.bins,
            latency=self.latency,
            outputs=self.outputs,
        )

    def after_loss(self) -> RolloutEvidence:
        """Return the least that the evidence can be after requests whose evidence was lost.

        Whatever they were, they reduced the evidence of each gate to a quarter at most. To go on with less
        than what it was keeps the bound on false rollbacks; to go on as if there had been none would not: it
        would judge twice by alpha.
        """
        return RolloutEvidence(earlier={gate: LEAST * one for gate, one in self.values.items()})

    @property
    def values(self) -> dict[str, float]:
        """The evidence of each gate, over all steps until now."""
        shift = 1.0 if self.shifts is None else float(self.shifts.values.mean())
        now = (*(float(value) for value in self.rates.values), shift)
        return {gate: self.earlier[gate] * one for gate, one in zip(GATES, now, strict=True)}

    @property
    def total(self) -> float:
        """The evidence of all gates together: 1 / alpha or more means that the candidate is worse."""
        return sum(self.values.values()) / len(GATES)

    def _slow_logs(self, ours: Arm, theirs: Arm, factor: float) -> Floats:
        if sum(self.latency) < _REFERENCE:
            return np.zeros_like(self.rates.sums[2])
        shares = np.cumsum(self.latency) / sum(self.latency)
        limit = int(np.searchsorted(shares, _PERCENTILE))
        slow = sum(ours.latency[_tolerated(limit) + 1 :]), sum(theirs.latency[limit + 1 :])
        return _rate_logs(*slow, sum(ours.latency), sum(theirs.latency), factor)

    def _with_shift(self, ours: Arm, theirs: Arm, factor: float) -> RolloutEvidence:
        if self.bins is None or self.shifts is None or not (ours.outputs and theirs.outputs):
            return self
        one, wide_one = self.bins.counts(ours.outputs)
        two, wide_two = self.bins.counts(theirs.outputs)
        share = len(ours.outputs) / (len(ours.outputs) + len(theirs.outputs))
        both = [
            log_ratios(one, wide_two, share, factor),
            log_ratios(two, wide_one, 1 - share, factor),
        ]
        return replace(self, shifts=self.shifts.add(np.stack(both, axis=1)))

    def _with_reference(self, theirs: Arm) -> RolloutEvidence:
        known = replace(self, latency=add_counts(self.latency, theirs.latency))
        if self.bins is not None:
            return known
        outputs = self.outputs + theirs.outputs
        if len(outputs) < _REFERENCE:
            return replace(known, outputs=outputs)
        bins = OutputBins.of(outputs)
        return replace(known, bins=bins, shifts=EProcesses.start(bins.size, 2), outputs=())


def _with_recent_outputs(pending: Observed) -> Observed:
    """A batch that grows for long keeps only the last outputs."""
    ours, theirs = pending.candidate, pending.control
    return replace(
        pending,
        candidate=replace(ours, outputs=ours.outputs[-_MOST_OUTPUTS:]),
        control=replace(theirs, outputs=theirs.outputs[-_MOST_OUTPUTS:]),
    )


def _tolerated(limit: int) -> int:
    """The last bucket of the candidate that isn't slow, if `limit` is that of the control."""
    ends = latency_ends()
    if limit >= len(ends):
        return limit
    return max(limit + 1, latency_bucket(round(1e9 * (ends[limit] + _MARGIN_S))))


def _rate_logs(ours: int, theirs: int, requests: int, others: int, factor: float = 1.0) -> Floats:
    """The logs of the likelihood ratios for a rate; zeros if a version has no requests to compare."""
    if not (requests and others):
        return np.zeros_like(log_ratios(0, 0, 0.5, factor))
    return log_ratios(ours, theirs, requests / (requests + others), factor)
