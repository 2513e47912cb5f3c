"""Pairs of rows: as many as there can be, each row once."""

from __future__ import annotations

import math
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from tidemill.cases.row_pairs import NearFloats, equal_pairs, pair_rows

SIDE = st.integers(0, 4)


@given(SIDE, SIDE, st.data())
def test_as_many_pairs_as_possible(left: int, right: int, data: st.DataObject) -> None:
    cells = [(one, two) for one in range(left) for two in range(10, 10 + right)]
    edges = data.draw(st.sets(st.sampled_from(cells)) if cells else st.just(set()))
    first = data.draw(st.sampled_from([{}, *({one: two} for one, two in sorted(edges))]))
    wanted, there = range(left), range(10, 10 + right)
    found = pair_rows(
        wanted,
        there,
        lambda one, two: (one, two) in edges,
        near=data.draw(
            st.sampled_from([None, lambda one: [two for two in there if (one, two) in edges]])
        ),
        known=first,
    )
    assert {*found.items()} <= edges
    assert len({*found.values()}) == len(found)
    # The slow way: every order of the rows, with gaps.
    orders = permutations([*there, *[None] * left], left)
    best = max(sum(pair in edges for pair in zip(wanted, order, strict=True)) for order in orders)
    assert len(found) == best


def test_a_long_chain_of_rows_that_give_way() -> None:
    # Each takes the first of two, until the last one needs that of all before.
    size = 3_000
    known = {place: place + 1 for place in range(size)}
    found = pair_rows(
        [*range(size), size],
        range(size + 1),
        lambda one, two: two in (one, one + 1),
        near=lambda one: [one, one + 1] if one < size else [size],
        known=known,
    )
    assert found == {place: place for place in range(size + 1)}


def test_equal_rows_are_paired_once() -> None:
    assert equal_pairs({1: "a", 2: "a", 3: "b"}, {7: "a", 8: "c"}) == {1: 7}
    assert equal_pairs({1: "a", 2: "a"}, {7: "a", 8: "a"}) == {1: 7, 2: 8}


def test_near_floats() -> None:
    floats = {1: 0.5, 2: math.nan, 3: 0.7, 4: math.inf, 5: -math.inf, 6: 0.6}
    known = NearFloats(floats, lambda _: 0.11)
    assert known.near(0.5) == [1, 6]
    assert known.near(0.9) == []
    assert known.near(math.nan) == [2]
    assert known.near(math.inf) == [4]
    assert known.near(-math.inf) == [5]
