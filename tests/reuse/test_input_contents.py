"""Digests of what a step is handed: equal only for the same columns of the same partitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.binding import Product
from tidemill.reuse.input_contents import (
    ROWS,
    Contents,
    OverlaidContents,
    abbreviate_shares,
    column_shares,
    input_digest,
)
from tidemill.testing.records import binding


def made(rows: int = 1, **columns: str) -> Product:
    """A product whose columns hold what these words name."""
    hashes = {name: fingerprint("x", word) for name, word in columns.items()}
    return Product(content=fingerprint("content", hashes, rows), columns=hashes, rows=rows)


def test_golden_digests() -> None:
    held = {"2013-03-07": made(a="1", b="2"), "2013-03-08": made(a="3", b="4")}
    assert input_digest(held, ("a", "b")) == "f3589e0f931e02a40e3ccd28be68dfa9"
    assert input_digest({"2013-03-07": made(a="1")}, ("a",)) == "5fece3a8dff0b02a300b542504b65fc4"
    assert (
        input_digest({"file": "digest", "other": "digest"}, ())
        == "9bfd31c4401a6c1f3909eff4c30977bd"
    )
    assert input_digest({}, ("a",)) == "5a1a7a20ec7db2e21111069b0a27eb82"


BASE = {"p": made(a="1", b="2"), "q": made(a="3", b="4")}
OTHERS: list[tuple[dict[str, Product], bool]] = [
    # only `a` is read
    ({"q": made(a="3", b="4"), "p": made(a="1", b="2")}, True),
    ({"p": made(a="1", b="9"), "q": made(a="3", b="4")}, True),
    ({"p": made(a="9", b="2"), "q": made(a="3", b="4")}, False),
    # the same values in other partitions
    ({"p": made(a="3", b="4"), "q": made(a="1", b="2")}, False),
    ({"p": made(a="1", b="2"), "r": made(a="3", b="4")}, False),
    ({"p": made(a="1", b="2")}, False),
    ({**BASE, "r": made(a="3", b="4")}, False),
    # a column that isn't there is not one that is
    ({"p": made(b="2"), "q": made(a="3", b="4")}, False),
]


@pytest.mark.parametrize(("other", "same"), OTHERS)
def test_what_is_read_counts(other: dict[str, Product], same: bool) -> None:
    assert (input_digest(BASE, ("a",)) == input_digest(other, ("a",))) is same


def test_a_reader_of_no_column_sees_how_many_rows_there_are() -> None:
    assert set(column_shares(BASE, ())) == {ROWS}
    same = {"p": made(a="7", b="8"), "q": made(a="9", b="9")}
    assert input_digest(BASE, ()) == input_digest(same, ())
    assert input_digest(BASE, ()) != input_digest(
        {"p": made(2), "q": made()} | {"p": made(2, a="1")}, ()
    )


def test_more_columns_are_another_digest() -> None:
    digests = [input_digest(BASE, columns) for columns in ((), ("a",), ("b",), ("a", "b"))]
    assert len(set(digests)) == 4
    assert input_digest(BASE, ("b", "a")) == digests[-1]


def test_what_has_no_columns_is_named_by_its_content() -> None:
    model = Product(content="model")
    assert input_digest({"all": model}, ("a",)) == input_digest({"all": "model"}, ())
    assert input_digest({"all": model}, ("a",)) != input_digest({"all": "other"}, ())


def test_shortened_tells_columns_apart() -> None:
    short = abbreviate_shares(column_shares(BASE, ("a", "b")))
    assert set(short) == {"a", "b"}
    assert {len(text) for text in short.values()} == {8}


WORDS = st.dictionaries(
    st.sampled_from("pqrs"), st.tuples(st.sampled_from("123"), st.sampled_from("12")), max_size=4
)


@given(WORDS, WORDS, st.sampled_from([("a",), ("b",), ("a", "b")]))
def test_digests_are_equal_for_equal_columns_only(
    one: dict[str, tuple[str, str]], other: dict[str, tuple[str, str]], columns: tuple[str, ...]
) -> None:
    def read(words: dict[str, tuple[str, str]]) -> dict[str, list[str]]:
        return {p: [pair["ab".index(name)] for name in columns] for p, pair in words.items()}

    def held(words: dict[str, tuple[str, str]]) -> Contents:
        return {p: made(a=a, b=b) for p, (a, b) in words.items()}

    digests = [input_digest(held(words), columns) for words in (one, other)]  # type: ignore[arg-type]
    assert (digests[0] == digests[1]) == (read(one) == read(other))


@given(
    bound=st.sets(st.sampled_from("abcdef")),
    replaced=st.dictionaries(st.sampled_from("abcdef"), st.booleans()),
    wanted=st.lists(st.sampled_from("abcdef"), unique=True),
)
def test_contents_that_are_found_together_are_those_of_each(
    bound: set[str], replaced: dict[str, bool], wanted: list[str]
) -> None:
    made_again = {
        key: made(a=f"new {key}") if is_known else None for key, is_known in replaced.items()
    }
    contents = OverlaidContents({key: binding(key) for key in bound}, set(replaced), made_again)
    keys = [key for key in wanted if key in contents]
    assert contents.find(keys) == {key: contents[key] for key in keys}
    assert list(contents.find(keys)) == keys
