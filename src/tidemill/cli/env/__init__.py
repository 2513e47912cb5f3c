"""`tidemill env`: which environments there are, how one begins, what differs, and how it ends."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "list": ("tidemill.cli.env.commands:list_", "The environments that there are."),
        "create": (
            "tidemill.cli.env.commands:create",
            "Begin one, with all that another has now; nothing is copied.",
        ),
        "diff": ("tidemill.cli.env.commands:diff", "What one holds differently than another."),
        "drop": ("tidemill.cli.env.commands:drop", "End some; what they computed stays known."),
    },
)
def env() -> None:
    """Environments: `run --env NAME` works in one, `promote` takes what it does to another."""
