from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.turn_limit import TURN_S, TurnLimit


@given(st.floats(1e-6, 5e-3))
def test_turns_take_about_as_long_as_they_may(each_s: float) -> None:
    limit = TurnLimit()
    for _ in range(20):
        limit.note(limit.requests, limit.requests * each_s)
    took = limit.requests * each_s
    assert limit.requests in (1, 1024) or TURN_S / 2 < took <= TURN_S


def test_a_turn_in_which_few_began_says_little() -> None:
    limit = TurnLimit()
    before = limit.requests
    limit.note(1, 10 * TURN_S)
    limit.note(1, 0.0)
    assert limit.requests == before
