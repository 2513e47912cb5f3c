"""Reports as files: harmless, whole, and never too large."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tests.support.svg import chart_of
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.svg import Drawing
from tidemill.governance.page_values import page_table
from tidemill.reports.report import Report, ReportPart, ReportText
from tidemill.reports.report_html import report_html

CHART = chart_of(Drawing(width=9, height=9, markup='<path class="grid"/>'))


def report(*parts: ReportPart, text: str = "t") -> Report:
    return Report(
        title=text,
        about=text,
        status=DrawnStatus.FAILED,
        word=text,
        state=text,
        facts=((text, text),),
        parts=parts,
        made=0.0,
    )


def full(text: str) -> ReportPart:
    """A part that has everything."""
    return ReportPart(
        title=text,
        facts=((text, text),),
        lines=(text,),
        tables=(page_table((text, f">{text}"), [(text, text)], text), page_table(("a",), [])),
        charts=(CHART, CHART),
        texts=(ReportText(caption=text, text=text),),
        commands=(text,),
    )


class Reader(HTMLParser):
    """Collects tags and ids."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names.update(name for name, _ in attrs)
        self.ids += [value or "" for name, value in attrs if name == "id"]


@given(
    st.text(max_size=40) | st.sampled_from(["</style><script>", "' onload='x", '"><img src=//x>'])
)
def test_no_text_becomes_markup(text: str) -> None:
    reader = Reader()
    reader.feed(report_html(report(full(text), full(text), text=text)))
    assert not {"script", "img", "iframe", "object", "form", "input"} & {*reader.tags}
    assert not [name for name in reader.names if name.startswith("on") or name == "src"]
    assert len(reader.ids) == len({*reader.ids})


def test_empty_parts_are_left_out() -> None:
    html = report_html(report(ReportPart(title="nothing"), ReportPart(title="some", lines=("x",))))
    assert "nothing" not in html
    assert '<a href="#part-1">some</a>' in html
    assert 'class="state failed"' in html


def test_a_file_is_never_too_large() -> None:
    huge = "\U0001f600" * 100_000
    rows = [(huge,) * 12 for _ in range(100)]
    part = replace(full(huge), tables=[page_table(("a",) * 12, rows)] * 9, lines=(huge,) * 90)
    html = report_html(report(*[part] * 9, ReportPart(title="last", html="<p>end</p>"), text=huge))
    assert len(html.encode()) < 500_000
    assert "left out: the report would be too large" in html
    assert "last" in html
