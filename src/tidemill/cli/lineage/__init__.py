"""`tidemill lineage`: show runs to other tools, as events of OpenLineage."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "export": ("tidemill.cli.lineage.commands:export", "Print the events of RUN."),
        "status": (
            "tidemill.cli.lineage.commands:status",
            "Show where events are sent, and which weren't.",
        ),
        "send": ("tidemill.cli.lineage.commands:send", "Send the events of RUN again."),
    },
)
def lineage() -> None:
    """Show runs to other tools, as events of OpenLineage.

    Runs send them by themselves when [tool.tidemill.openlineage] in pyproject.toml says where to.
    """
