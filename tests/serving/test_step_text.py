"""Steps of rollouts as text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.ledger.rollout import Phase, RolloutAction
from tidemill.serving.step_text import logged_step, phase_text, step_done
from tidemill.testing.records import rollout_step


def test_only_a_canary_has_a_share() -> None:
    assert phase_text(Phase.CANARY, 0.05) == "canary 5 %"
    assert phase_text(Phase.SHADOW, 0.0) == "shadow"


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (RolloutAction.STARTED, "rollout started: canary 5 %"),
        (RolloutAction.PROMOTED, "more requests: canary 5 %"),
        (RolloutAction.CONTINUED, "continued by another server, or after a restart: canary 5 %"),
        (RolloutAction.COMPLETED, "answers all requests"),
        (RolloutAction.ROLLED_BACK, "rolled back"),
    ],
)
def test_a_step_says_what_it_did(action: RolloutAction, says: str) -> None:
    assert step_done(rollout_step(action)) == says


def test_every_step_has_a_text() -> None:
    assert len({step_done(rollout_step(action)) for action in RolloutAction}) == len(RolloutAction)


def test_the_log_has_phase_share_evidence_and_reason_but_no_person() -> None:
    step = replace(rollout_step(), actor="ana", reason="because")
    text = logged_step(step)
    assert text == (
        "new instead of old more requests: canary 5 % (1,200 requests, 1,200 of the version before; "
        "evidence 0.938: errors 0.5, outside 0.25, slow 1, shift 2): because"
    )
    first = replace(step, incumbent="", evidence={}, reason="", action=RolloutAction.COMPLETED)
    assert logged_step(first) == "new answers all requests"
