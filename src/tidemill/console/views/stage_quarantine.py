"""The quarantined rows of a stage: by partition, by rule, and row by row, with the rulings on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tidemill.console.personal_values import hidden_columns, personal_columns
from tidemill.console.table_window import TableWindow, chosen_columns, table_window
from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.contracts.row_ruling import Disposition
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.governance.permissions import Permission
from tidemill.project.enforcement import governs_releases
from tidemill.project.project import Project
from tidemill.project.ruling_permissions import RULING_PERMISSIONS
from tidemill.quarantine.release_request import row_ranges
from tidemill.workflow.stage import Kind, Stage

if TYPE_CHECKING:
    import polars as pl

    from tidemill.project.quarantine import QuarantinedPartition

_MOST_PARTITIONS, _FIRST_ROWS, _MOST_ROWS = 50, 20, 100
_ROW, _REASONS = "_row", "_reasons"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCount:
    """A rule that quarantined rows broke; without `is_waivable` they can only be corrected or dropped."""

    rule: str
    rows: int
    is_waivable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRuling:
    """A decision on quarantined rows in words; one that `is_pending` is applied by the next run.

    `rows` are their numbers as ranges; empty if they are others than those that are quarantined now.
    `obstacle` says why whoever looks can't undo it, "" if that one can.
    """

    number: int
    text: str
    rows: str
    is_pending: bool
    obstacle: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineLine:
    """A partition with quarantined rows or decisions on them, and what came of the decisions (`done`)."""

    partition: str
    rows: int
    rules: tuple[RuleCount, ...]
    rulings: tuple[RowRuling, ...]
    done: str
    gone: int
    run: str
    at: float
    contract: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineList:
    """The quarantined rows of a stage by partition; `next` is passed as `after` if more partitions follow."""

    stage: str
    kind: Kind
    is_declared: bool
    partitions: tuple[QuarantineLine, ...]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedPartitionView:
    """The quarantined rows of a partition: how many broke which rule, the first of them, and the decisions.

    `releasing`, `correcting` and `dropping` say who may do that. If releases are `governed`, rules of the
    project decide on them, and may ask people first.
    """

    stage: str
    kind: Kind
    is_declared: bool
    held: QuarantineLine
    table: TableWindow
    reasons: tuple[str, ...]
    decided: tuple[str, ...]
    governed: bool
    releasing: ActionRight
    correcting: ActionRight
    dropping: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRowList:
    """Some of the `selected` quarantined rows of a partition; `next` is the next `first`, 0: no more."""

    stage: str
    kind: Kind
    partition: str
    rule: str
    rules: tuple[str, ...]
    total: int
    selected: int
    first: int
    next: int
    table: TableWindow
    reasons: tuple[str, ...]
    decided: tuple[str, ...]


def list_quarantined(project: Project, stage: str, after: str = "") -> QuarantineList:
    """List the partitions of a stage that have quarantined rows, or decisions on them.

    There are at most 50 at once; `after` is the `next` of the page before.
    """
    known = project.workspace.known_stage(stage)
    found = project.quarantine.list(stage, after=after, limit=_MOST_PARTITIONS + 1)
    never = project.quarantine.unwaivable(stage)
    shown = found[:_MOST_PARTITIONS]
    return QuarantineList(
        stage=stage,
        kind=known.kind,
        is_declared=known.is_declared,
        partitions=tuple(_quarantine_line(project, each, never) for each in shown),
        next=shown[-1].partition if len(found) > len(shown) else "",
    )


def show_quarantined(
    project: Project, stage: str, partition: str = WHOLE
) -> QuarantinedPartitionView:
    """Show the quarantined rows of a partition: how many broke which rule, and the first 20 of them.

    Also the decisions on them so far, and who may decide.
    """
    space = project.workspace
    known = space.known_stage(stage)
    found = one_partition(project, stage, partition)
    rights = _rights(project)
    table = TableWindow(columns=(), rows=(), first_column=0, total_columns=0)
    reasons: tuple[str, ...] = ()
    decided: tuple[str, ...] = ()
    if found.rows:
        rows = project.quarantine.rows(stage, partition)
        table, reasons = _window(project, known, rows.head(_FIRST_ROWS), 0)
        decided = _decided(project, found, table)
    return QuarantinedPartitionView(
        stage=stage,
        kind=known.kind,
        is_declared=known.is_declared,
        held=_quarantine_line(project, found, project.quarantine.unwaivable(stage)),
        table=table,
        reasons=reasons,
        decided=decided,
        governed=governs_releases(space),
        releasing=rights[Permission.RELEASE_ROWS],
        correcting=rights[Permission.CORRECT_ROWS],
        dropping=rights[Permission.DROP_ROWS],
    )


def list_quarantined_rows(
    project: Project,
    stage: str,
    partition: str = WHOLE,
    rule: str = "",
    first: int = 0,
    limit: int = 50,
    first_column: int = 0,
) -> QuarantinedRowList:
    """List the quarantined rows of a partition as they came, with the rules that each broke.

    Only those that broke a `rule`, if it is given. At most 100 rows and 50 columns are shown, from the row
    `first` of these and the column `first_column` on.
    """
    rows = project.quarantine.rows(stage, partition)
    rules = sorted({each for why in rows.get_column(_REASONS).to_list() for each in why})
    if rule:
        if rule not in rules:
            raise UsageError(f"no quarantined row broke {rule!r} ({did_you_mean(rule, rules)})")
        kept = [rule in why for why in rows.get_column(_REASONS).to_list()]
        selected = rows[[at for at, is_kept in enumerate(kept) if is_kept]]
    else:
        selected = rows
    start, most = max(first, 0), min(max(limit, 1), _MOST_ROWS)
    known = project.workspace.known_stage(stage)
    table, reasons = _window(project, known, selected.slice(start, most), first_column)
    return QuarantinedRowList(
        stage=stage,
        kind=known.kind,
        partition=partition,
        rule=rule,
        rules=tuple(rules),
        total=rows.height,
        selected=selected.height,
        first=start,
        next=start + most if start + most < selected.height else 0,
        table=table,
        reasons=reasons,
        decided=_decided(project, one_partition(project, stage, partition), table),
    )


def _decided(project: Project, found: QuarantinedPartition, table: TableWindow) -> tuple[str, ...]:
    """The numbers of the decisions on each row of a table."""
    return tuple(
        ", ".join(str(ruling.number) for ruling in row_rulings(project, found, row.number))
        for row in table.rows
    )


def one_partition(project: Project, stage: str, partition: str) -> QuarantinedPartition:
    found = project.quarantine.list(stage, partition=partition)
    if not found:
        raise UsageError(f"{stage} has no quarantined rows in {partition!r}, nor decisions on them")
    return found[0]


def _rights(project: Project) -> Mapping[Permission, ActionRight]:
    return {each: action_right(project, each) for each in RULING_PERMISSIONS.values()}


def _obstacle(disposition: Disposition, rights: Mapping[Permission, ActionRight]) -> str:
    """Why whoever looks can't take back a ruling: it needs what the ruling needed."""
    if disposition is Disposition.HOLD:
        return "it undoes another one"
    return rights[RULING_PERMISSIONS[disposition]].refusal


