"""`tidemill review show`: the page of a review."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_document
from tidemill.cli.review.commands import entry
from tidemill.cli.terminal.block import terminal_size
from tidemill.cli.terminal.output import print_text
from tidemill.core.errors import UsageError
from tidemill.governance.page_html import html_page
from tidemill.governance.page_text import markdown_page, text_page

if TYPE_CHECKING:
    from tidemill.governance.page_values import ReviewPage
    from tidemill.project.reviews import Reviews

_FORMATS = {"text": text_page, "html": html_page, "markdown": markdown_page}


@click.command()
@click.argument("review", default="")
@click.option("--format", "form", type=click.Choice([*_FORMATS]), default=None,
              help="How to write the page.  [default: by the name of the file, else text]")  # fmt: skip
@click.option("-o", "--output", "file", default="", metavar="FILE",
              help="Write the page there.")  # fmt: skip
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@json_option
@project_options
def show(review: str, form: str | None, file: str, opens: bool, as_json: bool) -> None:
    """Show all that is needed to decide on REVIEW, named by a unique prefix of its id; default: the open one.

    What changes and why now, what gets worse, who may decide, how to go back; then metrics with intervals
    against what is live, the predictions that move most, gates, rules, data, contracts, code and cost. The
    HTML page is one file without scripts, which can be sent to others; opening it decides nothing.
    """
    with project_session() as project:
        state = project.reviews.find(review or _only_open(project.reviews))
        page = project.reviews.show(state.review.id)
    wanted = form or ("html" if opens else _by_name(file))
    if as_json:
        print_document("tidemill.review/1", {**entry(state), "page": page}, data=True)
        return
    if opens and not file:
        folder = tempfile.mkdtemp(prefix="tidemill-review-")
        file = str(Path(folder) / f"{state.review.id}.html")
    if file:
        _write(Path(file), page, wanted)
        print_text(f"wrote {file}")
    else:
        shown = text_page(page, _width()) if wanted == "text" else _FORMATS[wanted](page)
        print_text(shown.rstrip("\n"), data=True)
    if opens:
        click.launch(Path(file).resolve().as_uri())


def _only_open(reviews: Reviews) -> str:
    found = [state.review.id for state in reviews.list()]
    if len(found) == 1:
        return found[0]
    waiting = f"several reviews are open: {', '.join(found)}" if found else "no review is open"
    raise UsageError(f"{waiting}; name one (`tidemill review list --all` lists them)")


def _width() -> int:
    """The columns of the terminal; 0 if the output goes elsewhere."""
    return terminal_size(sys.stdout)[0] if sys.stdout.isatty() else 0


def _by_name(file: str) -> str:
    suffixes = {".html": "html", ".htm": "html", ".md": "markdown"}
    return suffixes.get(Path(file).suffix.lower(), "text")


def _write(path: Path, page: ReviewPage, form: str) -> None:
    text = _FORMATS[form](page)
    try:
        path.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error}") from error
