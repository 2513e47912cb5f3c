import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.admission import Admission
from tidemill.serving.errors import Unavailable


def test_an_endpoint_alone_has_all_of_the_limit() -> None:
    admission = Admission(3)
    for _ in range(3):
        admission.enter("a")
    with pytest.raises(Unavailable, match="a has 3 requests in flight") as caught:
        admission.enter("a")
    assert ("retry-after", "1") in caught.value.headers
    admission.leave("a")
    admission.enter("a")
    assert admission.in_flight == 3


def test_a_flood_to_one_endpoint_leaves_others_their_share() -> None:
    admission = Admission(4)
    for _ in range(4):
        admission.enter("flooded")
    admission.enter("other")
    admission.enter("other")
    with pytest.raises(Unavailable):
        admission.enter("other")
    admission.leave("flooded")
    with pytest.raises(Unavailable):
        admission.enter("flooded")


def test_each_endpoint_may_always_have_one() -> None:
    admission = Admission(1)
    for name in "abc":
        admission.enter(name)
    assert admission.in_flight == 3


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), max_size=60))
def test_what_is_in_flight_is_what_entered_and_did_not_leave(
    steps: list[tuple[bool, str]],
) -> None:
    admission, inside = Admission(4), {"a": 0, "b": 0, "c": 0}
    for enters, name in steps:
        if enters:
            try:
                admission.enter(name)
            except Unavailable:
                continue
            inside[name] += 1
        elif inside[name]:
            admission.leave(name)
            inside[name] -= 1
        assert admission.in_flight == sum(inside.values())
        assert max(inside.values()) <= 4
