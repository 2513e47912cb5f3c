"""`tidemill quarantine release`, `drop` and `undo`: rule on quarantined rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.terminal.output import print_text
from tidemill.contracts.row_ruling import Ruling
from tidemill.core.errors import UsageError
from tidemill.quarantine.release_request import parse_row_ranges
from tidemill.quarantine.ruling_input import describe_ruling

F = TypeVar("F", bound=Callable[..., Any])


def _which(function: F) -> F:
    decorated: Any = function
    for option in (
        click.option("--all", "everything", is_flag=True, help="Select all quarantined rows of PARTITION."),
        click.option("--rule", default="", metavar="RULE", help="Select the rows that broke RULE."),
        click.option("--rows", "numbers", default="", metavar="0,3-7",
                     help="Select the rows with these numbers, as `show` lists them."),
    ):  # fmt: skip
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _why(function: F) -> F:
    decorated: Any = function
    for option in (
        click.option(
            "--note",
            default="",
            metavar="TEXT",
            help="A note beside your name, such as on whose behalf.",
        ),
        click.option(
            "--reason", required=True, metavar="TEXT", help="The reason, which is recorded."
        ),
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


@click.command()
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@_which
@click.option("--fixed", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Replace them by the corrected rows in FILE, one for each.")  # fmt: skip
@click.option("--again", is_flag=True, help="Ask people once more about what they rejected.")
@_why
@project_options
def release(  # noqa: PLR0913 - options of a command
    stage: str,
    partition: str,
    numbers: str,
    rule: str,
    everything: bool,
    fixed: Path | None,
    again: bool,
    reason: str,
    note: str,
) -> None:
    """Release quarantined rows of STAGE, as they are or corrected.

    Rows with a value of a wrong type, a missing key or a duplicate key can only be corrected or dropped.
    A column `_row` of corrected rows may name the rows that they replace. If the quarantine changed since
    `export` wrote them, lines that belong to other rows now are refused.
    """
    rows = parse_row_ranges(numbers)
    if fixed is None or numbers or rule or everything:
        _one_of(numbers, rule, everything)
    with project_session() as project:
        ruling = project.quarantine.release(
            stage,
            partition,
            rows=rows,
            rule=rule,
            fixed=fixed,
            reason=reason,
            note=note,
            again=again,
        )
    _confirm(stage, ruling)


@click.command()
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@_which
@_why
@project_options
def drop(
    stage: str, partition: str, numbers: str, rule: str, everything: bool, reason: str, note: str
) -> None:
    """Drop quarantined rows of STAGE for good: they are neither published nor quarantined."""
    rows = parse_row_ranges(numbers)
    _one_of(numbers, rule, everything)
    with project_session() as project:
        ruling = project.quarantine.drop(
            stage, partition, rows=rows, rule=rule, reason=reason, note=note
        )
    _confirm(stage, ruling)


@click.command()
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@click.option("--ruling", required=True, type=click.IntRange(min=1), metavar="N",
              help="The number of the ruling, as `list` shows it.")  # fmt: skip
@_why
@project_options
def undo(stage: str, partition: str, ruling: int, reason: str, note: str) -> None:
    """Undo a ruling on rows of STAGE: they are quarantined again."""
    with project_session() as project:
        ruled = project.quarantine.take_back(
            stage, partition, ruling=ruling, reason=reason, note=note
        )
    _confirm(stage, ruled)


def _one_of(numbers: str, rule: str, everything: bool) -> None:
    if bool(numbers) + bool(rule) + everything != 1:
        raise UsageError("select rows with one of --rows 0,3-7, --rule RULE, --all")


def _confirm(stage: str, ruling: Ruling) -> None:
    print_text(f"recorded: {describe_ruling(ruling)}")
    print_text(f"`tidemill run {stage}` applies it")
