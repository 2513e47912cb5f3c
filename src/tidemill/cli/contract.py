"""`tidemill contract`: contracts from data."""

from __future__ import annotations

import click

from tidemill.cli.group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "infer": ("tidemill.cli.infer:infer", "Print a contract that fits the data in PATH."),
    },
)
def contract() -> None:
    """Scaffold contracts from data."""
