"""`tidemill console`: see the work in a browser."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.garbage import leave_out_all
from tidemill.cli.lazy_group import place_options, project_location
from tidemill.cli.terminal.interrupt import ends_by_itself
from tidemill.cli.terminal.output import print_text
from tidemill.core.errors import UsageError
from tidemill.core.extras import install_command
from tidemill.project.settings import find_settings

if TYPE_CHECKING:
    from tidemill.console.server import RunningConsole


@click.command()
@click.option("--host", default=None, metavar="ADDRESS",
              help="The address to listen on.  [default: 127.0.0.1]")  # fmt: skip
@click.option("--port", default=None, type=click.IntRange(0, 65535), metavar="PORT",
              help="The port to listen on; 0 takes a free one.  [default: 8484, or the next]")  # fmt: skip
@click.option("--link", is_flag=True,
              help="Print a new link to log in with at the console that runs, and end.")  # fmt: skip
@place_options
def console(link: bool, **given: Any) -> None:
    """Show the project in a browser until Ctrl-C or SIGTERM: what is wrong, what waits, what runs.

    A link logs you in, once: it prints one in a terminal, and --link prints another. Others log in with
    tokens of `tidemill tokens create`. Settings are in [tool.tidemill.console]. Beyond loopback roles have
    to be declared.
    """
    at = project_location()
    settings = find_settings(Path(at.project).resolve(), at.workflow)
    try:
        server = import_module("tidemill.console.server")
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the console needs {error.name}: {install_command(error.name or '')}"
        ) from error
    if link:
        print_text(server.new_link(settings))
        return
    leave_out_all()
    chosen = {name: value for name, value in given.items() if value is not None}
    ends_by_itself.set()
    try:
        server.run_console(settings, replace(settings.console, **chosen), at.workflow, _announce)
    finally:
        ends_by_itself.clear()


def _announce(running: RunningConsole) -> None:
    if running.lack:
        print_text(running.lack, err=True)
    if sys.stdout.isatty():
        print_text(f"{running.link} logs you in, once")
    # A log isn't for what lets its readers in.
    print_text(
        f"console: {running.url} (process {os.getpid()}); `tidemill console --link` prints a link that logs "
        "you in"
    )
