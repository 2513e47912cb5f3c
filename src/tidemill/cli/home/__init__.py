"""`tidemill home`: back up all that a project stored, restore it, and move it."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "backup": ("tidemill.cli.home.commands:backup", "Back up the home while it is in use."),
        "move": ("tidemill.cli.home.commands:move", "Move the home to PostgreSQL, or back."),
        "restore": ("tidemill.cli.home.commands:restore", "Make a home of a backup."),
        "verify-backup": (
            "tidemill.cli.home.commands:verify_backup",
            "Verify every file of a backup.",
        ),
    },
)
def home() -> None:
    """Back up all that a project stored, restore it, and move it.

    The home is the folder .tidemill: the ledger, the stored objects, logs and results of memos. Machines that
    share one have the ledger in PostgreSQL, and the objects in a store.
    """
