"""`tidemill status`: what is wrong, what waits for people, what runs, and what is due."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import project_location, project_options
from tidemill.cli.render.json_document import json_option, print_result, text_width
from tidemill.cli.render.status import render_status

if TYPE_CHECKING:
    from tidemill.operations.status_report import StatusReport


@click.command()
@click.option("--supervisor", is_flag=True,
              help="Exit with 1 only if no `tidemill up` works or stands by: for health checks.")  # fmt: skip
@json_option
@project_options
def status(supervisor: bool, as_json: bool) -> None:
    """Show how an environment is doing, in about ten lines, each with the command to look.

    What is wrong, what waits for whom, what runs and how far it is, what is due and why, and whether a
    `tidemill up` works. Exit code 1 if something is wrong.
    """
    at = project_location()
    # The workflow isn't imported: it may be what is wrong.
    service = import_module("tidemill.project.status")
    found: StatusReport = service.read_status(
        Path(at.project), workflow=at.workflow, environment=at.environment
    )
    text = render_status(found, text_width())
    print_result(text, as_json, "tidemill.status/1", lambda: {"status": found})
    code = int(not found.is_supervised) if supervisor else found.exit_code
    click.get_current_context().exit(code)
