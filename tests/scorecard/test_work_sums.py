"""The work of any window from sums."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.scorecard.inference_costs import WorkDay
from tidemill.scorecard.work_sums import WorkSums

DAYS = [f"2026-02-{day:02}" for day in range(1, 15)]
AMOUNTS = st.integers(0, 10**18)
WORK = st.dictionaries(
    st.sampled_from(DAYS), st.builds(WorkDay, spent=AMOUNTS, rows=AMOUNTS, stored=AMOUNTS)
)


@given(WORK, st.sampled_from(DAYS), st.sampled_from(DAYS))
def test_sums_of_a_window_are_those_of_its_days(
    work: dict[str, WorkDay], first: str, last: str
) -> None:
    inside = [each for day, each in work.items() if first <= day <= last]
    assert WorkSums({"a": work, "b": {}}).between("a", first, last) == (
        sum(each.spent for each in inside),
        sum(each.rows for each in inside),
        sum(each.stored for each in inside),
    )
    assert WorkSums({"b": {}}).between("b", first, last) == (0, 0, 0)
    from_then_on = WorkSums({"a": work}, first)
    assert from_then_on.between("a", first, last) == WorkSums({"a": work}).between("a", first, last)
