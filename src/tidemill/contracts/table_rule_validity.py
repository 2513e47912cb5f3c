"""Check that the declaration of a table rule is consistent, alone and with its contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite

from tidemill.contracts.column import Column
from tidemill.contracts.drift_columns import is_time_of_rows, watchable_columns
from tidemill.contracts.dtype import DType
from tidemill.contracts.table_rules import (
    CONSEQUENCES,
    METRICS,
    DriftAlarmRule,
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    TableRule,
    UniqueRule,
)
from tidemill.core.counts import plural
from tidemill.core.errors import did_you_mean
from tidemill.core.partition import parse_span

_Columns = Mapping[str, Column]


def table_rule_problems(rule: TableRule, columns: _Columns) -> Iterable[str]:
    """Yield a sentence for each contradiction in a rule, or between it and the contract's `columns`."""
    return (f"{rule.name}: {problem}" for problem in _problems(rule, columns))


def _problems(rule: TableRule, columns: _Columns) -> Iterable[str]:
    if rule.on_fail not in CONSEQUENCES:
        yield f"on_fail={rule.on_fail!r} is not fail or warn: a table rule can't quarantine single rows"
    match rule:
        case FreshnessRule():
            yield from _freshness_problems(rule, columns)
        case UniqueRule():
            yield from _comparison_problems(rule.columns, columns)
        case ReferenceRule():
            yield from _reference_problems(rule, columns)
        case DriftRule():
            yield from _drift_problems(rule, columns)
        case _:
            yield from _alarm_problems(rule, columns)


def _unknown_columns(names: Iterable[object], columns: _Columns) -> Iterable[str]:
    for name in names:
        if name not in columns:
            advice = did_you_mean(str(name), columns)
            yield f"column {name!r} is not one of its columns ({advice})"


def _comparison_problems(names: tuple[str, ...], columns: _Columns) -> Iterable[str]:
    """Yield the problems of columns whose values are compared with others."""
    if not names:
        yield "it names no columns"
    yield from _unknown_columns(names, columns)
    if len(set(names)) < len(names):
        yield f"it names a column twice: {', '.join(map(str, names))}"
    for name in names:
        if name in columns and columns[name].dtype.is_nested:
            yield f"{name} is a {columns[name].dtype}, whose values aren't compared"


def _freshness_problems(rule: FreshnessRule, columns: _Columns) -> Iterable[str]:
    yield from _unknown_columns((rule.column,), columns)
    if rule.column in columns and not columns[rule.column].dtype.is_time:
        dtype = columns[rule.column].dtype
        yield f"{rule.column} is {dtype}: only a Date or Datetime column has an age"
    try:
        parse_span(rule.within)
    except (TypeError, ValueError):
        yield f"within={rule.within!r} is not a duration such as '36h', '60d', '8w' or '3mo'"


def _reference_problems(rule: ReferenceRule, columns: _Columns) -> Iterable[str]:
    yield from _comparison_problems(rule.columns, columns)
    types = rule.types or {}
    for name in rule.to:
        # If only the name of the contract is known, its columns aren't.
        if rule.types is not None and name not in types:
            advice = did_you_mean(str(name), types)
            yield f"column {name!r} is not one of {rule.contract}'s columns ({advice})"
    if len(rule.columns) != len(rule.to):
        yield f"it names {plural(len(rule.columns), 'column')} here and {len(rule.to)} of {rule.contract}"
        return
    for name, other in zip(rule.columns, rule.to, strict=True):
        if (
            name in columns
            and other in types
            and not _is_comparable(columns[name].dtype, types[other])
        ):
            own = columns[name].dtype
            yield f"{name} is {own}, {rule.contract}.{other} is {types[other]}: they share no values"


def _is_comparable(one: DType, other: DType) -> bool:
    """Whether values of two types can be compared."""
    texts = {"String", "Enum", "Categorical"}
    if {one.name, other.name} <= texts:
        return True
    return one.includes(other) or other.includes(one)


def _drift_problems(rule: DriftRule, columns: _Columns) -> Iterable[str]:
    yield from _comparison_problems(rule.columns, columns)
    if rule.by not in METRICS:
        yield f"by={rule.by!r} is not one of {', '.join(METRICS)}"
    if not _is_number(rule.limit) or not isfinite(rule.limit) or rule.limit < 0:
        yield f"limit={rule.limit!r} is not a distance: use a number >= 0"
    if not isinstance(rule.vs_last, int) or isinstance(rule.vs_last, bool) or rule.vs_last < 1:
        yield f"vs_last={rule.vs_last!r} is not a number of partitions: use 1, 2, 3, ..."
    if not any(column.partition for column in columns.values()):
        yield "the contract has no partition column, so there are no earlier partitions"
    for name in rule.columns:
        dtype = columns[name].dtype if name in columns else None
        if dtype is not None and dtype.name == "Binary":
            yield f"{name} is Binary, which has no distribution"
        elif dtype is not None and rule.by in ("ks", "wasserstein") and not _has_order(dtype):
            yield f"{rule.by} of {name}, a {dtype}: it needs numbers or times"


def _alarm_problems(rule: DriftAlarmRule, columns: _Columns) -> Iterable[str]:
    if rule.on_fail != "warn":
        yield f"on_fail={rule.on_fail!r}: an alarm only warns, since no partition is to blame alone"
    yield from _unknown_columns(rule.columns, columns)
    if len(set(rule.columns)) < len(rule.columns):
        yield f"it names a column twice: {', '.join(map(str, rule.columns))}"
    yield from _unwatchable(rule, columns)
    if not _is_number(rule.tolerance) or not 0 < rule.tolerance < 0.5:
        yield f"tolerance={rule.tolerance!r} is not a change of a share: use a number between 0 and 0.5"
    yield from _reference_window_problems(rule, columns)


def _unwatchable(rule: DriftAlarmRule, columns: _Columns) -> Iterable[str]:
    for column in (columns[name] for name in rule.columns if name in columns):
        if column.partition or is_time_of_rows(column):
            yield f"{column.name} moves on with the partitions, so it always drifts"
        elif column.dtype.name in ("Struct", "Object"):
            yield f"{column.name} is a {column.dtype}, which has no distribution"
    if not rule.columns and not watchable_columns(columns.values()):
        yield "the contract has no column with a distribution to watch; name the columns"


def _reference_window_problems(rule: DriftAlarmRule, columns: _Columns) -> Iterable[str]:
    grains = [column.partition for column in columns.values() if column.partition]
    if not grains:
        yield "the contract has no partition column, so there are no earlier partitions"
    elif grains[0] == "hour":
        yield (
            "its partitions are hours, which differ from each other every day: declare it for a stage "
            "with a partition a day or longer"
        )
    if isinstance(rule.reference, str):
        if grains[:1] == ["value"]:
            yield (
                f"reference={rule.reference!r} is a length of time, but partitions are values: use the "
                "number of partitions, such as reference=30"
            )
        try:
            parse_span(rule.reference)
        except ValueError:
            yield f"reference={rule.reference!r} is not a duration such as '30d', '8w' or '12mo'"
    elif (
        not isinstance(rule.reference, int)
        or isinstance(rule.reference, bool)
        or rule.reference < 2
    ):
        yield f"reference={rule.reference!r} is not a length of time, or a number of partitions >= 2"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _has_order(dtype: DType) -> bool:
    return dtype.is_number or dtype.is_time or dtype.name in ("Duration", "Time")
