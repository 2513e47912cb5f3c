"""A cached answer is the one that the model would give: never of another row, version or time."""

from __future__ import annotations

import math
import struct
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tidemill.serving.answer_cache import AnswerCache, matrix_row_key, row_key

NANS = [
    struct.unpack("=d", struct.pack("=Q", bits))[0] for bits in (0x7FF8 << 48, (0x7FF8 << 48) + 1)
]
FLOATS = st.floats() | st.sampled_from([0.0, -0.0, *NANS])
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    FLOATS,
    st.text(max_size=3),
    st.binary(max_size=3),
    st.dates(),
    st.datetimes(),
    st.decimals(allow_nan=False),
    st.lists(st.integers(0, 2), max_size=2),
)


@given(st.lists(FLOATS, max_size=4), st.lists(FLOATS, max_size=4))
def test_matrix_rows_are_equal_by_their_bits(one: list[float], other: list[float]) -> None:
    same = [struct.pack("=d", value) for value in one] == [
        struct.pack("=d", value) for value in other
    ]
    assert (matrix_row_key(one) == matrix_row_key(other)) == same


def test_what_is_one_number_for_the_model_is_one_key() -> None:
    assert matrix_row_key([1, True, 2]) == matrix_row_key([1.0, 1.0, 2.0])
    assert matrix_row_key([0.0]) != matrix_row_key([-0.0])
    assert matrix_row_key([math.nan]) == matrix_row_key([math.nan])


@given(st.lists(VALUES, max_size=3), st.lists(VALUES, max_size=3))
def test_rows_of_values_are_equal_by_type_and_value(one: list[Any], other: list[Any]) -> None:
    assert row_key(one) == row_key(list(one))
    if row_key(one) == row_key(other):
        assert repr(one) == repr(other)


EAST = timezone(timedelta(hours=1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (1, True), (1.0, True), (0, False), (0.0, -0.0), ("1", 1), (b"a", "a"), (None, "None"),
        (date(2026, 1, 1), "2026-01-01"), (date(2026, 1, 1), datetime(2026, 1, 1)),
        (2**70, str(2**70)), (Decimal("1.0"), 1.0), (Decimal("1.0"), Decimal("1.00")),
        (datetime(2026, 1, 1, 1, tzinfo=EAST), datetime(2026, 1, 1, tzinfo=UTC)), ([1], [True]),
    ],
)  # fmt: skip
def test_values_that_python_or_json_confuse_differ(one: Any, other: Any) -> None:
    assert row_key([one]) != row_key([other])


def test_halves_of_surrogate_pairs_have_keys() -> None:
    assert row_key(["\ud800"]) != row_key(["\ud801"])
    assert row_key(["\ud800"]) != row_key(["\\ud800"])


class Machine(RuleBasedStateMachine):
    """The cache against a plain model of it."""

    SIZE = 3

    def __init__(self) -> None:
        super().__init__()
        self.cache: AnswerCache[str] = AnswerCache(self.SIZE)
        self.known: OrderedDict[tuple[str, int], str] = OrderedDict()
        self.added: set[str] = set()

    versions = st.sampled_from(["v1", "v2"])
    rows = st.integers(0, 4)

    @rule(version=versions)
    def add(self, version: str) -> None:
        self.cache.add(version)
        self.added.add(version)

    @rule(version=versions)
    def remove(self, version: str) -> None:
        self.cache.remove(version)
        self.added.discard(version)
        self.known = OrderedDict((k, v) for k, v in self.known.items() if k[0] != version)

    @rule(version=versions, row=rows)
    def find(self, version: str, row: int) -> None:
        found = self.cache.find(version, row)
        assert found == self.known.get((version, row))
        if found is not None:
            self.known.move_to_end((version, row))

    # Its version may have been removed while it was computed.
    @rule(version=versions, row=rows)
    def keep(self, version: str, row: int) -> None:
        answer = f"{version} {row}"
        self.cache.keep(version, row, answer)
        if version in self.added:
            self.known[version, row] = answer
            self.known.move_to_end((version, row))
            if len(self.known) > self.SIZE:
                self.known.popitem(last=False)

    @invariant()
    def no_more_than_its_size(self) -> None:
        assert len(self.cache) == len(self.known) <= self.SIZE


TestMachine = Machine.TestCase


def test_the_answer_that_was_used_least_recently_makes_room() -> None:
    cache: AnswerCache[int] = AnswerCache(2)
    cache.add("v1")
    for row in (1, 2):
        cache.keep("v1", row, row)
    assert cache.find("v1", 1) == 1
    cache.keep("v1", 3, 3)
    assert [cache.find("v1", row) for row in (1, 2, 3)] == [1, None, 3]


def test_a_cache_without_room_keeps_nothing() -> None:
    cache: AnswerCache[float] = AnswerCache(0)
    cache.add("v1")
    cache.keep("v1", b"row", 1.0)
    assert cache.find("v1", b"row") is None
    assert len(cache) == 0
