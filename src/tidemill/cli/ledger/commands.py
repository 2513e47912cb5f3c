"""The commands of `tidemill ledger`."""

from __future__ import annotations

from pathlib import Path

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.terminal.output import print_text
from tidemill.core.counts import are, plural


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@project_options
def export(file: Path) -> None:
    """Write the events of the ledger to FILE, one JSON document a line, as a backup.

    The last line has their number and a checksum, by which `rebuild` notices that a file isn't complete.
    Damaged events are left out and counted; then it exits with 1.
    """
    if file.exists():
        raise click.UsageError(f"{file} exists: choose another name")
    with project_session() as project:
        count, damaged = project.stored_state.export(file)
    print_text(f"wrote {plural(count, 'event')} to {file}")
    if damaged:
        print_text(f"left out {plural(len(damaged), 'damaged event')}", err=True)
        click.get_current_context().exit(1)


@click.command()
@click.option("--from", "source", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Read the events from a file that `ledger export` wrote.")  # fmt: skip
@click.option(
    "--skip-damaged", is_flag=True, help="Leave out events that can't be read or are missing."
)
@project_options
def rebuild(source: Path | None, skip_damaged: bool) -> None:
    """Make the ledger anew from its own events, or from exported ones.

    The old file is kept beside it. No run may be active, and no other process may have the ledger open,
    such as a notebook. What damaged events recorded is unknown afterwards: those partitions are computed
    again, and rulings and decisions are asked for again.
    """
    with project_session() as project:
        made = project.stored_state.rebuild(source, skip_damaged=skip_damaged)
    print_text(
        f"rebuilt the ledger from {plural(made.events, 'event')}; the old file is {made.kept}"
    )
    if made.newer:
        print_text(
            f"{are(made.newer, 'event')} newer than {source}: they are only in the old file",
            err=True,
        )
    if made.left_out:
        print_text(f"left out {plural(made.left_out, 'event')}", err=True)
