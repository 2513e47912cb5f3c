"""A command group that imports commands when they are called, and options that all commands share."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tidemill.cli.terminal.output import print_error
from tidemill.core.errors import TidemillError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.environment import PRODUCTION

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

BROKEN_PIPE = 141
_META = "tidemill"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectLocation:
    """The project, workflow and environment of a command.

    With `create` a new environment may be begun, with a `sample` and a `profile`. `params` are parameters
    of models for one run. `token` is that of who acts.
    """

    project: str = "."
    workflow: str | None = None
    environment: str = PRODUCTION
    create: bool = False
    sample: float | None = None
    profile: str | None = None
    params: tuple[str, ...] = ()
    token: str = ""


class LazyGroup(click.Group):
    """A group that knows each command by "module:name" and one line of help.

    With a `default` that command is called where none is named.
    """

    def __init__(
        self, *, commands_at: Mapping[str, tuple[str, str]], default: str = "", **attributes: Any
    ) -> None:
        super().__init__(**attributes)
        self._at = dict(commands_at)
        self._default = default

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._at:
            return None
        module, _, name = self._at[cmd_name][0].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        if ctx.resilient_parsing:
            # A shell completes what is typed.
            import_module("tidemill.cli.completed_names").complete_names(command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Complete the names of commands without importing any, or else options."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=help)
            for name, (_, help) in self._at.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = args[0] in self._at or args[0].startswith("-")
        if not known and not ctx.resilient_parsing:
            advice = did_you_mean(args[0], self._at)
            raise click.UsageError(f"there is no command {args[0]!r} ({advice})", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their line of help, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in self._at.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Users type the program's name, however this process was started.
        ctx.meta.setdefault(f"{_META}.command", shlex.join(["tidemill", *args]))
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        named = bool(args) and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        if self._default and not named and not ctx.resilient_parsing:
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _forget_output()
            ctx.exit(BROKEN_PIPE)
        except TidemillError as error:
            print_error(str(error))
            ctx.exit(error.exit_code)
        return result


def _forget_output() -> None:
    """Send what is still buffered to /dev/null: the reader of the output (`| head`) is gone."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        # A stdout that isn't a file (in a test) has nothing to flush.
        return


def project_options(function: F) -> F:
    """Add `-C`, `-w` and `--env`. They work before and after a command; the one after it wins."""
    env = click.option("--env", "environment", expose_value=False, callback=_note, metavar="NAME",
                       help="The environment to work in.  [default: prod]")  # fmt: skip
    return place_options(env(function))


def place_options(function: F) -> F:
    """Add `-C` and `-w`, for commands whose arguments name the environments."""
    decorated: Any = function
    for option in (
        click.option("-w", "--workflow", expose_value=False, callback=_note, metavar="MODULE:NAME",
                     help="The workflow to use instead of the one in pyproject.toml."),
        click.option("-C", "--project", expose_value=False, callback=_note, metavar="PATH",
                     type=click.Path(exists=True, file_okay=False),
                     help="The project's folder.  [default: this one, or the nearest above]"),
    ):  # fmt: skip
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def environment_options(function: F) -> F:
    """Add `--create`, `--sample` and `--profile`, for commands that may begin a new environment."""
    decorated: Any = function
    for option in (
        click.option("--profile", expose_value=False, callback=_note, metavar="NAME",
                     help="The run profile of a new environment for its lifetime, such as experiment; for "
                          "one run, one that changes no result, such as large."),
        click.option("--sample", type=float, expose_value=False, callback=_note, metavar="SHARE",
                     help="The share of source rows that a new environment samples for its lifetime, such as "
                     "0.05."),
        click.option("--create", is_flag=True, default=None, expose_value=False, callback=_note,
                     help="Create the environment of --env as a branch of prod if there is none."),
    ):  # fmt: skip
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def param_option(function: F) -> F:
    """Add `--param`, for commands that plan or run with other parameters once."""
    option = click.option("--param", "params", multiple=True, expose_value=False, callback=_note,
                          metavar="MODEL.NAME=VALUE",
                          help="Train MODEL with another parameter for this run, not in prod.")  # fmt: skip
    return option(function)


def _note(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    assert param.name is not None
    return remember(ctx, param.name, value)


def remember(ctx: click.Context, name: str, value: Any) -> Any:
    """Remember a value of the command line for `project_location`, unless it is None."""
    if value is not None:
        ctx.meta[f"{_META}.{name}"] = value
    return value


def project_location() -> ProjectLocation:
    """The options of the command line that name the project."""
    meta = click.get_current_context().meta
    names = ("project", "workflow", "environment", "create", "sample", "profile", "params", "token")
    given = {name: meta[f"{_META}.{name}"] for name in names if f"{_META}.{name}" in meta}
    return ProjectLocation(**given)


def command_line() -> str:
    """The command as the user typed it."""
    return str(click.get_current_context().meta[f"{_META}.command"])
