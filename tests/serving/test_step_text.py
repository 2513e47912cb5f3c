"""Steps of rollouts as text."""

from __future__ import annotations

import pytest

from tidemill.ledger.rollout import Phase, RolloutAction
from tidemill.serving.step_text import phase_text, step_done
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
