"""The arguments that `plan` and `run` share: a stage, and which partitions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_DURATION = r"(\d+(?:\.\d+)?)(s|m|h|)"
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def parse_duration(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Parse `30`, `30s`, `5m` or `1h` to seconds; the callback of an option."""
    match = re.fullmatch(_DURATION, value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a duration such as 30s, 5m or 1h")
    return float(match[1]) * _SECONDS[match[2]]


def request_options(function: F) -> F:
    """Add [STAGE] [PARTITION] and the options of a request, under the names of `Project.plan`."""
    decorated: Any = function
    for option in (
        click.option("--allow-removals", default="", metavar="ID",
                     help="Remove what sources lost; `tidemill plan` shows it, and its ID."),
        click.option("--verify-sources", is_flag=True,
                     help="Hash every source file, not only those that look changed."),
        click.option("--train", multiple=True, metavar="MODEL",
                     help="Train MODEL even if no trigger fires; can be repeated."),
        click.option("--again", is_flag=True, help="Force a rerun of up-to-date partitions."),
        click.option("--limit", type=int, metavar="N", help="At most N partitions per stage."),
        click.option("--to", "until", metavar="TIME", help="Only partitions that end by the end of TIME."),
        click.option("--from", "since", metavar="TIME",
                     help="Only partitions that start at TIME or later, such as 2013-03."),
        click.argument("partition", default="", metavar="[PARTITION]"),
        click.argument("stage", default="", metavar="[STAGE]"),
    ):  # fmt: skip
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]
