"""Check a partition against table rules, compared with the published partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
import polars as pl

from tidemill.contracts.checks.findings import sample_text
from tidemill.contracts.checks.row_rules import without_personal
from tidemill.contracts.checks.value_index import ValueIndex
from tidemill.contracts.finding import Finding
from tidemill.contracts.profiles.partition_profile import compare_profiles, merge_profiles
from tidemill.contracts.profiles.record import ColumnProfile, Distance, Profile
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import DriftRule, ReferenceRule, UniqueRule
from tidemill.core.counts import are


def median_findings(spec: ContractSpec, rows: int, history: Sequence[int]) -> list[Finding]:
    """Report a row count far from the median of `history`, whose last entries are the newest."""
    rule = spec.rows
    if rule is None or rule.vs_last is None or rule.within is None:
        return []
    last = history[-rule.vs_last :]
    # The median of a single partition means little.
    if len(last) < 2:
        return []
    usual = median(last)
    if abs(rows - usual) <= rule.within * usual:
        return []
    message = (
        f"rows: {are(rows, 'row')} not within {rule.within:.0%} of {usual:g}, the median of the last "
        f"{len(last)}; check the source"
    )
    return [Finding(rule="rows", severity=rule.on_fail, rows=rows, message=message)]


def is_partition_unique(spec: ContractSpec, rule: UniqueRule) -> bool:
    """Whether partitions can't share values of the rule's columns, as these determine the partition."""
    return spec.partitioning.is_whole or spec.partitioning.column in rule.columns


def unique_findings(
    spec: ContractSpec, rule: UniqueRule, keys: pl.DataFrame, others: Mapping[int, str]
) -> list[Finding]:
    """Report rows that repeat the values of an earlier row of the partition or of another partition.

    `keys` has the rows with a value in every column. `others` maps the rows that another partition has
    to the name of that partition.
    """
    broken = _mask(list(others), keys.height)
    # Keys are unique in a partition already.
    if not spec.key or not {*spec.key} <= {*rule.columns}:
        broken |= ~keys.select(pl.struct(pl.all()).is_first_distinct()).to_series()
    if not broken.any():
        return []
    first = next(iter(others.values()), "")
    place = f", also in {first}" if first else ""
    says = f"repeat {' and '.join(rule.columns)}{_sample(spec, keys.filter(broken))}{place}"
    hint = f"remove the duplicates at the source, or change the rule ({spec.place})"
    return [_finding(rule, int(broken.sum()), keys.height, says, hint)]


def reference_findings(
    spec: ContractSpec, rule: ReferenceRule, keys: pl.DataFrame, index: ValueIndex, stage: str
) -> list[Finding]:
    """Report rows whose values are not in the `index` of the table of `stage`."""
    unknown = keys.filter(~_mask(index.find_matches(keys)["row"].to_numpy(), keys.height))
    if not unknown.height:
        return []
    named = " and ".join(rule.columns)
    there = f"{' and '.join(rule.to)} of {stage}"
    says = f"have a value of {named} that is not among {there}{_sample(spec, unknown)}"
    hint = f"add it there, fix the source, or change the rule ({spec.place})"
    return [_finding(rule, unknown.height, keys.height, says, hint)]


def drift_findings(
    spec: ContractSpec, rule: DriftRule, before: Sequence[Profile], current: Profile
) -> list[Finding]:
    """Report columns whose distance from the merged partitions `before` is above the limit."""
    if not current.rows or not before:
        return []
    past, count = merge_profiles(before), len(before)
    then = "the partition before" if count == 1 else f"the {count} partitions before"
    hint = f"find out what changed, or change the rule ({spec.place})"
    return [
        Finding(
            rule=rule.name,
            severity=rule.on_fail,
            rows=current.rows,
            message=f"{rule.name}: {problem}; {hint}",
        )
        for found in compare_profiles(past, current)
        if (problem := _drift_problem(rule, found, past[found.name], current[found.name], then))
    ]


def _drift_problem(
    rule: DriftRule, found: Distance, old: ColumnProfile, new: ColumnProfile, then: str
) -> str:
    # Without values there is no distribution, and so no distance.
    if old.present_count and not new.present_count:
        return f"{found.name} has no values, but had some in {then}"
    distance: float | None = getattr(found, rule.by)
    if distance is None or distance <= rule.limit:
        return ""
    return f"{rule.by} of {found.name} to {then} is {distance:.3g}, above {rule.limit:g}"


def _mask(rows: Sequence[int] | np.ndarray, height: int) -> pl.Series:
    """Return a mask that is true at some rows."""
    mask = np.zeros(height, dtype=bool)
    mask[np.asarray(rows, dtype=np.intp)] = True
    return pl.Series(mask)


def _sample(spec: ContractSpec, rows: pl.DataFrame) -> str:
    shown = without_personal(spec, rows.columns)
    return f", such as {sample_text(rows.select(shown).head(100))}" if shown else ""


def _finding(rule: UniqueRule | ReferenceRule, rows: int, of: int, says: str, hint: str) -> Finding:
    return Finding(
        rule=rule.name,
        severity=rule.on_fail,
        rows=rows,
        message=f"{rule.name}: {rows} of {of} rows {says}; {hint}",
    )


def newest_time(series: pl.Series) -> float | None:
    """Return the newest time of a Date or Datetime column, in Unix seconds; None without values.

    A date counts as its midnight, and a time without a zone as UTC.
    """
    value = series.cast(pl.Datetime("us")).dt.timestamp("us").max() if series.len() else None
    return None if value is None else float(value) / 1e6  # type: ignore[arg-type]
