"""`tidemill review show`: one page in four forms."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.cli.review.test_commands import ask, shop
from tests.support.commands import tidemill

__all__ = ["shop"]


def test_the_page_is_written_in_the_form_that_is_asked_for(shop: Path) -> None:
    ask("r1")
    text = tidemill("review", "show", "r").out
    assert text.startswith("Should the new rows of out_r1 be delivered?\n")
    assert "people are asked because: <b>rows</b> move" in text
    markdown = tidemill("review", "show", "r1", "--format", "markdown").out
    assert markdown.startswith("# Should the new rows of out_r1")
    done = tidemill("review", "show", "r1", "-o", "page.html")
    assert done.out == "wrote page.html\n"
    page = (shop / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "&lt;b&gt;rows&lt;/b&gt; move" in page
    assert tidemill("review", "show", "r1", "-o", "page.md").code == 0
    assert (shop / "page.md").read_text().startswith("# Should")
    document = tidemill("review", "show", "r1", "--json").document
    assert document["page"]["title"].startswith("Should the new rows")
    assert document["review"]["id"] == "r1"
    missing = tidemill("review", "show", "r1", "-o", "no/such/folder.html")
    assert (missing.code, "can't be written" in missing.err) == (2, True)
    # Looking at a page decides nothing.
    assert "r1" in tidemill("review").out


def test_the_page_is_opened_in_the_browser(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask("r1")
    opened: list[str] = []
    monkeypatch.setattr(click, "launch", opened.append)
    assert tidemill("review", "show", "r1", "--open").code == 0
    [address] = opened
    assert address.startswith("file:///")
    assert Path(address.removeprefix("file://")).read_text().startswith("<!DOCTYPE html>")
