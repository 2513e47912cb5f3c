"""Keys of canaries: stable, monotone, even, and different in each rollout."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.canary import canary_point, is_canary

KEYS = [f"customer-{number}" for number in range(20_000)]


@given(st.one_of(st.text(), st.binary()), st.text(max_size=9), st.floats(0, 1), st.floats(0, 1))
def test_a_key_in_a_share_is_in_all_larger_ones(
    key: str | bytes, rollout: str, one: float, two: float
) -> None:
    small, large = sorted((one, two))
    assert not is_canary(key, rollout, small) or is_canary(key, rollout, large)
    assert is_canary(key, rollout, 1.0)
    assert not is_canary(key, rollout, 0.0)


def test_points_are_pinned() -> None:
    # Another hash would move callers to the other version in the middle of a rollout.
    assert canary_point("customer-1", "delays abc") == canary_point(b"customer-1", "delays abc")
    assert round(canary_point("customer-1", "delays abc"), 6) == 0.999061


def test_the_share_of_keys_is_the_share() -> None:
    for share in (0.05, 0.25):
        found = sum(is_canary(key, "delays abc", share) for key in KEYS) / len(KEYS)
        assert abs(found - share) < 0.01


def test_rollouts_choose_independently() -> None:
    first = {key for key in KEYS if is_canary(key, "delays abc", 0.25)}
    second = {key for key in KEYS if is_canary(key, "delays abd", 0.25)}
    assert abs(len(first & second) / len(KEYS) - 0.0625) < 0.01
