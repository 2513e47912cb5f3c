"""The commands of `tidemill sweep`."""

from __future__ import annotations

from datetime import datetime

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.terminal.output import print_text
from tidemill.core.text_table import text_table
from tidemill.operations.retention_wording import SWEEP_HEADERS, sweep_lines, sweep_rows
from tidemill.operations.swept import SweepReport


@click.command()
@click.option("--dry-run", is_flag=True, help="Only list what would go, why, and how many bytes.")
@json_option
@project_options
def run(dry_run: bool, as_json: bool) -> None:
    """Remove what nothing needs any more, and report what that saved.

    Only one sweep works at a time; another one ends with exit code 6 and says who it is. What a run that is
    active may still use is deleted by the next sweep. Exits with 1 if something couldn't be deleted.
    """
    with project_session() as project:
        found = project.retention.preview() if dry_run else project.retention.sweep()
    print_result(_report_text(found), as_json, "tidemill.sweep/1", lambda: {"sweep": found})
    click.get_current_context().exit(1 if found.failed else 0)


@click.command()
@click.argument("what", metavar="OBJECT|STAGE[@PARTITION]")
@json_option
@project_options
def why(what: str, as_json: bool) -> None:
    """Say what keeps an object, or the results of a stage or of one of its partitions."""
    with project_session() as project:
        found = project.retention.keepers(what)
    rows = [(each.what, _moment(each.since), each.kept_by) for each in found]
    text = text_table(("result", "superseded", "kept by"), rows)
    print_result(text, as_json, "tidemill.kept/1", lambda: {"kept": found})


@click.command()
@click.argument("target", metavar="OBJECT|RUN|STAGE[@PARTITION]")
@click.option("--reason", required=True, metavar="TEXT", help="Record why.")
@project_options
def pin(target: str, reason: str) -> None:
    """Keep an object, the results of a run, or those of a stage, until somebody removes the pin."""
    with project_session() as project:
        made = project.retention.pin(target, reason=reason)
    print_text(
        f"pinned {made.target} ({made.id}); `tidemill sweep unpin {made.id}` removes the pin"
    )


@click.command()
@click.argument("pin", metavar="PIN")
@click.option("--reason", default="", metavar="TEXT", help="Record why.")
@project_options
def unpin(pin: str, reason: str) -> None:
    """Remove a pin, by its id or by what it pins; a later sweep may then remove that."""
    with project_session() as project:
        removed = project.retention.unpin(pin, reason=reason)
    print_text(f"{removed.target} isn't pinned any more")


@click.command()
@json_option
@project_options
def pins(as_json: bool) -> None:
    """List what people pinned, and why."""
    with project_session() as project:
        found = project.retention.pins()
    rows = [(each.id, each.target, each.actor, _moment(each.at), each.reason) for each in found]
    text = (
        text_table(("pin", "what", "who", "since", "reason"), rows) if rows else "nothing is pinned"
    )
    print_result(text, as_json, "tidemill.pins/1", lambda: {"pins": found})


def _report_text(found: SweepReport) -> str:
    rows = [*sweep_rows(found)]
    table = [text_table(SWEEP_HEADERS, rows)] if rows else []
    return "\n".join([*table, *sweep_lines(found)])


def _moment(at: float | None) -> str:
    return "" if at is None else f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}"
