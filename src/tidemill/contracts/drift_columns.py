"""Choose the columns that a drift alarm watches."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import DriftAlarmRule

_NO_DISTRIBUTION = ("Struct", "Object")


def watched_columns(spec: ContractSpec, rule: DriftAlarmRule) -> tuple[str, ...]:
    """Return the columns that a rule watches: those it names, or all that can drift.

    Not watched by default are times, the partition column, columns whose values identify rows (unique, or
    the key of a partition), and structs.
    """
    if rule.columns:
        return rule.columns
    partition = {column.name for column in spec.columns if column.partition}
    key = {*spec.key} - partition
    found = watchable_columns(spec.columns)
    return tuple(name for name in found if len(key) > 1 or name not in key)


def watchable_columns(columns: Iterable[Column]) -> tuple[str, ...]:
    """Return the columns whose values have a distribution that can stay the same."""
    return tuple(
        column.name
        for column in columns
        if not column.partition
        and not column.unique
        and not is_time_of_rows(column)
        and column.dtype.name not in _NO_DISTRIBUTION
    )


def is_time_of_rows(column: Column) -> bool:
    """Whether the values of a column are times, which move on."""
    return column.dtype.is_time
