"""`tidemill contract`: read a contract, or scaffold one."""

from __future__ import annotations

import click

from tidemill.cli.group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "diff": ("tidemill.cli.differ:diff", "What changes from one contract to another."),
        "docs": ("tidemill.cli.book:docs", "Write a data dictionary of the whole workflow."),
        "export": ("tidemill.cli.exchange:export", "Write a contract as a document of ODCS."),
        "history": (
            "tidemill.cli.versions:history",
            "The versions that a STAGE's partitions passed.",
        ),
        "import": ("tidemill.cli.exchange:import_", "Print the contracts in a file of ODCS."),
        "infer": (
            "tidemill.cli.infer:infer",
            "Print a contract that fits the data in PATH, or of a STAGE.",
        ),
        "sample": ("tidemill.cli.sample:sample", "Synthetic rows that a contract allows."),
        "show": ("tidemill.cli.terms:show", "What a contract says, who gives it and who reads it."),
    },
)
def contract() -> None:
    """Show, infer, compare, sample, document and exchange contracts."""
