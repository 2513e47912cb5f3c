"""What is published is named by its content, and holds on to its objects."""

from __future__ import annotations

from tidemill.domain.binding import Head, Product, content_of


def test_golden_content() -> None:
    content = content_of({"hour": "h1", "wind": "w1"}, "rows")
    assert (
        content
        == content_of({"wind": "w1", "hour": "h1"}, "rows")
        == "55ea5f284384e075618c45888720653d"
    )
    others = {
        content_of({"hour": "w1", "wind": "h1"}, "rows"), content_of({"hour": "h1"}, "rows"),
        content_of({"hour": "h1", "wind": "w1"}, "other"), content,
    }  # fmt: skip
    assert len(others) == 4


def test_pins_are_all_that_must_exist() -> None:
    assert Product(content="c").pins == ()
    assert Product(content="c", objects=("a",), quarantine="q").pins == ("a", "q")


def test_a_head_begins_empty() -> None:
    assert (Head().version, dict(Head().partitions)) == (0, {})
