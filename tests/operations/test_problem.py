"""Keys of problems."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.operations.problem import ProblemKind, problem_key

PARTS = st.lists(st.text(alphabet="a/~01", max_size=4), min_size=1, max_size=3)


def test_a_key_says_kind_environment_and_parts() -> None:
    found = problem_key(ProblemKind.FAILED_STAGE, "prod", "features")
    assert found == "failed-stage/prod/features"


@given(PARTS, PARTS)
def test_different_parts_make_different_keys(one: list[str], other: list[str]) -> None:
    keys = [problem_key(ProblemKind.ANOMALY, *parts) for parts in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
