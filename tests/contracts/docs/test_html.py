from __future__ import annotations

from html.parser import HTMLParser

import polars as pl

import tidemill as tm

VOID = {"br", "meta", "link", "img", "hr"}


class Balanced(HTMLParser):
    """Notes every text, and that each element that begins ends in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


class Orders(tm.Contract, version="1.2.0", key=("id",)):
    """One row <per> order.

    And "no" more & no less."""

    id = tm.Int64(role="id")
    mail = tm.String(pii="<email>", unit="u", description="<script>alert(1)</script>", regex="<b>")
    day = tm.Date(partition="1d")

    sane = tm.rule(pl.col("mail") != "<i>", description="<u>")
    size = tm.Rows(min=2)


def test_html_is_whole_and_says_everything_escaped() -> None:
    html = Orders.describe()._repr_html_()
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    assert parser.tags.isdisjoint({"script", "b", "i", "u", "email", "per"})
    text = " ".join(parser.text)
    for said in ("<script>alert(1)</script>", "matches <b>", "personal: <email>", "<u>", "in u"):
        assert said in text
    for said in (
        "One row <per> order.",
        'And "no" more & no less.',
        "role: id",
        "key",
        "partition",
    ):
        assert said in text
    assert "at least 2 rows" in text
