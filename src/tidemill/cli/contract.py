"""`tidemill contract`: read a contract, or scaffold one."""

from __future__ import annotations

import click

from tidemill.cli.group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "show": ("tidemill.cli.terms:show", "What the contract of a STAGE says, as a table."),
        "history": (
            "tidemill.cli.versions:history",
            "The versions that a STAGE's partitions passed.",
        ),
        "infer": ("tidemill.cli.infer:infer", "Print a contract that fits the data in PATH."),
    },
)
def contract() -> None:
    """Read a contract, or scaffold one from data."""
