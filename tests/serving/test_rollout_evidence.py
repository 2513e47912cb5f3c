"""Evidence by gate: none against an equal version, soon against a worse one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.rollout_traffic import SLOW, Behaviour, look
from tidemill.serving.buckets import LATENCY_BUCKETS, latency_bucket
from tidemill.serving.rollout_counts import Arm, Observed
from tidemill.serving.rollout_evidence import GATES, LEAST_REQUESTS, RolloutEvidence
from tidemill.workflow.endpoint import Rollout

PLAN = Rollout()


def evidence_after(
    looks: int, how: Behaviour, *, share: float = 0.2, seed: int = 1, shadow: bool = False
) -> RolloutEvidence:
    rng, found = np.random.default_rng(seed), RolloutEvidence()
    for _ in range(looks):
        seen = look(rng, 100, 0.0 if shadow else share, how)
        found = found.add(seen, PLAN, shadow=shadow)
    return found


def test_it_begins_with_1_in_each_gate() -> None:
    assert RolloutEvidence().values == dict.fromkeys(GATES, 1.0)
    assert RolloutEvidence().total == 1.0


@pytest.mark.parametrize(
    ("gate", "how"),
    [
        ("errors", Behaviour(errors=0.05)),
        ("outside", Behaviour(outside=0.05)),
        ("slow", Behaviour(slow=0.1)),
        # Half a standard deviation doubles the share of the highest tenth; this is more.
        ("shift", Behaviour(mean=1.0)),
    ],
)
def test_each_gate_finds_what_it_is_for(gate: str, how: Behaviour) -> None:
    values = evidence_after(100, how).values
    assert values[gate] > 1e4
    assert all(value < 20 for other, value in values.items() if other != gate)


@pytest.mark.parametrize("how", [Behaviour(), Behaviour(slow=0.007), Behaviour(mean=0.1)])
def test_what_is_tolerated_is_no_evidence(how: Behaviour) -> None:
    """Also a little more slow answers, and slightly other outputs, with many requests."""
    found = evidence_after(300, how)
    assert found.total < 1.0


def test_in_the_shadow_phase_latency_isnt_judged() -> None:
    found = evidence_after(30, Behaviour(slow=0.5), shadow=True)
    assert found.values["slow"] == 1.0
    # But what is known of the control is kept for the steps after it.
    assert sum(found.latency) > 2000
    assert evidence_after(100, Behaviour(mean=2.0), shadow=True).values["shift"] > 1e4


def test_requests_are_judged_when_there_are_enough_of_both() -> None:
    few = Observed(candidate=Arm(requests=LEAST_REQUESTS - 1, errors=5), control=Arm(requests=100))
    found = RolloutEvidence().add(few, PLAN, shadow=False)
    assert (found.pending, found.total) == (few, 1.0)
    found = found.add(Observed(candidate=Arm(requests=1)), PLAN, shadow=False)
    assert found.pending == Observed()
    assert found.values["errors"] > 100


def test_the_next_step_keeps_evidence_and_knowledge() -> None:
    first = evidence_after(30, Behaviour(errors=0.01))
    second = first.next_step()
    assert second.values == first.values
    assert (second.bins, second.latency) == (first.bins, first.latency)
    assert second.add(Observed(), PLAN, shadow=False).total == first.total


def test_evidence_of_steps_is_multiplied() -> None:
    rng = np.random.default_rng(3)
    seen = look(rng, 1000, 0.2, Behaviour(errors=0.02))
    once = RolloutEvidence().add(seen, PLAN, shadow=False)
    twice = once.next_step().add(seen, PLAN, shadow=False)
    assert twice.values["errors"] == pytest.approx(once.values["errors"] ** 2)


def test_a_healthy_step_reduces_evidence_to_a_quarter_at_most() -> None:
    values = evidence_after(500, Behaviour()).values
    assert all(value >= 0.25 for value in values.values())


def test_answers_from_a_cache_leave_latency_and_outputs_unknown() -> None:
    """Then a gate without information says nothing."""
    before = evidence_after(10, Behaviour())
    both = Observed(candidate=Arm(requests=100), control=Arm(requests=100))
    after = before.add(both, PLAN, shadow=False)
    assert before.values["shift"] == after.values["shift"]
    assert abs(np.log(after.values["slow"] / before.values["slow"])) < 0.02


def test_a_slow_control_isnt_evidence() -> None:
    """At noon both versions become slow."""
    rng, found = np.random.default_rng(0), RolloutEvidence()
    for _ in range(20):
        found = found.add(look(rng, 100, 0.2, Behaviour()), PLAN, shadow=False)
    noon = Behaviour(slow=0.5)
    for _ in range(100):
        found = found.add(look(rng, 100, 0.2, noon, noon), PLAN, shadow=False)
    assert found.values["slow"] < 1.0
    assert found.latency[SLOW] > 1000


@pytest.mark.untraced
def test_few_equal_versions_are_rolled_back_under_constant_peeking() -> None:
    """The bound is a theorem, which `test_e_process` checks batch by batch; this is the whole."""
    wrong = 0
    for seed in range(100):
        rng, found, worst = np.random.default_rng(seed), RolloutEvidence(), 0.0
        for step in range(3):
            for _ in range(25):
                seen = look(rng, 100, (0.0, 0.05, 0.25)[step], Behaviour())
                found = found.add(seen, PLAN, shadow=not step)
                worst = max(worst, found.total)
            found = found.next_step()
        wrong += worst >= 1 / PLAN.alpha
    assert wrong <= 5


def test_a_retrained_classifier_is_no_shift_and_a_mistaken_input_is_one() -> None:
    """Probabilities are crowded near 0 and 1, where a retraining halves or doubles them."""
    rng = np.random.default_rng(5)
    scores = np.where(rng.random(569) < 0.37, -6.0, 6.0) + rng.normal(0, 1.5, 569)

    def outputs(logits: Any) -> list[float]:
        return [float(value) for value in 1 / (1 + np.exp(-logits))]

    known, found = outputs(scores), {}
    for name, candidate in (
        ("retrained", outputs(1.15 * scores + rng.normal(0, 0.5, 569))),
        ("mistaken", outputs(0.2 * scores + 1.0)),
        ("blind", [0.63] * 569),
    ):
        evidence = RolloutEvidence()
        for _ in range(20):
            asked = rng.integers(0, 569, 400)
            arms = [
                Arm(requests=len(rows), outputs=tuple(values[row] for row in rows))
                for values, rows in ((candidate, asked[:40]), (known, asked[40:]))
            ]
            seen = Observed(candidate=arms[0], control=arms[1])
            evidence = evidence.add(seen, PLAN, shadow=False)
        found[name] = evidence.values["shift"]
    assert found["retrained"] < 1.0
    assert min(found["mistaken"], found["blind"]) > 1e4


@pytest.mark.parametrize(
    ("control", "candidate", "finds"),
    [
        # From 20 to 40 microseconds, as with twice the trees, and over the end of a bucket.
        (20_000, 40_000, False),
        (16_300, 16_500, False),
        (20_000, 4_000_000, True),
        (100_000_000, 110_000_000, False),
        (100_000_000, 300_000_000, True),
        # Beyond all buckets: nothing is known to be slower.
        (60_000_000_000, 90_000_000_000, False),
    ],
)
def test_a_candidate_may_be_slower_by_a_millisecond_or_a_bucket(
    control: int, candidate: int, finds: bool
) -> None:
    found = RolloutEvidence()
    for _ in range(20):
        arms = []
        for nanoseconds, requests in ((candidate, 50), (control, 450)):
            latency = [0] * LATENCY_BUCKETS
            latency[latency_bucket(nanoseconds)] = requests
            arms.append(Arm(requests=requests, latency=tuple(latency)))
        found = found.add(Observed(candidate=arms[0], control=arms[1]), PLAN, shadow=False)
    assert (found.values["slow"] > 1e4) is finds
    assert finds or found.values["slow"] <= 1.0


def test_requests_to_one_version_alone_are_no_batch_and_use_no_memory() -> None:
    """One caller sends everything, and its key keeps it with the version before."""
    alone = Observed(control=Arm(requests=1000, errors=500, outputs=(1.0,) * 1000))
    found = RolloutEvidence()
    for _ in range(20):
        found = found.add(alone, PLAN, shadow=False)
        assert found.pending.control.requests <= 1000
    drop = Observed(candidate=Arm(requests=1))
    for _ in range(8):
        found = found.add(drop + alone, PLAN, shadow=False)
        assert len(found.pending.control.outputs) <= 5000
    assert found.total == 1.0
