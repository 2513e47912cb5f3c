"""`tidemill scorecard`: show four numbers of a workflow, with targets, trends, and what to do next."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from tidemill.core.errors import StorageError, UsageError
from tidemill.core.units import parse_seconds

if TYPE_CHECKING:
    from tidemill.scorecard.number import ScoreNumber
    from tidemill.scorecard.scorecard import Scorecard


@click.command()
@click.option("--window", "--since", default="", metavar="LENGTH",
              help="Over the days since so long ago, such as 7d (default: as the settings say).")  # fmt: skip
@click.option("--changes", is_flag=True,
              help="List the changes: what each took, and the age of those that wait.")  # fmt: skip
@markdown_option("Write it as Markdown.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write it to an HTML file with plots.")  # fmt: skip
@json_option
@project_options
def scorecard(window: str, changes: bool, markdown: bool, html: Path | None, as_json: bool) -> None:
    """Show four numbers: time to deliver changes, cost per inference, time to recover, data freshness.

    Each number has its 90th percentile, how many cases it is of, the value in the window before, its target,
    what changed most, and what to look at next. All are computed from the ledger.
    """
    if as_json and markdown:
        raise click.UsageError("--json can't be combined with --markdown")
    with project_session() as project:
        card = project.scorecards.make(_length(window))
    if html is not None:
        _write(card, html, changes=changes)
    if as_json:
        print_document("tidemill.scorecard/1", _values(card))
    elif html is None:
        release_output()
        print_text(_text(card, changes=changes, markdown=markdown), end="" if markdown else "\n")


def _length(text: str) -> float | None:
    if not text:
        return None
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise UsageError(f"--window {error}") from error


def _text(card: Scorecard, *, changes: bool, markdown: bool) -> str:
    pages, texts = (
        import_module(f"tidemill.{name}")
        for name in ("scorecard.scorecard_page", "governance.page_text")
    )
    encoding = (sys.stdout.encoding or "ascii").lower()
    page = (
        pages.changes_page(card)
        if changes
        else pages.scorecard_page(card, bars=markdown or encoding.startswith("utf"))
    )
    text: str = texts.markdown_page(page) if markdown else texts.text_page(page)
    return text


def _write(card: Scorecard, target: Path, *, changes: bool) -> None:
    drawn = import_module("tidemill.scorecard.scorecard_html")
    page: str = drawn.scorecard_html(card, changes=changes)
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{target} can't be written: {error.strerror or error}") from error
    print_text(f"written to {target}", err=True)


def _values(card: Scorecard) -> dict[str, Any]:
    return {
        "workflow": card.workflow,
        "environment": card.environment,
        "zone": card.zone,
        "since": card.first_day,
        "now": card.now,
        "numbers": [_number(number) for number in card.numbers],
        "changes": card.changes,
        "costs": card.costs,
        "recoveries": card.recoveries,
        "freshness": card.freshness,
    }


def _number(number: ScoreNumber) -> dict[str, Any]:
    names = (
        *("name", "title", "unit", "value", "value_grows", "high", "high_name", "high_unit"),
        *("high_grows", "n", "counted", "currency", "missing"),
        *("previous", "trend", "change", "target", "is_met", "points", "cause"),
        *("action", "command", "facts"),
    )
    return {name: getattr(number, name) for name in names}
