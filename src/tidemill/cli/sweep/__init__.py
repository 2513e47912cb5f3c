"""`tidemill sweep`: remove what nothing needs any more, say what keeps the rest, and pin what must stay."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    default="run",
    subcommand_metavar="[--dry-run] | COMMAND [ARGS]...",
    commands_at={
        "run": ("tidemill.cli.sweep.commands:run", "Remove what nothing needs any more."),
        "why": ("tidemill.cli.sweep.commands:why", "Say what keeps an object or a result."),
        "pin": ("tidemill.cli.sweep.commands:pin", "Keep an object, a run or a stage."),
        "unpin": ("tidemill.cli.sweep.commands:unpin", "Remove a pin."),
        "pins": ("tidemill.cli.sweep.commands:pins", "List the pins."),
    },
)
def sweep() -> None:
    """Remove what nothing needs any more: superseded results, orphaned objects, old logs, unused memos.

    `tidemill sweep --dry-run` lists what would go, and why. What is kept for how long is in
    `[tool.tidemill.retention]` of pyproject.toml.
    """
