"""The commands of `tidemill lineage`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import plain_text
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.terminal.output import print_text
from tidemill.core.counts import plural
from tidemill.core.printable import printable_json
from tidemill.project.shown_runs import LAST

if TYPE_CHECKING:
    from tidemill.project.openlineage import LineageStatus


@click.command()
@click.argument("run", default=LAST, metavar="[RUN]")
@click.option(
    "--format",
    "_form",
    type=click.Choice(["openlineage"]),
    default="openlineage",
    show_default=True,
    help="The format of the events.",
)
@project_options
def export(run: str, _form: str) -> None:
    """Print the events of RUN, one JSON document a line.

    RUN is an id, a prefix of one, or `last` (the default). Each time the same events are printed: those that
    the run sends. What the workflow says of columns is left out where it was changed since.
    """
    with project_session() as project:
        info = project.history.run(run)
        for line in project.openlineage.lines(info.id):
            print_text(printable_json(line), data=True)


@click.command()
@click.argument("run", default=LAST, metavar="[RUN]")
@project_options
def send(run: str) -> None:
    """Send the events of RUN to where the settings say, however long it takes.

    RUN is an id, a prefix of one, or `last` (the default). The events have the same ids each time, so that
    receivers know them again. Exits with 1 if some can't be sent.
    """
    with project_session() as project:
        info = project.history.run(run)
        found = project.openlineage.send(info.id)
    print_text(f"sent {plural(found.sent, 'event')} of run {info.id}")
    if found.dropped:
        reason = plain_text(found.reason)
        print_text(f"{plural(found.dropped, 'event')} couldn't be sent: {reason}", err=True)
        click.get_current_context().exit(1)


@click.command()
@json_option
@project_options
def status(as_json: bool) -> None:
    """Show where events are sent, and which weren't at the end of their runs.

    `tidemill lineage send RUN` sends those of a run again.
    """
    with project_session() as project:
        found = project.openlineage.status()
    print_result(
        "\n".join(_lines(found)),
        as_json,
        "tidemill.lineage_status/1",
        lambda: {
            "target": found.target,
            "namespace": found.namespace,
            "lost": [
                {"run": each.run, "events": each.events, "total": each.total, "reason": each.reason}
                for each in found.lost
            ],
        },
    )


def _lines(found: LineageStatus) -> Iterator[str]:
    if found.target:
        yield f"events are sent to {plain_text(found.target)}, in the namespace {found.namespace}"
    else:
        yield "events aren't sent: set url, file or command in [tool.tidemill.openlineage]"
    yield from (plain_text(each.message) for each in found.lost)
    if not found.lost:
        yield "none was lost"
