"""A contract as text and as HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import polars as pl

import tidemill as tm
from tidemill.contracts.docs.text import Description

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


def test_a_contract_as_text() -> None:
    text = str(Orders.describe())
    head, columns, rules, wider = text.split("\n\n")
    assert head.split("\n")[0].startswith("Orders 1.2.0 (test_text.py:")
    assert head.split("\n")[1:3] == ["  One row <per> order.", '  And "no" more & no less.']
    assert "  key: id" in head
    assert columns.split("\n")[1].split() == [
        "id",
        "Int64",
        *["never", "null,", "role", "id", "quarantine", "-"],
    ]
    assert rules.split("\n")[0].split() == [
        *["rule", "over", "rows", "must", "hold", "on_fail", "description"]
    ]
    assert wider.split("\n")[1].split("  ")[0] == "rows"
    assert repr(Orders.describe()) == text


def test_a_contract_without_a_word_or_rule() -> None:
    plain: Any = type("Plain", (tm.Contract,), {"x": tm.Int64(nullable=True)}, version="1.0.0")
    text = str(plain.describe())
    assert text.split("\n\n")[1:] == ["column  type   on_fail\nx       Int64  quarantine"]
    html = plain.describe()._repr_html_()
    assert "Rules" not in html
    assert "must be" not in html


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


def test_a_description_is_equal_to_that_of_the_same_contract() -> None:
    assert Orders.describe() == Description(spec=Orders.__tidemill_contract__)
