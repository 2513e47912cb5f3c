"""What tests ask of every drawing: it is XML, asks for nothing outside, and holds no wrong number."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from tidemill.drawing.chart import Chart
from tidemill.drawing.style_sheet import SCOPE, page_css
from tidemill.drawing.svg import Drawing

SVG = "{http://www.w3.org/2000/svg}"


# Attributes that hold words and not numbers.
_WORDS = {"class", "id", "role", "text-anchor"}
# Classes with rules for pages, and one that only names what a part is.
_STYLED = {SCOPE, "node", *re.findall(r"\.([a-z][a-z0-9-]*)", page_css())}


def chart_of(drawing: Drawing, title: str = "t") -> Chart:
    return Chart(title=title, drawing=drawing, description="d")


def parsed(drawing: Drawing) -> ElementTree.Element:
    """The drawing as XML, after checks that hold for all drawings."""
    return checked(chart_of(drawing).svg)


def checked(svg: str) -> ElementTree.Element:
    """The document as XML, after checks that hold for all documents."""
    assert not re.findall(r"url\((?!#)|@import", svg)
    return _harmless(svg)


def checked_element(svg: str) -> ElementTree.Element:
    """An element of a page as XML, after checks that hold for all: it has no style but classes."""
    root = _harmless(svg)
    assert not [each for each in root.iter() if each.tag == f"{SVG}style" or each.get("style")]
    assert "url(" not in svg
    used = {name for each in root.iter() for name in str(each.get("class") or "").split()}
    assert used <= _STYLED
    ids = [each.get("id") for each in root.iter() if each.get("id")]
    prefix = (root.get("aria-labelledby") or "").removesuffix("-title")
    assert len(ids) == len(set(ids))
    assert all(str(each).startswith(f"{prefix}-") for each in ids)
    return root


def _harmless(svg: str) -> ElementTree.Element:
    root = ElementTree.fromstring(svg)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {
        *("svg", "title", "desc", "style", "g", "a"),
        *("path", "rect", "circle", "text", "tspan"),
    }
    for element in root.iter():
        for name, value in element.attrib.items():
            # An event handler of HTML would be an attribute that begins so.
            assert not name.startswith("on")
            if name == "href":
                assert not value.lstrip().lower().startswith(("javascript:", "data:", "http"))
            elif name not in _WORDS and not name.startswith(("aria-", "data-")):
                assert not re.search(r"nan|inf|None|[0-9]e[-+0-9]", value), (name, value)
    return root


def texts(root: ElementTree.Element, css: str = "") -> list[str]:
    """The visible texts, of one class if it is given."""
    return [
        "".join(piece for piece in (element.text, *(child.tail for child in element)) if piece)
        for element in root.iter(f"{SVG}text")
        if not css or element.get("class") == css
    ]


def elements(root: ElementTree.Element, css: str) -> list[ElementTree.Element]:
    """The elements of a class."""
    return [element for element in root.iter() if element.get("class") == css]
