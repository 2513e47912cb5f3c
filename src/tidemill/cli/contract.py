"""`tidemill contract`: read a contract, or scaffold one."""

from __future__ import annotations

import click

from tidemill.cli.group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "docs": ("tidemill.cli.book:docs", "Write a data dictionary of the whole workflow."),
        "show": ("tidemill.cli.terms:show", "What the contract of a STAGE says, as a table."),
        "infer": ("tidemill.cli.infer:infer", "Print a contract that fits the data in PATH."),
    },
)
def contract() -> None:
    """Read a contract, or scaffold one from data."""
