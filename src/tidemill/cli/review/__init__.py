"""`tidemill review`: what waits for people, and their decisions."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup, project_options


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    commands_at={
        "list": ("tidemill.cli.review.commands:list_", "List what waits for people."),
        "show": (
            "tidemill.cli.review.show:show",
            "Show all that is needed to decide, as text, HTML or Markdown.",
        ),
        "approve": ("tidemill.cli.review.commands:approve", "Approve a change."),
        "reject": ("tidemill.cli.review.commands:reject", "Reject a change, or withdraw your own."),
        "changes": ("tidemill.cli.review.commands:changes", "Ask for changes."),
    },
)
@project_options
@click.pass_context
def review(ctx: click.Context) -> None:
    """List what waits for people; show it, approve it, reject it, or ask for changes.

    Without a command it lists the open reviews.
    """
    if ctx.invoked_subcommand is None:
        command = review.get_command(ctx, "list")
        assert command is not None
        ctx.invoke(command, everything=False, as_json=False)
