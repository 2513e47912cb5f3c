"""Complete the names of stages, environments, schedules and runs in arguments of commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from tidemill.project.completion import Named, find_names
from tidemill.workflow.environment import PRODUCTION

# Parameters by their name, or by that of their command and their own.
_NAMED: Mapping[str, Named] = {
    "stage": Named.STAGE,
    "stages": Named.STAGE,
    "model": Named.STAGE,
    "train": Named.STAGE,
    "environment": Named.ENVIRONMENT,
    "promote source": Named.ENVIRONMENT,
    "promote target": Named.ENVIRONMENT,
    "env diff one": Named.ENVIRONMENT,
    "env diff other": Named.ENVIRONMENT,
    "env drop names": Named.ENVIRONMENT,
    "schedules next name": Named.SCHEDULE,
    "schedules run name": Named.SCHEDULE,
    "schedules pause name": Named.SCHEDULE,
    "schedules resume name": Named.SCHEDULE,
    "runs show run": Named.RUN,
    "runs logs run": Named.RUN,
    "restore run": Named.RUN,
    "lineage send run": Named.RUN,
    "report subject": Named.RUN,
}


def complete_names(command: click.Command) -> None:
    """Let the parameters of a command that take names complete them."""
    for param in command.params:
        if param.name is not None:
            param.shell_complete = partial(_complete, param)  # type: ignore[method-assign]


def _complete(
    param: click.Parameter, ctx: click.Context, incomplete: str
) -> list[CompletionItem[str]]:
    path = ctx.command_path.partition(" ")[2]
    kind = _NAMED.get(f"{path} {param.name}", _NAMED.get(param.name or ""))
    if kind is None:
        return type(param).shell_complete(param, ctx, incomplete)
    start = Path(ctx.meta.get("tidemill.project", os.curdir))
    environment = ctx.meta.get("tidemill.environment", PRODUCTION)
    names = find_names(start, kind, environment)
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
