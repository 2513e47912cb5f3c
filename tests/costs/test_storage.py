"""To whom stored objects belong."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.costs.storage import KeptBytes, divide_storage

NAMES = st.sampled_from("abcdef")
NEEDED = st.dictionaries(
    st.sampled_from(("prod", "dev", "x")),
    st.dictionaries(st.sampled_from(("s", "t")), st.sets(NAMES)),
)


def test_each_object_belongs_to_the_first_that_needs_it() -> None:
    needed = {
        "prod": {"sales": ["a", "b", "a"], "features": ["b", "gone"]},
        "dev": {"sales": ["a", "c"]},
    }
    sizes = {"a": 1, "b": 2, "c": 4, "d": 8}
    assert divide_storage(sizes, needed, rest_of="prod") == {
        "prod": KeptBytes(stages={"sales": 3}, shared=8),
        "dev": KeptBytes(stages={"sales": 4}),
    }
    assert divide_storage(sizes, needed)["prod"].shared == 0
    assert divide_storage({"a": 1}, {}, rest_of="prod") == {"prod": KeptBytes(shared=1)}


@given(st.dictionaries(NAMES, st.integers(0, 99)), NEEDED)
def test_nothing_is_counted_twice_or_lost(
    sizes: dict[str, int], needed: dict[str, dict[str, set[str]]]
) -> None:
    found = divide_storage(sizes, needed, rest_of="prod")
    total = sum(each.shared + sum(each.stages.values()) for each in found.values())
    assert total == sum(sizes.values())
