from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.support.svg import SVG, checked_element
from tidemill.drawing.document import page_element
from tidemill.drawing.links import link
from tidemill.drawing.svg import Drawing


def drawn(markup: str) -> Drawing:
    return Drawing(width=9, height=9, markup=markup)


@pytest.mark.parametrize("href", ["/stages/a?b=c&d=e", "#part", "?page=2", "https://a.example/x:y"])
def test_a_link_has_a_name(href: str) -> None:
    markup = link('<path d="M0 0"/>', href, label='<a> & "b"', css="node", name="a<b")
    found = checked_element(
        page_element(drawn(markup.replace("https:", "")), prefix="p", title="t")
    ).find(f".//{SVG}a")
    assert found is not None
    assert found.get("href") == href.replace("https:", "")
    assert found.get("aria-label") == '<a> & "b"'
    assert found.findtext(f"{SVG}title") == '<a> & "b"'
    assert (found.get("class"), found.get("data-name")) == ("node", "a<b")


def test_what_leads_nowhere_is_a_group_with_a_title() -> None:
    assert link("", "", label="a") == "<g><title>a</title></g>"


@pytest.mark.parametrize("href", ["javascript:alert(1)", " JavaScript:x", "data:text/html,x"])
def test_links_lead_to_pages_only(href: str) -> None:
    with pytest.raises(ValueError, match="can't link"):
        link("", href, label="a")


def test_text_that_is_read_is_the_name_itself() -> None:
    found = ElementTree.fromstring(
        link("<text>sales</text>", "/sales", label="sales, up to date", is_read=True)
    )
    assert found.get("aria-label") is None
    assert [found.findtext("title"), found.findtext("text")] == ["sales, up to date", "sales"]
