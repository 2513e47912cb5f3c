"""`tidemill incidents`: list what is wrong; show, open or resolve an incident."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    default="list",
    commands_at={
        "list": (
            "tidemill.cli.incidents.commands:list_",
            "List open and recent incidents: what, since when, whose, and the command to look.",
        ),
        "show": ("tidemill.cli.incidents.commands:show", "Show an incident and its timeline."),
        "open": (
            "tidemill.cli.incidents.commands:open_",
            "Open an incident that you see yourself.",
        ),
        "resolve": ("tidemill.cli.incidents.commands:resolve", "Close an incident, with a reason."),
    },
)
def incidents() -> None:
    """List what is wrong; show, open or resolve an incident."""
