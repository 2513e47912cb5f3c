"""Numbers name what they are made of, and sets of columns are bits."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.analysis.query.value_numbers import (
    Length,
    Relation,
    Sources,
    Value,
    first_reason,
    term,
    union_reads,
)

DIFFERENT: list[Any] = [
    1, 1.0, True, "1", None, 0.0, -0.0, [1], (1,), [], {"a": 1}, {"a": 1, "b": 2}, {"b": 2, "a": 1},
    ["a", "b"], ["ab"], [["a"], "b"], b"a", "a",
]  # fmt: skip


def test_terms_differ_where_their_parts_do() -> None:
    terms = [term(part) for part in DIFFERENT]
    assert all(one != other for one, other in combinations(terms, 2))
    assert term("a", "b") not in (term(["a", "b"]), term("a"), term("b", "a"))
    assert all(len(found) == 32 for found in terms)


COLUMNS = st.dictionaries(
    st.sampled_from("xyz"), st.lists(st.sampled_from("abc"), unique=True), max_size=3
)


@given(COLUMNS, COLUMNS)
def test_columns_come_out_of_bits_as_they_went_in(
    one: dict[str, list[str]], other: dict[str, list[str]]
) -> None:
    sources = Sources()
    bits = [
        union_reads(
            sources.bit(source, name) for source, names in part.items() for name in (None, *names)
        )
        for part in (one, other)
    ]
    expected = {source: {*one.get(source, ()), *other.get(source, ())} for source in {*one, *other}}
    assert {
        source: set(names) for source, names in sources.columns_of(union_reads(bits)).items()
    } == expected


def test_an_input_of_which_only_the_rows_count_has_no_columns() -> None:
    sources = Sources()
    assert sources.columns_of(sources.bit("x")) == {"x": ()}
    assert sources.columns_of(0) == {}


@pytest.mark.parametrize(("reasons", "found"), [((), ""), (("", "a", "b"), "a"), (("", ""), "")])
def test_the_first_reason(reasons: tuple[str, ...], found: str) -> None:
    assert first_reason(*reasons) == found


def test_a_relation_counts_by_its_rows_its_columns_and_their_order() -> None:
    length = Length("rows", 1)
    a, b = Value("a", "one", length, reads=2), Value("b", "two", length, reads=4, unstable="odd")

    def relation(rows: str, **columns: Value) -> Relation:
        return Relation(rows=rows, reads=1, columns=columns)

    plain = relation("rows", a=a, b=b)
    others = [relation("others", a=a, b=b), relation("rows", b=b, a=a), relation("rows", c=a, b=b)]
    assert len({plain.digest, *(other.digest for other in others)}) == 4
    assert (plain.all_reads, plain.doubt, plain.length) == (7, "odd", length)
    assert plain.with_columns({"a": a}).doubt == ""
