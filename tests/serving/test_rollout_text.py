"""What a rollout does, what it waits for, and what would end it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.ledger.rollout import EndpointStatus, Phase
from tidemill.serving.rollout_text import doing_text, gate_limits, next_step_text, rollout_text

ROLLING = EndpointStatus(
    name="e", model="m", version="old", candidate="new", phase=Phase.CANARY, share=0.05,
    step_since=2000.0, until=3800.0, requests=812, needed=1240,
    evidence={"errors": 0.5, "slow": 1.5}, total=1.0, judged=True,
)  # fmt: skip


def shown(at: float) -> str:
    return f"at {at:g}"


def test_a_rollout_in_short() -> None:
    assert rollout_text(replace(ROLLING, candidate="")) == "-"
    assert rollout_text(ROLLING) == "canary 5 % of new"
    assert rollout_text(replace(ROLLING, held=True)) == "canary 5 % of new, held"


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase.SHADOW, "computes all requests without answering"),
        (Phase.CANARY, "answers 5 % of the requests"),
        (Phase.FULL, "answers all requests"),
    ],
)
def test_what_the_candidate_does(phase: Phase, words: str) -> None:
    assert doing_text(replace(ROLLING, phase=phase)) == words


@pytest.mark.parametrize(
    ("changed", "now", "words"),
    [
        ({"held": True}, 2090.0, "held by a person"),
        (
            {},
            2090.0,
            "not enough traffic to judge: 812 of about 1,240 requests; at this rate in 28 min",
        ),
        ({"requests": 0}, 2090.0, "not enough traffic to judge: 0 of about 1,240 requests"),
        ({"judged": False}, 2090.0, "not before at 3800"),
        ({"requests": 1300}, 3740.0, "in 60 s, if it isn't worse"),
        ({"requests": 1300}, 3800.0, "at the next look"),
    ],
)
def test_what_the_next_step_waits_for(changed: dict[str, object], now: float, words: str) -> None:
    assert next_step_text(replace(ROLLING, **changed), now, shown) == words  # type: ignore[arg-type]


def test_each_gate_has_the_evidence_that_would_end_it() -> None:
    assert gate_limits(ROLLING) == {"errors": 38.5, "slow": 39.5}
    assert gate_limits(replace(ROLLING, evidence={})) == {}
