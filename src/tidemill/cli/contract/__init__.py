"""`tidemill contract`: show, compare, infer and exchange contracts."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "diff": (
            "tidemill.cli.contract.diff:diff",
            "Compare two contracts, and find consumers that may break.",
        ),
        "docs": (
            "tidemill.cli.contract.docs:docs",
            "Write a data dictionary of the workflow.",
        ),
        "export": (
            "tidemill.cli.contract.odcs:export",
            "Write a contract in the Open Data Contract Standard.",
        ),
        "history": (
            "tidemill.cli.contract.history:history",
            "List the contract versions that the partitions of STAGE passed.",
        ),
        "import": (
            "tidemill.cli.contract.odcs:import_",
            "Print the contracts of an ODCS file as Python.",
        ),
        "infer": (
            "tidemill.cli.contract.infer:infer",
            "Infer a contract from data files, or from a STAGE.",
        ),
        "sample": (
            "tidemill.cli.contract.sample:sample",
            "Generate synthetic rows that a contract allows.",
        ),
        "show": (
            "tidemill.cli.contract.show:show",
            "Show a contract, its producer and its consumers.",
        ),
    },
)
def contract() -> None:
    """Show, infer, compare, sample, document and exchange contracts."""
