"""`tidemill runs`: list past runs; show one, its logs, or the performance of stages."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import LazyGroup

_DEFAULT = "show"


class _Runs(LazyGroup):
    """A group whose default command is `show`: `tidemill runs last` is `tidemill runs show last`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = bool(args) and args[0] in (*self.list_commands(ctx), *ctx.help_option_names)
        return super().parse_args(ctx, args if named else [_DEFAULT, *args])


@click.group(
    cls=_Runs,
    subcommand_metavar="[RUN] | COMMAND [ARGS]...",
    commands_at={
        "show": (
            "tidemill.cli.runs.show:show",
            "List the last runs, or show RUN: `tidemill runs last` shows the newest.",
        ),
        "logs": ("tidemill.cli.runs.logs:logs", "Show what the steps of RUN printed and logged."),
        "stages": (
            "tidemill.cli.runs.stages:stages",
            "Show the performance of stages: failures, durations, throughput.",
        ),
    },
)
def runs() -> None:
    """List the last runs, or show RUN, such as `last`."""
