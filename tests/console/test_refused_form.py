"""A form that was refused comes back as it was sent."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tidemill.console.refused_form import RefusedForm, fill_form

PAGE = """<!DOCTYPE html>
<html><body><!-- a note --><svg viewBox="0 0 1 1"/><p>5 &lt; 6 &amp; &#8364;</p>
<form method="get" action="/rows/a%20b"><input name="reason" value="filter"></form>
<details><summary>Closed</summary></details>
<details class="x"><summary>Edit</summary><details><summary>More</summary>
<form method="post" action="/rows/a%20b?env=dev"><input type="hidden" name="form_key" value="new">
<input type="hidden" name="seen_tag" value="new"><input type="hidden" name="partition" value="p">
<input name="cells.price" value="1"><input name="unsent" value="stays">
<input type="checkbox" name="nulls.price" checked><input type="checkbox" name="again" value="true">
<input type="radio" name="choice" value="all" checked required><input type="radio" name="choice" value="rows">
<select name="rule"><option selected>a &amp; b<option value="2">two</option>\
<option value="3" selected>three</option></select>
<select name="other"><option>x</option></select>
<textarea name="note" rows="2">was &lt;b&gt; here</textarea><textarea name="none">kept</textarea>
<button name="choice" value="go">Send</button></form></details></details>
<form method="post" action="/rows/a%20b?env=dev"><input name="cells.price" value="other"></form>
</body></html>
"""
SENT = {
    "form_key": "old", "seen_tag": "old", "partition": "q", "cells.price": '"><script>', "again": "true",
    "choice": "rows", "rule": "2", "note": "\nfirst\n</textarea>",
}  # fmt: skip


def refused(fields: dict[str, str], action: str = "/rows/a%20b?env=dev") -> RefusedForm:
    return RefusedForm(
        page="/rows/a%20b?env=dev&x=1", action=action, fields=fields, status=400,
        headline="Not so", detail="<no> number",
    )  # fmt: skip


def test_what_was_typed_comes_back_with_why() -> None:
    filled = fill_form(PAGE, refused(SENT))
    before, _, form = filled.partition('<form method="post"')
    assert before == PAGE.partition('<form method="post"')[0].replace(
        '<details class="x">', '<details open class="x">'
    ).replace("<details><summary>More", "<details open><summary>More")
    form, _, after = form.partition("</form>")
    assert after == PAGE.partition("Send</button></form>")[2]
    assert form.splitlines() == [
        ' action="/rows/a%20b?env=dev" data-begun=""><p class="fault lines" id="refused" role="alert" '
        'tabindex="-1"><strong>Not so:</strong> &lt;no&gt; number</p>'
        '<input type="hidden" name="form_key" value="new">',
        '<input type="hidden" name="seen_tag" value="old"><input type="hidden" name="partition" value="p">',
        '<input name="cells.price" value="&quot;&gt;&lt;script&gt;"><input name="unsent" value="stays">',
        '<input type="checkbox" name="nulls.price"><input type="checkbox" name="again" value="true" checked>',
        '<input type="radio" name="choice" value="all" required>'
        '<input type="radio" name="choice" value="rows" checked>',
        '<select name="rule"><option>a &amp; b<option value="2" selected>two</option>'
        '<option value="3">three</option></select>',
        '<select name="other"><option>x</option></select>',
        '<textarea name="note" rows="2">',
        "",
        "first",
        '&lt;/textarea&gt;</textarea><textarea name="none">kept</textarea>',
        '<button name="choice" value="go">Send</button>',
    ]


def test_an_option_without_a_value_is_its_text() -> None:
    assert "<option selected>a &amp; b<option" in fill_form(PAGE, refused({"rule": "a & b"}))


def test_a_page_without_the_form_is_not_filled() -> None:
    assert fill_form(PAGE, refused(SENT, "/rows/a%20b")) == ""
    assert fill_form("<p>none</p>", refused(SENT)) == ""


def test_the_page_is_known_by_its_address() -> None:
    assert refused({}).is_on("/rows/a b", "env=dev&x=1")
    assert not refused({}).is_on("/rows/a b", "env=dev")
    assert not refused({}).is_on("/rows/a%20b", "env=dev&x=1")


class Fields(HTMLParser):
    """What a browser has in the fields of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inputs: list[str | None] = []
        self.text = ""
        self._is_text = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_text = tag == "textarea"
        if tag == "input":
            self.inputs.append(dict(attrs).get("value"))

    def handle_endtag(self, tag: str) -> None:
        self._is_text = False

    def handle_data(self, data: str) -> None:
        self.text += data if self._is_text else ""


@given(st.text(), st.text())
def test_any_text_comes_back_as_it_is(cell: str, note: str) -> None:
    page = '<form method="post" action="/x"><input name="cell"><textarea name="note"></textarea></form>'
    seen = Fields(fill_form(page, refused({"cell": cell, "note": note}, "/x")))
    assert seen.inputs == [cell]
    assert seen.text == f"\n{note}"
