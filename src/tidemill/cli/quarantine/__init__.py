"""`tidemill quarantine`: look at quarantined rows, and say what becomes of them."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "list": (
            "tidemill.cli.quarantine.inspect:list_",
            "Where rows are quarantined, and what was ruled on them.",
        ),
        "show": (
            "tidemill.cli.quarantine.inspect:show",
            "The quarantined rows, with their numbers and reasons.",
        ),
        "export": (
            "tidemill.cli.quarantine.inspect:export",
            "Write them to a CSV, Parquet or JSON file.",
        ),
        "release": (
            "tidemill.cli.quarantine.release:release",
            "Say that rows are good, as they are or corrected.",
        ),
        "drop": (
            "tidemill.cli.quarantine.release:drop",
            "Say that rows are to be left out for good.",
        ),
        "undo": (
            "tidemill.cli.quarantine.release:undo",
            "Take back a ruling: its rows are quarantined again.",
        ),
    },
)
def quarantine() -> None:
    """Look at quarantined rows, and say what becomes of them: the next run does it."""
