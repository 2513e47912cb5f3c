"""`tidemill runs`: what was run, what steps said, and how stages perform."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup

_DEFAULT = "show"


class _Runs(LazyGroup):
    """Without a command it shows: `tidemill runs` lists, `tidemill runs last` tells of one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = bool(args) and args[0] in (*self.list_commands(ctx), *ctx.help_option_names)
        return super().parse_args(ctx, args if named else [_DEFAULT, *args])


@click.group(
    cls=_Runs,
    subcommand_metavar="[RUN] | COMMAND [ARGS]...",
    commands_at={
        "show": (
            "tidemill.cli.runs.show:show",
            "The last runs, or all about RUN; needn't be said: `tidemill runs last`.",
        ),
        "logs": ("tidemill.cli.runs.logs:logs", "What the steps of RUN printed and logged."),
        "stages": (
            "tidemill.cli.runs.stages:stages",
            "How often, how long and how well stages ran.",
        ),
    },
)
def runs() -> None:
    """What was run: the last runs, or all about RUN, such as `last`."""
