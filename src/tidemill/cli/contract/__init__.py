"""`tidemill contract`: read a contract, or scaffold one."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "diff": ("tidemill.cli.contract.diff:diff", "What changes from one contract to another."),
        "docs": (
            "tidemill.cli.contract.docs:docs",
            "Write a data dictionary of the whole workflow.",
        ),
        "export": ("tidemill.cli.contract.odcs:export", "Write a contract as a document of ODCS."),
        "history": (
            "tidemill.cli.contract.history:history",
            "The versions that a STAGE's partitions passed.",
        ),
        "import": ("tidemill.cli.contract.odcs:import_", "Print the contracts in a file of ODCS."),
        "infer": (
            "tidemill.cli.contract.infer:infer",
            "Print a contract that fits the data in PATH, or of a STAGE.",
        ),
        "sample": ("tidemill.cli.contract.sample:sample", "Synthetic rows that a contract allows."),
        "show": (
            "tidemill.cli.contract.show:show",
            "What a contract says, who gives it and who reads it.",
        ),
    },
)
def contract() -> None:
    """Show, infer, compare, sample, document and exchange contracts."""
