"""`tidemill contract docs`: write a data dictionary of the workflow."""

from __future__ import annotations

from pathlib import Path

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.dictionary_html import render_html
from tidemill.cli.render.dictionary_markdown import render_markdown
from tidemill.cli.render.json_document import json_option, print_document
from tidemill.cli.terminal.output import print_text
from tidemill.core.errors import StorageError

_WRITERS = {
    "markdown": (render_markdown, "dictionary.md"),
    "html": (render_html, "dictionary.html"),
}


@click.command()
@click.option("--to", "folder", metavar="FOLDER", type=click.Path(file_okay=False),
              help="Write dictionary.md and dictionary.html to FOLDER instead of stdout.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(list(_WRITERS)),
              help="Write only this format.  [default: markdown; both with --to]")  # fmt: skip
@json_option
@project_options
def docs(folder: str | None, form: str | None, as_json: bool) -> None:
    """Write a data dictionary of the workflow: all contracts, their producers and their consumers.

    The same workflow gives the same bytes, so that the dictionary can be committed and compared.
    """
    with project_session() as project:
        book = project.lineage.dictionary()
    if as_json:
        print_document("tidemill.contract.docs/1", {"dictionary": book}, data=True)
    if folder is None:
        if not as_json:
            print_text(_WRITERS[form or "markdown"][0](book), data=True, end="")
        return
    for name in (form,) if form else _WRITERS:
        write, file = _WRITERS[name]
        _write(Path(folder) / file, write(book))
        print_text(f"wrote {Path(folder) / file}", err=as_json)


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(f"{file} can't be written: {error.strerror}") from error
