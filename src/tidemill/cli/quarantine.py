"""`tidemill quarantine`: look at quarantined rows, and say what becomes of them."""

from __future__ import annotations

import click

from tidemill.cli.group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "list": (
            "tidemill.cli.held:list_",
            "Where rows are quarantined, and what was ruled on them.",
        ),
        "show": ("tidemill.cli.held:show", "The quarantined rows, with their numbers and reasons."),
        "export": ("tidemill.cli.held:export", "Write them to a CSV, Parquet or JSON file."),
        "release": (
            "tidemill.cli.rule:release",
            "Say that rows are good, as they are or corrected.",
        ),
        "drop": ("tidemill.cli.rule:drop", "Say that rows are to be left out for good."),
        "undo": ("tidemill.cli.rule:undo", "Take back a ruling: its rows are quarantined again."),
    },
)
def quarantine() -> None:
    """Look at quarantined rows, and say what becomes of them: the next run does it."""
