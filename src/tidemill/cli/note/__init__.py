"""`tidemill note`: write the note of a week, or the one for whoever takes over."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "weekly": (
            "tidemill.cli.note.commands:weekly",
            "Write the note of the week: four numbers, causes, one decision each.",
        ),
        "handoff": (
            "tidemill.cli.note.commands:handoff",
            "Write down what whoever takes over has to know.",
        ),
    },
)
def note() -> None:
    """Write the note of a week, or the one for whoever takes over."""
