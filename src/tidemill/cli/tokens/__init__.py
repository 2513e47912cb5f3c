"""`tidemill tokens`: create, list and revoke the tokens that open endpoints."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup


@click.group(
    cls=LazyGroup,
    commands_at={
        "create": (
            "tidemill.cli.tokens.commands:create",
            "Create a token, and show it once.",
        ),
        "list": ("tidemill.cli.tokens.commands:list_", "List the tokens, without their secrets."),
        "revoke": ("tidemill.cli.tokens.commands:revoke", "Revoke a token."),
    },
)
def tokens() -> None:
    """Create, list and revoke the tokens that open endpoints of an environment."""
