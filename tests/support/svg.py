"""What tests ask of every drawing: it is XML, asks for nothing outside, and holds no wrong number."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from tidemill.drawing.chart import Chart
from tidemill.drawing.svg import Drawing

SVG = "{http://www.w3.org/2000/svg}"


def chart_of(drawing: Drawing, title: str = "t") -> Chart:
    return Chart(title=title, drawing=drawing, description="d")


def parsed(drawing: Drawing) -> ElementTree.Element:
    """The drawing as XML, after checks that hold for all drawings."""
    return checked(chart_of(drawing).svg)


def checked(svg: str) -> ElementTree.Element:
    """The document as XML, after checks that hold for all documents."""
    root = ElementTree.fromstring(svg)
    inside = svg.replace("http://www.w3.org/2000/svg", "")
    assert (
        re.findall(r"https?:|@import|url\((?!#)|href|<script|<image|<foreignObject", inside) == []
    )
    places = [
        value
        for element in root.iter()
        for name, value in element.attrib.items()
        if name not in {"class", "id", "aria-labelledby", "role", "text-anchor"}
    ]
    assert [value for value in places if re.search(r"nan|inf|None|[0-9]e[-+0-9]", value)] == []
    # An event handler of HTML would be an attribute that begins so.
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
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
