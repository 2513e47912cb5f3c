"""`tidemill env`: list, create, compare and drop environments, and what is published in them."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "list": ("tidemill.cli.env.commands:list_", "List the environments."),
        "create": (
            "tidemill.cli.env.commands:create",
            "Create a branch of an environment, without copying data.",
        ),
        "diff": (
            "tidemill.cli.env.commands:diff",
            "Compare the published data of two environments.",
        ),
        "adopt": (
            "tidemill.cli.env.commands:adopt",
            "Continue the environments of a workflow that was renamed.",
        ),
        "forget": (
            "tidemill.cli.env.commands:forget",
            "Remove what a stage published that is no longer declared.",
        ),
        "drop": (
            "tidemill.cli.env.commands:drop",
            "Drop environments; their results can still be reused.",
        ),
    },
)
def env() -> None:
    """List, create, compare and drop environments.

    `run --env NAME` runs in an environment, `promote` promotes it to another.
    """
