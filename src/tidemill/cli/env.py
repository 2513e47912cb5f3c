"""`tidemill env`: which environments there are, how one begins, what differs, and how it ends."""

from __future__ import annotations

import click

from tidemill.cli.group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "list": ("tidemill.cli.environments:list_", "The environments that there are."),
        "create": (
            "tidemill.cli.environments:create",
            "Begin one, with all that another has now; nothing is copied.",
        ),
        "diff": ("tidemill.cli.environments:diff", "What one holds differently than another."),
        "drop": ("tidemill.cli.environments:drop", "End some; what they computed stays known."),
    },
)
def env() -> None:
    """Environments: `run --env NAME` works in one, `promote` takes what it does to another."""
