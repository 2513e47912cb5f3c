"""Whether the data of a stage drifted, and which columns carry the evidence."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import TYPE_CHECKING

from tidemill.console.column_figures import ValueShares
from tidemill.console.personal_values import hidden_columns
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.project.project import Project
from tidemill.workflow.stage import Kind

if TYPE_CHECKING:
    from tidemill.project.drift_report import ColumnDrift, DriftReport

_MOST_COLUMNS, _MOST_ALARMS = 20, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftedColumn:
    """A column: its part of the `evidence`, distances, missing shares and shares of values, then and now."""

    name: str
    evidence: float
    exists: bool
    missing_then: float | None
    missing_now: float | None
    ks: float | None
    psi: float | None
    shares: ValueShares


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftAlarm:
    """An alarm: the partition at which it was raised, what it was compared with, and who carries it."""

    partition: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftView:
    """The drift of a stage at a partition against a `reference`; `obstacle` says why it isn't judged."""

    stage: str
    kind: Kind
    obstacle: str = ""
    rule: str = ""
    partition: str = ""
    reference: str = ""
    headline: str = ""
    is_alarm: bool = False
    remarks: tuple[str, ...] = ()
    alarms: tuple[DriftAlarm, ...] = ()
    columns: tuple[DriftedColumn, ...] = ()
    total_columns: int = 0


def show_drift(project: Project, stage: str, partition: str = "", rule: str = "") -> DriftView:
    """Show whether a stage drifted, up to a partition or now, and which columns carry the evidence.

    It is judged by the drift alarm `rule` of its contract, by default the first one, or by a default alarm.
    The 20 columns with the most evidence are shown.
    """
    project.workspace.require(Permission.READ)
    known = project.workspace.known_stage(stage)
    kind = known.kind
    try:
        report = project.drift(stage, partition, rule=rule)
    except UsageError as error:
        # What nobody asked for by name can't be wrong: there is nothing to judge.
        if partition or rule:
            raise
        return DriftView(stage=stage, kind=kind, obstacle=str(error))
    names = [each.name for each in report.columns[:_MOST_COLUMNS]]
    return _view(report, kind, hidden_columns(project, known, names))


def _view(report: DriftReport, kind: Kind, hidden: Collection[str]) -> DriftView:
    reference = report.reference
    return DriftView(
        stage=report.stage,
        kind=kind,
        rule=str(report.rule),
        partition=report.partition,
        reference="" if reference is None else f"{reference[0]} .. {reference[1]}",
        headline=report.headline,
        is_alarm=report.alarm is not None,
        remarks=tuple(report.remarks()),
        alarms=tuple(
            DriftAlarm(partition=one.partition, columns=tuple(one.columns))
            for one in [*reversed(report.alarms)][:_MOST_ALARMS]
        ),
        columns=tuple(
            _column(each, report, is_hidden=each.name in hidden)
            for each in report.columns[:_MOST_COLUMNS]
        ),
        total_columns=len(report.columns),
    )


def _column(found: ColumnDrift, report: DriftReport, *, is_hidden: bool) -> DriftedColumn:
    shares_of = import_module("tidemill.console.column_statistics").shares_of
    then, now = found.missing or (None, None)
    return DriftedColumn(
        name=found.name,
        evidence=found.evidence,
        exists=found.exists,
        missing_then=then,
        missing_now=now,
        ks=found.ks,
        psi=found.psi,
        shares=shares_of(found.shares, report.now[found.name])
        if found.exists and not is_hidden
        else ValueShares(),
    )
