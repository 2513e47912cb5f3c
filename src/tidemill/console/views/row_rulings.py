"""Decide on quarantined rows: release, correct or drop them, or undo a decision; the next run applies it."""

from __future__ import annotations

from importlib import import_module

from tidemill.console.personal_values import hidden_columns
from tidemill.contracts.row_ruling import Ruling
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.project.project import Project
from tidemill.quarantine.release_request import parse_row_ranges
from tidemill.quarantine.ruling_input import describe_ruling

_CHOICES = ("all", "rule", "rows")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRuling:
    """A decision that was recorded, in words."""

    told: str


def release_rows(  # noqa: PLR0913 - the fields of a form
    project: Project,
    stage: str,
    reason: str,
    choice: str,
    partition: str = WHOLE,
    rule: str = "",
    rows: str = "",
    note: str = "",
    again: bool = False,
) -> RecordedRuling:
    """Release quarantined rows as they are; the next run publishes them.

    `choice` is `all`, `rule` for those that broke `rule`, or `rows` for those with the numbers `rows`
    ("0,3-7"). The `reason` is recorded. Rules of the project may ask people first; with `again` they are
    asked once more about what they rejected.
    """
    numbers, named = _chosen_rows(choice, rule, rows)
    return _recorded(
        stage,
        project.quarantine.release(
            stage, partition, rows=numbers, rule=named, reason=reason, note=note, again=again
        ),
    )


def drop_rows(  # noqa: PLR0913 - the fields of a form
    project: Project,
    stage: str,
    reason: str,
    choice: str,
    partition: str = WHOLE,
    rule: str = "",
    rows: str = "",
    note: str = "",
) -> RecordedRuling:
    """Drop quarantined rows for good: they are neither published nor quarantined.

    `choice`, `rule` and `rows` are as for a release. The `reason` is recorded.
    """
    numbers, named = _chosen_rows(choice, rule, rows)
    return _recorded(
        stage,
        project.quarantine.drop(
            stage, partition, rows=numbers, rule=named, reason=reason, note=note
        ),
    )


def undo_ruling(
    project: Project,
    stage: str,
    ruling: int,
    reason: str,
    partition: str = WHOLE,
    note: str = "",
) -> RecordedRuling:
    """Undo a decision on quarantined rows: they are quarantined again by the next run.

    `ruling` is its number, from 1. The `reason` is recorded.
    """
    return _recorded(
        stage,
        project.quarantine.take_back(stage, partition, ruling=ruling, reason=reason, note=note),
    )


def correct_row(  # noqa: PLR0913 - the fields of a form
    project: Project,
    stage: str,
    row: int,
    reason: str,
    cells: str = "",
    nulls: str = "",
    partition: str = WHOLE,
    note: str = "",
    again: bool = False,
) -> RecordedRuling:
    """Replace a quarantined row by a corrected one, which the next run checks and publishes.

    `cells` is a JSON object, as text, with the new texts by column; `nulls` is one whose members are the
    columns that have no value. Cells that aren't named stay as they came. The `reason` is recorded.
    """
    quarantine = project.quarantine
    corrections = import_module("tidemill.console.corrected_row")
    found = corrections.find_row(quarantine.rows(stage, partition), row)
    known = project.workspace.known_stage(stage)
    hidden = hidden_columns(project, known, found.columns)
    mask = project.workspace.redactor.mask
    fixed = corrections.corrected_row(found, cells, nulls, mask, hidden)
    return _recorded(
        stage,
        quarantine.release(
            stage, partition, rows=(row,), fixed=fixed, reason=reason, note=note, again=again
        ),
    )


def _chosen_rows(choice: str, rule: str, rows: str) -> tuple[tuple[int, ...], str]:
    """The numbers of rows, or the rule; neither for all."""
    if choice not in _CHOICES:
        raise UsageError(f"choice {choice!r} is not one of {', '.join(_CHOICES)}")
    numbers = parse_row_ranges(rows) if choice == "rows" else ()
    if choice == "rows" and not numbers:
        raise UsageError("name the rows by their numbers, such as 0,3-7")
    if choice == "rule" and not rule:
        raise UsageError("name the rule whose rows are meant")
    return numbers, rule if choice == "rule" else ""


def _recorded(stage: str, ruling: Ruling) -> RecordedRuling:
    return RecordedRuling(
        told=f"Recorded: {describe_ruling(ruling)}. `tidemill run {stage}` applies it."
    )
