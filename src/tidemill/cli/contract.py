"""`tidemill contract`: read a contract, or scaffold one."""

from __future__ import annotations

import click

from tidemill.cli.group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "docs": ("tidemill.cli.book:docs", "Write a data dictionary of the whole workflow."),
        "history": (
            "tidemill.cli.versions:history",
            "The versions that a STAGE's partitions passed.",
        ),
        "infer": (
            "tidemill.cli.infer:infer",
            "Print a contract that fits the data in PATH, or of a STAGE.",
        ),
        "show": ("tidemill.cli.terms:show", "What a contract says, who gives it and who reads it."),
    },
)
def contract() -> None:
    """Read a contract, or scaffold one from data."""
