"""`tidemill quarantine`: inspect quarantined rows, and release, correct or drop them."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "list": (
            "tidemill.cli.quarantine.inspect:list_",
            "List partitions with quarantined rows, and the rulings on them.",
        ),
        "show": (
            "tidemill.cli.quarantine.inspect:show",
            "Show quarantined rows, with their numbers and reasons.",
        ),
        "export": (
            "tidemill.cli.quarantine.inspect:export",
            "Write quarantined rows to a CSV, Parquet or JSON file.",
        ),
        "release": (
            "tidemill.cli.quarantine.release:release",
            "Release rows, as they are or corrected.",
        ),
        "drop": (
            "tidemill.cli.quarantine.release:drop",
            "Drop rows for good.",
        ),
        "undo": (
            "tidemill.cli.quarantine.release:undo",
            "Undo a ruling: its rows are quarantined again.",
        ),
    },
)
def quarantine() -> None:
    """Inspect quarantined rows, and rule on them. The next run applies the rulings."""
