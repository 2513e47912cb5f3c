"""`tidemill audit`: who did what, and proof that nobody changed the records."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "show": ("tidemill.cli.audit.commands:show", "Show who did what, when and why."),
        "verify": (
            "tidemill.cli.audit.commands:verify",
            "Compare the events with the checkpoints that are kept elsewhere.",
        ),
        "checkpoint": (
            "tidemill.cli.audit.commands:checkpoint",
            "Make a signed checkpoint now.",
        ),
        "export": ("tidemill.cli.audit.commands:export", "Write the events for an auditor."),
        "prove": (
            "tidemill.cli.audit.proofs:prove",
            "Prove that a decision was recorded, to somebody without the ledger.",
        ),
        "check-proof": ("tidemill.cli.audit.proofs:check", "Verify such a proof."),
    },
)
def audit() -> None:
    """Show who did what, and prove that nobody changed the records.

    Whoever can write the home's files is its administrator, and can change the ledger and its hash chain.
    What shows that is a signed checkpoint that is kept where they can't write.
    """
