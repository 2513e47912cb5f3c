from hypothesis import given
from hypothesis import strategies as st

from tidemill.adapters.postgres.rows import sent_text, sent_texts, stored_text, stored_texts

TEXTS = st.text(st.sampled_from("\x00\x01\x02 12aü") | st.characters(exclude_categories=["Cs"]))


@given(TEXTS | st.none())
def test_texts_come_back_and_are_sent_without_nul(text: str | None) -> None:
    sent = sent_text(text)
    assert stored_text(sent) == text
    assert sent is None or "\x00" not in sent


@given(TEXTS, TEXTS)
def test_different_texts_stay_different(one: str, other: str) -> None:
    assert (sent_text(one) == sent_text(other)) == (one == other)


@given(st.lists(TEXTS | st.integers() | st.binary() | st.none()).map(tuple))
def test_rows_come_back(row: tuple[object, ...]) -> None:
    assert stored_texts(sent_texts(row)) == row
