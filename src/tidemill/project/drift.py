"""Show the drift of a stage: its alarms, the columns that carry them, and their shares then and now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median

from tidemill.contracts.drift_columns import watched_columns
from tidemill.contracts.profiles.column_shares import column_shares
from tidemill.contracts.profiles.partition_profile import compare_profiles, merge_profiles
from tidemill.contracts.profiles.record import Distance, Profile
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rule_validity import table_rule_problems
from tidemill.contracts.table_rules import DriftAlarmRule
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.ledger.binding import Binding
from tidemill.ledger.drift import RaisedAlarm
from tidemill.project.drift_report import ColumnDrift, DriftReport
from tidemill.project.workspace import Workspace
from tidemill.runs.io.drift_checks import raised_alarms
from tidemill.store.drift import TableDrift, judge_drift, watched_keys
from tidemill.store.profiles import load_profiles

_UNDECLARED = "drift"


class Drift:
    """Judges the drift of published tables."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def report(self, stage: str, partition: str = "", rule: str = "") -> DriftReport:
        """Judge a stage up to a partition: by default the last alarm, while it is open, or the newest.

        A contract without a drift alarm is judged by `tm.DriftAlarm()`. UsageError if the stage has no
        such partition or rule, or nothing that can be compared.
        """
        spec = self._contract(stage)
        chosen = _choose_rule(stage, spec, rule)
        if not watched_columns(spec, chosen):
            raise UsageError(
                f"{stage} has no columns that could drift: keys, times and unique values always move on"
            )
        return self._workspace.read_state(
            lambda state: self._report(
                stage, spec, chosen, state.heads[stage].partitions if stage in state.heads else {},
                partition,
            )
        )  # fmt: skip

    def _contract(self, stage: str) -> ContractSpec:
        spec = self._workspace.known_stage(stage).output
        if spec is None:
            raise UsageError(f"{stage} has no contract, so it has no columns that could drift")
        return spec

    def _report(
        self,
        stage: str,
        spec: ContractSpec,
        rule: DriftAlarmRule,
        bound: Mapping[str, Binding],
        partition: str,
    ) -> DriftReport:
        keys = watched_keys(spec, bound)
        if not keys:
            raise UsageError(f"{stage} has no published partitions; run `tidemill run {stage}`")
        if partition and partition not in keys:
            raise UsageError(
                f"{stage} has no partition {partition!r} ({did_you_mean(partition, keys)})"
            )
        artifacts = self._workspace.tools.artifacts
        last = partition or keys[-1]
        until = {key: bound[key] for key in keys if key <= last}
        drift = judge_drift(artifacts, stage, spec, rule, until)
        at, first = _shown_partition(drift, partition)
        products = [bound[key].product for key in drift.keys[first : at + 1]]
        profiles = list(load_profiles(artifacts, products))
        return _make_report(stage, drift, at, first, profiles)


def _choose_rule(stage: str, spec: ContractSpec, name: str) -> DriftAlarmRule:
    known = {rule.name: rule for rule in spec.drift_alarms}
    if name and name not in known:
        raise UsageError(f"{spec.name} has no drift alarm {name!r} ({did_you_mean(name, known)})")
    if known:
        return known[name] if name else next(iter(known.values()))
    whole = 30 if spec.partitioning.grain is None else "30d"
    rule = replace(DriftAlarmRule(), name=_UNDECLARED, reference=whole)
    problems = [*table_rule_problems(rule, {column.name: column for column in spec.columns})]
    if problems:
        raise UsageError(f"{stage} can't be judged by tm.DriftAlarm(): {problems[0]}")
    return rule


def _shown_partition(drift: TableDrift, partition: str) -> tuple[int, int]:
    """Return the positions of the partition to show, and of the first one in its reference."""
    alarms = drift.history.alarms
    if alarms and (alarms[-1].partition == partition or (drift.is_open and not partition)):
        alarm = alarms[-1]
        return drift.keys.index(alarm.partition), drift.keys.index(alarm.reference[0])
    at = len(drift.keys) - 1
    return at, min(max(drift.firsts[at], drift.history.first), at)


def _make_report(
    stage: str, drift: TableDrift, at: int, first: int, profiles: Sequence[Profile]
) -> DriftReport:
    alarms = raised_alarms(drift)
    alarm = next((one for one in alarms if one.partition == drift.keys[at]), None)
    watch, before = drift.watch, profiles[:-1]
    past = merge_profiles(before) if before else None
    rows = int(median(profile.rows for profile in profiles))
    return DriftReport(
        stage=stage,
        rule=drift.rule,
        partition=drift.keys[at],
        reference=(drift.keys[first], drift.keys[at - 1]) if before else None,
        alarms=alarms,
        alarm=alarm,
        is_open=drift.is_open,
        partitions=len(drift.keys),
        reference_partitions=len(before),
        needed=watch.needed,
        rows=rows,
        delay=watch.expected_delay(rows),
        columns=_columns(drift, alarm, past, profiles[-1]),
        past=past,
        now=profiles[-1],
    )


def _columns(
    drift: TableDrift, alarm: RaisedAlarm | None, past: Profile | None, now: Profile
) -> tuple[ColumnDrift, ...]:
    """Return the watched columns, those with the most evidence first."""
    levels = dict(alarm.columns) if alarm else drift.history.levels
    known = {} if past is None else {one.name: one for one in compare_profiles(past, now)}
    present = {column.name: column for column in now.columns}
    found = [
        _column(name, levels.get(name, 0.0), known.get(name), past, now)
        if name in known
        else ColumnDrift(name=name, evidence=levels.get(name, 0.0), exists=name in present)
        for name in drift.watch.columns
    ]
    return tuple(sorted(found, key=lambda column: -column.evidence))


def _column(
    name: str, evidence: float, distance: Distance | None, past: Profile | None, now: Profile
) -> ColumnDrift:
    assert distance is not None
    assert past is not None
    old, new = past[name], now[name]
    return ColumnDrift(
        name=name,
        evidence=evidence,
        missing=tuple(side.missing_count / max(side.rows, 1) for side in (old, new)),
        ks=distance.ks,
        psi=distance.psi,
        shares=column_shares(old, new),
    )
