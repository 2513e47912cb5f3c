"""Requests to two versions of a model, drawn at random, as a server would count them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidemill.serving.rollout_counts import Arm, Observed

# Buckets of `serving/buckets.py` in which most answers are, and in which slow ones are.
QUICK, SLOW = 6, 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How a version answers: shares of failed, outside and slow requests; the mean of its outputs."""

    errors: float = 0.005
    outside: float = 0.001
    slow: float = 0.005
    mean: float = 0.0


def answers(rng: np.random.Generator, requests: int, how: Behaviour) -> Arm:
    """The counts of some requests to a version."""
    slow = int(rng.binomial(requests, how.slow))
    latency = [0] * (SLOW + 1)
    latency[QUICK], latency[SLOW] = requests - slow, slow
    return Arm(
        requests=requests,
        errors=int(rng.binomial(requests, how.errors)),
        outside=int(rng.binomial(requests, how.outside)),
        latency=tuple(latency),
        outputs=tuple(float(x) for x in rng.normal(how.mean, 1, requests)),
    )


def look(
    rng: np.random.Generator,
    requests: float,
    share: float,
    candidate: Behaviour,
    control: Behaviour | None = None,
) -> Observed:
    """About so many requests, of which the candidate gets the share; 0: both get all."""
    control = control or Behaviour()
    total = int(rng.poisson(requests))
    ours = int(rng.binomial(total, share)) if share else total
    theirs = total - ours if share else total
    return Observed(candidate=answers(rng, ours, candidate), control=answers(rng, theirs, control))
