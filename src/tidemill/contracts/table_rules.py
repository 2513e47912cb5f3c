"""Declare the rules of a contract about a whole partition or a whole table.

`Rows` and `Budget` are about one partition. The *table rules* look beyond it: at the clock
(`Freshness`), at all partitions (`Unique`), at another contract's table (`References`), at earlier
partitions (`Drift`), at all partitions in their order (`DriftAlarm`). They judge no single row, so they
only fail or warn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, TypeAlias

from tidemill.contracts.dtype import DType
from tidemill.core.errors import ContractError
from tidemill.core.fingerprint import Part
from tidemill.core.lazy_dataclass import dataclass

Consequence: TypeAlias = Literal["fail", "warn"]
Metric: TypeAlias = Literal["psi", "ks", "wasserstein"]

CONSEQUENCES = ("fail", "warn")
# The change of a share that is no drift.
TOLERANCE = 0.03
# A contract without a budget lets at most this share of a partition's rows be quarantined.
DEFAULT_MAX_BAD = 0.5
METRICS = ("psi", "ks", "wasserstein")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Bounds on the rows of a partition: absolute, and relative to the median of the last partitions."""

    min: int | None = None
    max: int | None = None
    vs_last: int | None = None
    within: float | None = None
    on_fail: Consequence = "warn"

    def __post_init__(self) -> None:
        if (self.vs_last is None) != (self.within is None):
            raise ContractError(
                "Rows needs vs_last= and within= together: Rows(vs_last=7, within=0.5)"
            )
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ContractError(f"Rows(min={self.min}, max={self.max}): min is above max")
        if self.on_fail not in CONSEQUENCES:
            raise ContractError(
                f"Rows(on_fail={self.on_fail!r}) is not fail or warn: it can't quarantine single rows"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The share of a partition's rows that may be quarantined before the partition fails.

    Without a budget it is a half; `Budget(max_bad=1)` allows any number of bad rows.
    """

    max_bad: float

    def __post_init__(self) -> None:
        if not 0 <= self.max_bad <= 1:
            raise ContractError(
                f"Budget(max_bad={self.max_bad}) is not a share of the rows between 0 and 1"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _RuleBase:
    """A rule that looks beyond the partition; it is named by its class attribute."""

    name: str = ""
    on_fail: Consequence = "fail"
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessRule(_RuleBase):
    """A limit on the age of the newest value of a column in the table, such as "26h"."""

    column: str
    within: str
    on_fail: Consequence = "warn"

    def __str__(self) -> str:
        return f"the newest {self.column} is at most {self.within} old"


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueRule(_RuleBase):
    """Columns whose values, or combinations of values, are unique in the whole table."""

    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"{_format_columns(self.columns)} comes once in the whole table"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRule(_RuleBase):
    """A foreign key: the values of `columns` must exist in the columns `to` of another contract's table.

    `place` (where that contract is declared) and `types` (of its columns) are known if the contract
    was read from its class. `stage` names the stage that makes the table, if several could.
    """

    columns: tuple[str, ...]
    contract: str
    to: tuple[str, ...]
    stage: str = ""
    place: str = field(default="", compare=False)
    types: Mapping[str, DType] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        table = f"{self.contract} ({self.stage})" if self.stage else self.contract
        return f"{_format_columns(self.columns)} is among {_format_columns(self.to)} of {table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRule(_RuleBase):
    """A limit on the distance of columns' distributions from those of the last `vs_last` partitions."""

    columns: tuple[str, ...]
    by: Metric = "psi"
    limit: float = 0.2
    vs_last: int = 1
    on_fail: Consequence = "warn"

    def __str__(self) -> str:
        before = "partition before" if self.vs_last == 1 else f"{self.vs_last} partitions before"
        return f"{self.by} of {_format_columns(self.columns)} to the {before} is at most {self.limit:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftAlarmRule(_RuleBase):
    """An alarm when columns drift from the partitions before: of a length of time, or a number of them.

    Without `columns` it watches all that have a distribution of their own; see `watched_columns`.
    """

    columns: tuple[str, ...] = ()
    reference: str | int = "30d"
    tolerance: float = TOLERANCE
    on_fail: Consequence = "warn"

    def __str__(self) -> str:
        columns = _format_columns(self.columns) if self.columns else "every column"
        before = (
            self.reference if isinstance(self.reference, str) else f"{self.reference} partitions"
        )
        return f"the shares of {columns} stay within {self.tolerance:g} of those in the {before} before"


PartitionRule: TypeAlias = FreshnessRule | UniqueRule | ReferenceRule | DriftRule
TableRule: TypeAlias = PartitionRule | DriftAlarmRule


def Freshness(
    column: str, *, within: str, on_fail: Consequence = "warn", description: str = ""
) -> FreshnessRule:
    """Require that the newest value of a Date or Datetime column is at most `within` ("26h", "3d") old."""
    return FreshnessRule(column=column, within=within, on_fail=on_fail, description=description)


def Unique(*columns: str, on_fail: Consequence = "fail", description: str = "") -> UniqueRule:
    """Require unique values of a column, or of a combination, in the whole table; nulls pass."""
    return UniqueRule(columns=columns, on_fail=on_fail, description=description)


def References(
    columns: str | Sequence[str],
    contract: type[Any],
    to: str | Sequence[str] | None = None,
    *,
    stage: str = "",
    on_fail: Consequence = "fail",
    description: str = "",
) -> ReferenceRule:
    """Require that every value of `columns` exists in the columns `to` of a contract's table.

    By default the columns have the same names there. A row with a null in one of them passes. `stage`
    names the stage whose table is meant if several stages have that contract. ContractError if
    `contract` isn't a contract.
    """
    spec = getattr(contract, "__tidemill_contract__", None)
    if spec is None:
        raise ContractError(
            f"References(..., {contract!r}) is not a contract: pass the class, such as "
            "References('carrier', Airlines)"
        )
    own = _names(columns)
    return ReferenceRule(
        columns=own,
        contract=spec.name,
        to=own if to is None else _names(to),
        stage=stage,
        on_fail=on_fail,
        description=description,
        place=spec.place,
        types={column.name: column.dtype for column in spec.columns},
    )


def Drift(
    *columns: str,
    by: Metric = "psi",
    limit: float = 0.2,
    vs_last: int = 1,
    on_fail: Consequence = "warn",
    description: str = "",
) -> DriftRule:
    """Limit the distance `by` ("psi", "ks", "wasserstein") of each column from the last partitions.

    The distance, at most `limit`, is computed between the profile of the partition and the merged
    profile of the `vs_last` partitions before it.
    """
    return DriftRule(
        columns=columns,
        by=by,
        limit=limit,
        vs_last=vs_last,
        on_fail=on_fail,
        description=description,
    )


def DriftAlarm(
    *columns: str,
    reference: str | int = "30d",
    tolerance: float = TOLERANCE,
    description: str = "",
) -> DriftAlarmRule:
    """Raise an alarm when columns drift for good from the partitions before; it only warns.

    Shares of each column (below its deciles, of frequent categories, of missing values) are compared with
    those in the `reference`, the partitions of a length of time ("30d") or a number of partitions before.
    Each may differ by `tolerance`. Evidence is summed over partitions, so that a table of daily partitions
    has at most one false alarm a year. Without columns, all are watched but times, the partition column
    and columns that identify rows.
    """
    return DriftAlarmRule(
        columns=columns, reference=reference, tolerance=tolerance, description=description
    )


def table_rule_part(rule: PartitionRule) -> list[Part]:
    """The parts of a table rule that enter the digest of its contract.

    Freshness adds only its column: the age of the head is checked at the end of each run.
    """
    match rule:
        case UniqueRule():
            return ["unique", rule.name, rule.on_fail, list(rule.columns)]
        case ReferenceRule():
            table: list[Part] = [rule.contract, rule.stage, list(rule.to)]
            return ["references", rule.name, rule.on_fail, list(rule.columns), table]
        case DriftRule():
            how: list[Part] = [rule.by, float(rule.limit), rule.vs_last]
            return ["drift", rule.name, rule.on_fail, list(rule.columns), how]
        case _:
            return ["newest", rule.column]


def _names(columns: str | Sequence[str]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)


def _format_columns(columns: Sequence[str]) -> str:
    return columns[0] if len(columns) == 1 else f"({', '.join(columns)})"
