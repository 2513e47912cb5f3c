"""The same driver over real commands, which are killed, meet each other, and have other threads."""

from __future__ import annotations

import pytest

from tests.soundness.counting import Tally
from tests.soundness.processes import KINDS, WEIGHTED, judged, scenario_of
from tests.soundness.soaking import FULL, SECONDS, report, soak

SCENARIOS = 2
# How many edits a soak must have played through commands.
LEAST = 300


@pytest.mark.slow
def test_what_commands_publish_is_what_a_naive_interpreter_says() -> None:
    total = soak(judged, scenario_of, SCENARIOS, 0.4, _enough)
    report("edits through commands", total)
    assert total.steps["processes"] > sum(total.edits.values())
    if SECONDS >= FULL:
        assert _enough(total)


def _enough(total: Tally) -> bool:
    """So many edits, of which enough met a run that was killed."""
    return sum(total.edits.values()) >= LEAST and total.steps["runs that died"] >= LEAST // 10


def test_killed_and_simultaneous_runs_are_a_good_part_of_the_edits() -> None:
    share = sum(kind in ("crash", "two at once") for kind in WEIGHTED) / len(WEIGHTED)
    assert 0.3 < share < 0.6
    assert set(KINDS) == set(WEIGHTED)
