"""Patterns that are translated mean the same to Python as to Polars."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.exceptions import PolarsError

from tests.support.thoroughness import examples
from tidemill.serving.ascii_pattern import LONGEST, ascii_matcher

_parts = st.sampled_from(
    [
        "a", "b", "ab", ".", "^", "$", "|", "(", "(?:", ")", "*", "+", "?", "??", "{2}", "{1,3}", "{2,}",
        "[a-c]", "[^a]", "[a-]", r"[\d.]", "[[:alpha:]]", "[a&&b]", r"\d", r"\W", r"\s", r"\b", r"\B",
        r"\.", r"\\", "é", " ", "\n", "#", "]", "}", r"\z", r"\pL", "(?i)", "(?P<n>",
    ]
)  # fmt: skip
_texts = st.text(st.sampled_from("aabbcé.-1_ \n\\]"), max_size=6)


@given(st.lists(_parts, max_size=7).map("".join), st.lists(_texts, max_size=6))
@settings(max_examples=examples(300, 3000), deadline=None)
def test_a_translated_pattern_matches_what_polars_matches(pattern: str, texts: list[str]) -> None:
    try:
        wanted = pl.Series(texts, dtype=pl.String).str.contains(pattern).to_list()
    except PolarsError:
        return
    search = ascii_matcher(pattern)
    if search is not None:
        for text, matches in zip(texts, wanted, strict=True):
            if text.isascii():
                assert (search(text) is not None) is matches


@pytest.mark.parametrize(
    ("pattern", "is_translated"),
    [
        ("^[0-9A-Z]{2}$", True),
        (r"^\d{4}-\d{2}-\d{2}$", True),
        ("^(EWR|JFK|LGA)$", True),
        (r"^[a-z0-9._%+-]+@[a-z]{2,8}$", True),
        ("^(a+)+$", False),
        ("^(a|a)*$", False),
        ("^(a?){9}$", False),
        ("a*b*c", False),
        (r"^\p{L}+$", False),
        ("(?i)abc", False),
        ("[[:alpha:]]", False),
        ("a{,2}", False),
        ("a)", False),
        ("(a", False),
        (r"\b+", False),
        ("^*", False),
        ("|".join("abcdefghij") * 200, False),
        ("a{99999999999}", False),
        ("(?:ab)?", True),
        ("a{3,}?b", True),
        ("[b-a]", False),
    ],
)
def test_only_simple_patterns_are_translated(pattern: str, is_translated: bool) -> None:
    assert (ascii_matcher(pattern) is not None) is is_translated


def test_the_end_of_a_text_is_no_newline_before_it() -> None:
    search = ascii_matcher("^a$")
    assert search is not None
    assert search("a") is not None
    assert search("a\n") is None


def test_a_pattern_takes_few_steps_on_the_longest_text() -> None:
    search = ascii_matcher("[a-z]{0,3}[a-z]*1")
    assert search is None or search("a" * LONGEST) is None
