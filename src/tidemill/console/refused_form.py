"""Fill in a form of a page again with what a person sent when it was refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from html import escape, unescape
from html.parser import HTMLParser
from urllib.parse import parse_qsl, unquote, urlsplit

from tidemill.core.lazy_dataclass import dataclass

# The fields of forms that are no arguments: whose form it is, and which version of its page was seen.
FORM_KEY, SEEN_TAG = "form_key", "seen_tag"
# The id of what says why.
REFUSED = "refused"
_Attributes = Sequence[tuple[str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedForm:
    """The `fields` that a form of a `page` sent to the address `action`, and why that was refused."""

    page: str
    action: str
    fields: Mapping[str, str] = field(repr=False)
    status: int
    headline: str
    detail: str

    def is_on(self, path: str, query: str) -> bool:
        """Whether the page of an address, whose path is decoded, has the form."""
        return _address(self.page) == (path, parse_qsl(query))


def fill_form(page: str, refused: RefusedForm) -> str:
    """The HTML of a page with what was typed in the form that was refused, and why; "" if it has none.

    The version of the page that was seen stays the same, so that a change since then is noticed.
    """
    filler = _FormFiller(refused)
    filler.feed(page)
    filler.close()
    return "".join(filler.parts) if filler.is_filled else ""


def _address(url: str) -> tuple[str, list[tuple[str, str]]]:
    found = urlsplit(url)
    return unquote(found.path), parse_qsl(found.query)


class _FormFiller(HTMLParser):
    """Copies a page into `parts`, all but the fields of one form."""

    def __init__(self, refused: RefusedForm) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self.is_filled = False
        self._refused, self._action = refused, _address(refused.action)
        self._is_inside = False
        # The places of the `details` around.
        self._folded: list[int] = []
        # What was chosen of the select around, and the place of its option's tag.
        self._chosen: str | None = None
        self._option: tuple[int, _Attributes] | None = None
        # Whether the text is that of a text area, which was replaced.
        self._is_replaced = False

    def handle_starttag(self, tag: str, attrs: _Attributes) -> None:
        if tag == "option":
            self._end_option()
        self.parts.append(self.get_starttag_text() or "")
        if tag == "details":
            self._folded.append(len(self.parts) - 1)
        elif tag == "form" and not self.is_filled:
            self._begin_form(attrs)
        elif self._is_inside:
            self._fill(tag, attrs)

    def handle_startendtag(self, tag: str, attrs: _Attributes) -> None:
        self.parts.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "details" and self._folded:
            self._folded.pop()
        elif tag == "form":
            self._is_inside = False
        elif tag in ("option", "select"):
            self._end_option()
        if tag in ("select", "textarea"):
            self._chosen, self._is_replaced = None, False
        self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._is_replaced:
            self.parts.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")

    def handle_comment(self, data: str) -> None:
        self.parts.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.parts.append(f"<!{decl}>")

    def _begin_form(self, attrs: _Attributes) -> None:
        given = dict(attrs)
        if given.get("method") != "post" or _address(given.get("action") or "") != self._action:
            return
        self.is_filled = self._is_inside = True
        for place in self._folded:
            self.parts[place] = self.parts[place].replace("<details", "<details open", 1)
        # Live changes leave alone what was begun.
        self._set_tag("form", [*attrs, ("data-begun", "")])
        refused = self._refused
        self.parts.append(
            f'<p class="fault lines" id="{REFUSED}" role="alert" tabindex="-1">'
            f"<strong>{escape(refused.headline)}:</strong> {escape(refused.detail)}</p>"
        )

    def _fill(self, tag: str, attrs: _Attributes) -> None:
        name = dict(attrs).get("name") or ""
        sent = self._refused.fields.get(name)
        if tag == "input":
            self._fill_input(attrs, sent)
        elif tag == "select":
            self._chosen = sent
        elif tag == "option" and self._chosen is not None:
            self._option = len(self.parts) - 1, attrs
        elif tag == "textarea" and sent is not None:
            # Browsers leave out a first line that is empty.
            self.parts.append(f"\n{escape(sent)}")
            self._is_replaced = True

    def _fill_input(self, attrs: _Attributes, sent: str | None) -> None:
        given = dict(attrs)
        kind, name = given.get("type"), given.get("name")
        if kind in ("checkbox", "radio"):
            is_chosen = sent == (given.get("value") or "on")
            kept = [each for each in attrs if each[0] != "checked"]
            self._set_tag("input", [*kept, ("checked", None)] if is_chosen else kept)
        elif sent is not None and (kind != "hidden" or name == SEEN_TAG):
            kept = [each for each in attrs if each[0] != "value"]
            self._set_tag("input", [*kept, ("value", sent)])

    def _end_option(self) -> None:
        """Choose an option, now that its text is known, or don't."""
        if self._option is None:
            return
        place, attrs = self._option
        text = "".join(self.parts[place + 1 :])
        value = dict(attrs).get("value")
        own = unescape(text).strip() if value is None else value
        kept = [each for each in attrs if each[0] != "selected"]
        chosen = [*kept, ("selected", None)] if own == self._chosen else kept
        self.parts[place] = _tag_text("option", chosen)
        self._option = None

    def _set_tag(self, tag: str, attrs: _Attributes) -> None:
        self.parts[-1] = _tag_text(tag, attrs)


def _tag_text(tag: str, attrs: _Attributes) -> str:
    shown = (name if value is None else f'{name}="{escape(value)}"' for name, value in attrs)
    return f"<{' '.join([tag, *shown])}>"
