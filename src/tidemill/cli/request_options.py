"""The arguments that `plan` and `run` share: which stage, which partitions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


def duration(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """Seconds of `30`, `30s`, `5m` or `1h`; as the callback of an option."""
    match = _DURATION.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a length of time such as 30s, 5m or 1h")
    return float(match[1]) * _SECONDS[match[2]]


def request_options(function: F) -> F:
    """[STAGE] --from --to --limit --again --train, named as `Project.plan` names them."""
    decorated: Any = function
    for option in (
        click.option("--train", multiple=True, metavar="MODEL",
                     help="Train MODEL although no trigger says so; may be repeated."),
        click.option("--again", is_flag=True, help="Also what is current."),
        click.option("--limit", type=int, metavar="N", help="At most N partitions a stage."),
        click.option("--to", "until", metavar="TIME", help="Only partitions that end by the end of TIME."),
        click.option("--from", "since", metavar="TIME",
                     help="Only partitions that begin with TIME or later, such as 2013-03."),
        click.argument("stage", default="", metavar="[STAGE]"),
    ):  # fmt: skip
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]
