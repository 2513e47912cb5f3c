"""`tidemill review`: what waits for people, and their decisions."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    default="list",
    subcommand_metavar="COMMAND [ARGS]...",
    commands_at={
        "list": ("tidemill.cli.review.commands:list_", "List what waits for people; the default."),
        "show": (
            "tidemill.cli.review.show:show",
            "Show all that is needed to decide, as text, HTML or Markdown.",
        ),
        "approve": ("tidemill.cli.review.commands:approve", "Approve a change."),
        "reject": ("tidemill.cli.review.commands:reject", "Reject a change, or withdraw your own."),
        "changes": ("tidemill.cli.review.commands:changes", "Ask for changes."),
    },
)
def review() -> None:
    """List what waits for people; show it, approve it, reject it, or ask for changes."""