def _quarantine_line(
    project: Project, found: QuarantinedPartition, never: frozenset[str]
) -> QuarantineLine:
    return QuarantineLine(
        partition=found.partition,
        rows=found.rows,
        rules=tuple(
            RuleCount(rule=rule, rows=rows, is_waivable=rule not in never)
            for rule, rows in found.reasons.items()
        ),
        rulings=row_rulings(project, found),
        done=found.done,
        gone=found.gone,
        run=found.run,
        at=found.at,
        contract=found.contract,
    )


def row_rulings(
    project: Project, found: QuarantinedPartition, row: int | None = None
) -> tuple[RowRuling, ...]:
    """The decisions on a partition's quarantined rows; for one `row` those that are about it."""
    applied, rights = len(found.rulings) - found.pending, _rights(project)
    each = zip(found.rulings, found.ruled_rows, found.dispositions, strict=True)
    return tuple(
        RowRuling(
            number=number,
            text=text,
            rows="" if rows is None else row_ranges(rows) or "all",
            is_pending=number > applied,
            obstacle=_obstacle(disposition, rights),
        )
        for number, (text, rows, disposition) in enumerate(each, 1)
        if row is None or (rows is not None and (not rows or row in rows))
    )


def _window(
    project: Project, stage: Stage, rows: pl.DataFrame, first_column: int
) -> tuple[TableWindow, tuple[str, ...]]:
    """Some columns of some rows, and which rules each row broke."""
    own = [name for name in rows.columns if name not in (_ROW, _REASONS)]
    shown, start, _ = chosen_columns(own, first_column, "")
    numbers: Sequence[int] = rows.get_column(_ROW).to_list()
    table = table_window(
        rows.select(shown),
        numbers=numbers,
        first_column=start,
        total_columns=len(own),
        personal=personal_columns(project, stage, shown),
        hidden=hidden_columns(project, stage, shown),
    )
    return table, tuple(", ".join(why) for why in rows.get_column(_REASONS).to_list())
