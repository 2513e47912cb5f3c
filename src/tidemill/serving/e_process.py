"""Evidence that one of two versions is worse, which may be looked at after every batch of requests.

Requests are divided at random between a candidate, with a share s of them, and a control. Some of them are
events, such as errors. If the candidate's rate of events is at most `factor` times the control's, an event
is the candidate's with probability at most q0, where q0 / (1 - q0) = factor * s / (1 - s). An alternative
has larger odds, and the likelihood ratio of a batch with x events of the candidate and y of the control is
L = (q / q0) ** x * ((1 - q) / (1 - q0)) ** y.

Its expectation is at most 1, given the numbers of requests: with a = q / q0 and b = (1 - q) / (1 - q0) it is
at most exp(n p (a - 1) - m r (1 - b)) for n requests of rate p of the candidate and m of rate r of the
control, because 1 + z <= exp(z), and p <= factor * r makes the exponent at most 0. So rates may differ from
batch to batch, the share may be that of the batch itself, and no rate has to be known. It also holds when
both versions answer the same requests (s = 1/2), however their answers depend on each other.

A worsening may begin at any batch, and have any size. M is a mixture over both: each batch k gets a part
w(k) of the stake, divided evenly among the alternatives, and multiplies what was staked until then by L.
M is 1 at first, and a supermartingale while the candidate isn't worse. So the probability that it ever
reaches 1 / alpha is at most alpha (Ville). A part of the stake is never used: whatever was seen before
reduces M to a quarter at most.

Sources: Wald, Sequential tests of statistical hypotheses, 1945; Robbins, Statistical methods related to the
law of the iterated logarithm, 1970 (mixtures); Lindon, Sanden, Shirikian, Rapid regression detection in
software deployments through sequential testing, 2022, arXiv 2205.14762 (canaries).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tidemill.core.lazy_dataclass import dataclass

Floats = npt.NDArray[np.float64]

# How many times larger than tolerated the odds of the candidate are.
ALTERNATIVES: Floats = np.array([1.5, 2.0, 3.0, 5.0, 10.0, 50.0])
# The parts of the stake for a worsening that is there from the first batch, and for later ones.
FIRST, LATER = 0.5, 0.25
# So M never falls below the part that is never used.
LEAST = 1.0 - FIRST - LATER
# Sums beyond that say no more, and must not overflow.
_MOST = 1e200


def log_ratios(
    candidate: npt.ArrayLike, control: npt.ArrayLike, share: npt.ArrayLike, factor: npt.ArrayLike
) -> Floats:
    """Return the logs of a batch's likelihood ratios; the last dimension is that of the alternatives.

    `candidate` and `control` are numbers of events, `share` is the candidate's share of the requests,
    above 0 and below 1. A rate up to `factor` times the control's is tolerated. The arguments broadcast.
    """
    part = np.asarray(share, np.float64)
    odds = (np.asarray(factor, np.float64) * part / (1 - part))[..., None]
    ours = np.asarray(candidate, np.float64)[..., None]
    theirs = np.asarray(control, np.float64)[..., None]
    # q / q0 and (1 - q) / (1 - q0), as logs.
    rest = np.log1p(odds) - np.log1p(odds * ALTERNATIVES)
    found: Floats = ours * (rest + np.log(ALTERNATIVES)) + theirs * rest
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EProcesses:
    """The mixtures M of some series after a number of batches.

    `sums` has what was staked on each alternative of each series by now.
    """

    sums: Floats
    batches: int = 0

    @classmethod
    def start(cls, *series: int) -> EProcesses:
        """Return the evidence before the first batch, which is 1 in each series."""
        return cls(sums=np.zeros((*series, ALTERNATIVES.size)))

    def add(self, logs: Floats) -> EProcesses:
        """Return the evidence after one more batch, whose likelihood ratios have these `logs`."""
        number = self.batches + 1
        stake = FIRST if number == 1 else LATER / (number * (number - 1))
        sums = np.minimum((self.sums + stake) * np.exp(np.minimum(logs, 200.0)), _MOST)
        return EProcesses(sums=sums, batches=number)

    @property
    def values(self) -> Floats:
        """The evidence M of each series: 1 means none, 1 / alpha or more refutes that it isn't worse."""
        unused = 1.0 if not self.batches else LEAST + LATER / self.batches
        found: Floats = self.sums.mean(axis=-1) + unused
        return found


def expected_evidence(ours: float, theirs: float, share: float) -> float:
    """Return the log of the likelihood ratio of so many expected events, for the alternative that fits.

    `ours` and `theirs` are the events of the candidate and the control, `share` is the candidate's share
    of the requests. 0 if the candidate's events are no more than its share.
    """
    total = ours + theirs
    if not total or ours / total <= share:
        return 0.0
    part = ours / total
    rest = theirs * np.log((1 - part) / (1 - share)) if theirs else 0.0
    return float(ours * np.log(part / share) + rest)
