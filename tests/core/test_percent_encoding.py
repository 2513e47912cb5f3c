"""Percent-encoding agrees with the standard library's, which isn't pure."""

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.percent_encoding import percent_encoded


@given(st.text())
def test_text_is_encoded_as_by_the_standard_library(text: str) -> None:
    assert percent_encoded(text) == quote(text, safe="")
