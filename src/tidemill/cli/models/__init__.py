"""`tidemill models`: list, show, compare and export the versions of models."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    default="list",
    subcommand_metavar="COMMAND [ARGS]...",
    commands_at={
        "list": (
            "tidemill.cli.models.commands:list_",
            "List all versions of all models; the default.",
        ),
        "show": ("tidemill.cli.models.commands:show", "Show a version of MODEL."),
        "compare": (
            "tidemill.cli.models.compare:compare",
            "Compare two versions of MODEL, and time their predictions.",
        ),
        "card": ("tidemill.cli.models.card:card", "Write the model card of a version."),
        "bom": ("tidemill.cli.models.bom:bom", "Write the bill of materials of a version."),
        "history": (
            "tidemill.cli.models.commands:history",
            "Show what was live when, by whom and why.",
        ),
        "export": (
            "tidemill.cli.models.commands:export",
            "Write a version of MODEL to a folder, with a manifest.",
        ),
        "mirror": (
            "tidemill.cli.models.mirror:mirror",
            "Bring an MLflow server up to date with all models.",
        ),
    },
)
def models() -> None:
    """List, show, compare and export the versions of models."""
