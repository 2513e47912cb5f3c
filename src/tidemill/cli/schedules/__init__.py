"""`tidemill schedules`: when stages run by themselves, and what is due next."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    default="list",
    commands_at={
        "list": (
            "tidemill.cli.schedules.commands:list_",
            "List what is due next and why, and how the last runs ended.",
        ),
        "next": ("tidemill.cli.schedules.commands:next_", "Show the next times of a schedule."),
        "run": ("tidemill.cli.schedules.commands:run", "Run what is due now."),
        "pause": ("tidemill.cli.schedules.commands:pause", "Pause a schedule."),
        "resume": ("tidemill.cli.schedules.commands:resume", "Resume a paused schedule."),
    },
)
def schedules() -> None:
    """Show, run, pause and resume the schedules in the settings."""
