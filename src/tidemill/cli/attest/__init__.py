"""`tidemill attest`: say how models and tables were made, and verify what was said."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup

_DEFAULT = "write"
_COMMANDS = {
    "write": (
        "tidemill.cli.attest.commands:write",
        "Attest a version of a model, or a table; the default.",
    ),
    "verify": ("tidemill.cli.attest.commands:verify", "Verify an attestation."),
}


class _Attest(LazyGroup):
    """A group whose default command is `write`, so that `attest MODEL` attests a model."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_named = bool(args) and (args[0] in _COMMANDS or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if is_named or not args else [_DEFAULT, *args])


@click.group(cls=_Attest, subcommand_metavar="NAME | COMMAND [ARGS]...", commands_at=_COMMANDS)
def attest() -> None:
    """Say how versions of models and tables were made, signed if you wish, and verify it.

    `tidemill attest NAME` is short for `tidemill attest write NAME`.
    """
