"""`tidemill alerts`: check what is wrong and send alerts, without `tidemill up`; test a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.counts import plural
from tidemill.operations.incident import IncidentStatus

if TYPE_CHECKING:
    from tidemill.project.alerts import AlertReport

_WRONG = 1


@click.group()
def alerts() -> None:
    """Check what is wrong and alert whom it concerns; test a channel."""


@alerts.command("check")
@json_option
@project_options
@click.pass_context
def check(context: click.Context, as_json: bool) -> None:
    """Open and close incidents, and send the alerts that are due. Exit code 1 if something is wrong.

    `tidemill up` does this by itself. Without it, call this after runs and every few minutes.
    """
    with project_session() as project:
        report = project.alerts.check()
        lines = project.incidents.open_lines()
    print_result(
        "\n".join((_summary(report), *lines, *report.failures)),
        as_json,
        "tidemill.alerts.check/1",
        lambda: {
            "events": [{"event": type(event).__name__, "detail": event} for event in report.events],
            "open": [state.id for state in report.open],
            "failures": report.failures,
        },
    )
    if any(state.status is IncidentStatus.OPEN for state in report.open):
        context.exit(_WRONG)


def _summary(report: AlertReport) -> str:
    changed = f"; {plural(len(report.events), 'change')} recorded" if report.events else ""
    return f"{plural(len(report.open), 'open incident')}{changed}"


@alerts.command("test")
@click.argument("channel")
@json_option
@project_options
def test(channel: str, as_json: bool) -> None:
    """Send a test by CHANNEL of [tool.tidemill.alerts.channels]."""
    with project_session() as project:
        project.alerts.test_channel(channel)
    print_result(
        f"{channel} accepted a test",
        as_json,
        "tidemill.alerts.test/1",
        lambda: {"channel": channel},
    )
