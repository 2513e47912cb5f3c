"""`tidemill ledger`: export the events of the ledger, rebuild it from them, or compact them."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "compact": (
            "tidemill.cli.ledger.compaction:compact",
            "Make old events smaller: they keep their figures.",
        ),
        "export": ("tidemill.cli.ledger.commands:export", "Write the events as JSON lines."),
        "rebuild": (
            "tidemill.cli.ledger.commands:rebuild",
            "Make the ledger anew from its events.",
        ),
    },
)
def ledger() -> None:
    """Export the events of the ledger, rebuild it from them, or compact them.

    Everything that Tidemill knows of past runs and of published data is derived from events.
    """
