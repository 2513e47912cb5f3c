"""`tidemill note weekly` and `tidemill note handoff`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import (
    json_option,
    markdown_option,
    print_document,
    release_output,
)
from tidemill.cli.terminal.output import print_text
from tidemill.core.errors import SendError
from tidemill.governance.page_text import markdown_page, text_page

if TYPE_CHECKING:
    from tidemill.governance.page_values import ReviewPage

_markdown_option = markdown_option("Write it as Markdown.")


@click.command()
@_markdown_option
@click.option("--send", is_flag=True, help="Send it by the channels of the settings, and keep it.")
@json_option
@project_options
def weekly(markdown: bool, send: bool, as_json: bool) -> None:
    """Write the note of the week: the four numbers, what changed, one decision for each, experiments.

    With `weekly` in [tool.tidemill.scorecard], `tidemill up` keeps it in the home and sends it by itself.
    """
    _require_one_form(markdown=markdown, as_json=as_json)
    failures: tuple[str, ...] = ()
    with project_session() as project:
        found = project.weekly_notes.write()
        if send:
            failures = project.weekly_notes.send(found)
            kept = project.weekly_notes.keep(found)
            print_text(f"kept in {kept}", err=True)
    if as_json:
        body = {"period": found.period, "page": found.page}
        print_document("tidemill.note.weekly/1", body)
    else:
        _print(found.page, markdown=markdown)
    if failures:
        raise SendError("; ".join(failures))


@click.command()
@_markdown_option
@json_option
@project_options
def handoff(markdown: bool, as_json: bool) -> None:
    """Write down what whoever takes over has to know.

    These are the open incidents, silenced alerts, reviews, failing stages, what runs and what is due next,
    paused schedules, and the last deliveries.
    """
    _require_one_form(markdown=markdown, as_json=as_json)
    with project_session() as project:
        page = project.hand_off()
    if as_json:
        print_document("tidemill.note.handoff/1", {"page": page})
    else:
        _print(page, markdown=markdown)


def _require_one_form(*, markdown: bool, as_json: bool) -> None:
    if markdown and as_json:
        raise click.UsageError("--json can't be combined with --markdown")


def _print(page: ReviewPage, *, markdown: bool) -> None:
    release_output()
    print_text(markdown_page(page).rstrip("\n") if markdown else text_page(page))
