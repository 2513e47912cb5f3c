"""`tidemill up`: watch, run, serve and clean up, in one process."""

from __future__ import annotations

import os
from datetime import datetime
from importlib import import_module
from pathlib import Path

import click

from tidemill.cli.garbage import leave_out_all
from tidemill.cli.lazy_group import command_line, project_location, project_options
from tidemill.cli.terminal.interrupt import ends_by_itself
from tidemill.cli.terminal.output import print_text
from tidemill.ledger.access_token import TOKEN_VARIABLE


@click.command()
@click.option("--once", is_flag=True, help="Do what is due now, and end: for cron. Serves nothing.")
@click.option("--serve/--no-serve", default=None,
              help="Serve the workflow's endpoints, or don't.  [default: as the settings say]")  # fmt: skip
@click.option("--console/--no-console", default=None,
              help="Open the console, or don't.  [default: as the settings say]")  # fmt: skip
@project_options
def up(once: bool, serve: bool | None, console: bool | None) -> None:
    """Run what changed whenever it changes, and all else that is due, until Ctrl-C or SIGTERM.

    Watches the sources and the code of the workflow, keeps schedules and triggers, runs, gates, delivers,
    serves, opens the console, sends notices and cleans up. Settings are in [tool.tidemill.up]. A second one
    on the same home stands by until the first has ended. `tidemill status` shows what it does and why.
    """
    at = project_location()
    if at.token:
        # The processes that do the work act as its holder.
        os.environ[TOKEN_VARIABLE] = at.token
    # Nothing that `up` imports may need Polars or the workflow.
    service = import_module("tidemill.project.up")
    leave_out_all()
    ends_by_itself.set()
    try:
        code = service.run_up(
            Path(at.project),
            workflow=at.workflow,
            environment=at.environment,
            command=command_line(),
            once=once,
            serve=serve,
            console=console,
            say=_say,
        )
    finally:
        ends_by_itself.clear()
    click.get_current_context().exit(code)


def _say(text: str) -> None:
    first, *rest = text.splitlines() or [""]
    print_text(
        "\n".join([f"{datetime.now():%H:%M:%S} {first}", *(f"         {line}" for line in rest)])
    )
