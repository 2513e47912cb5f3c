"""The digest of a change is that of all that its users would get, and of nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidemill.governance.subjects import (
    contract_subject,
    delivery_subject,
    promotion_subject,
    release_subject,
    table_subject,
)
from tidemill.testing.records import decided_event

NAMES = st.text("ab/.", max_size=3)
CONTENTS = st.dictionaries(NAMES, NAMES, max_size=3)
HEADS = st.dictionaries(NAMES, CONTENTS, max_size=2)
SUBJECTS = {
    table_subject: st.tuples(NAMES, st.lists(NAMES, max_size=3), CONTENTS, CONTENTS),
    contract_subject: st.tuples(NAMES, NAMES, NAMES, st.frozensets(NAMES, max_size=3)),
    promotion_subject: st.tuples(NAMES, CONTENTS, HEADS, HEADS),
    release_subject: st.tuples(
        NAMES, NAMES, st.tuples(NAMES, NAMES), st.frozensets(st.integers(0, 3)), NAMES
    ),
}


@given(st.data())
def test_changes_have_equal_digests_exactly_if_they_are_equal(data: st.DataObject) -> None:
    made: Any
    for made, parts in SUBJECTS.items():
        one, other = data.draw(parts), data.draw(parts)
        assert (made(*one) == made(*other)) == (one == other)
        assert made(*one) == made(*one)


def test_the_order_of_what_is_a_set_does_not_matter() -> None:
    held = ("object", "key")
    assert release_subject("a", "p", held, [2, 1, 2]) == release_subject("a", "p", held, [1, 2])
    assert contract_subject("a", "1", "2", ["x", "y"]) == contract_subject(
        "a", "1", "2", ["y", "x"]
    )
    one, other = {"p": "1", "q": "2"}, {"q": "2", "p": "1"}
    assert table_subject("a", [], one, other) == table_subject("a", [], other, one)


def test_kinds_of_changes_do_not_meet() -> None:
    held = ("", "")
    found = {
        table_subject("", [], {}, {}),
        contract_subject("", "", "", []),
        promotion_subject("", {}, {}, {}),
        release_subject("", "", held, []),
    }
    assert len(found) == 4


def test_a_delivery_is_what_its_gates_decided_on() -> None:
    assert delivery_subject(decided_event("digest").decision) == "digest"
