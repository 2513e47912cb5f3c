"""`tidemill quarantine release`, `drop` and `undo`: rulings on quarantined rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tidemill.cli.lazy_group import where_options
from tidemill.cli.project_option import opened
from tidemill.contracts.row_ruling import Ruling
from tidemill.core.errors import UsageError
from tidemill.quarantine.ruling_input import in_words

F = TypeVar("F", bound=Callable[..., Any])
_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_MOST = 1_000_000


def _which(function: F) -> F:
    decorated: Any = function
    for option in (
        click.option("--all", "everything", is_flag=True, help="All quarantined rows."),
        click.option("--rule", default="", metavar="RULE", help="The rows that broke this rule."),
        click.option("--rows", "numbers", default="", metavar="0,3-7",
                     help="The rows with these numbers, as `show` has them."),
    ):  # fmt: skip
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def _why(function: F) -> F:
    decorated: Any = function
    for option in (
        click.option("--by", default="", metavar="NAME", help="Who says so.  [default: this user]"),
        click.option("--reason", required=True, metavar="TEXT", help="Why; it is recorded."),
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


@click.command()
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@_which
@click.option("--fixed", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Corrected rows that take their place, one for each.")  # fmt: skip
@_why
@where_options
def release(  # noqa: PLR0913 - options of a command
    stage: str,
    partition: str,
    numbers: str,
    rule: str,
    everything: bool,
    fixed: Path | None,
    reason: str,
    by: str,
) -> None:
    """Say that quarantined rows of STAGE are good: as they are, or corrected as in FILE.

    Rows that can't be kept (no value of the column's type, no key, a key that repeats) can only be
    corrected or dropped. Corrected rows may name those that they replace in a column `_row`.
    """
    rows = _numbers(numbers)
    if fixed is None or numbers or rule or everything:
        _one_of(numbers, rule, everything)
    with opened() as project:
        ruling = project.quarantine.release(
            stage, partition, rows=rows, rule=rule, fixed=fixed, reason=reason, by=by
        )
    _tell(stage, ruling)


@click.command()
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@_which
@_why
@where_options
def drop(
    stage: str, partition: str, numbers: str, rule: str, everything: bool, reason: str, by: str
) -> None:
    """Say that quarantined rows of STAGE are left out: neither good nor quarantined any more."""
    rows = _numbers(numbers)
    _one_of(numbers, rule, everything)
    with opened() as project:
        ruling = project.quarantine.drop(
            stage, partition, rows=rows, rule=rule, reason=reason, by=by
        )
    _tell(stage, ruling)


@click.command()
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@click.option("--ruling", required=True, type=click.IntRange(min=1), metavar="N",
              help="Its number, as `list` shows it.")  # fmt: skip
@_why
@where_options
def undo(stage: str, partition: str, ruling: int, reason: str, by: str) -> None:
    """Take back a ruling on rows of STAGE: they are quarantined again."""
    with opened() as project:
        said = project.quarantine.take_back(stage, partition, ruling=ruling, reason=reason, by=by)
    _tell(stage, said)


def _one_of(numbers: str, rule: str, everything: bool) -> None:
    if bool(numbers) + bool(rule) + everything != 1:
        raise UsageError("say which rows are meant: one of --rows 0,3-7, --rule RULE, --all")


def _numbers(text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in text.split(",") if text else ():
        match = _RANGE.fullmatch(part.strip())
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise UsageError(
                f"--rows {text}: {part.strip()!r} is no number and no range such as 3-7"
            )
        named = range(int(match[1]), int(match[2] or match[1]) + 1)
        # A slip of the hand in a number isn't to fill the memory.
        if named.stop - named.start > _MOST:
            raise UsageError(
                f"--rows {text}: {part.strip()} are more than {_MOST:,} rows; say --rule or --all"
            )
        found.update(named)
    return tuple(sorted(found))


def _tell(stage: str, ruling: Ruling) -> None:
    click.echo(f"recorded: {in_words(ruling)}")
    click.echo(f"`tidemill run {stage}` judges the partition again with it")
