"""The specification of a contract: the columns of a table and the rules that its rows pass; versioned.

Users declare a contract as a class. This frozen record behind it is the source for the checks at plan
time and run time, for the two digests (effect on values, checks) and for the docs.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal, TypeAlias, get_args

from tidemill.contracts.column import ON_FAIL, Column, OnFail
from tidemill.contracts.table_rules import (
    DEFAULT_MAX_BAD,
    Budget,
    DriftAlarmRule,
    PartitionRule,
    Rows,
    TableRule,
)
from tidemill.core.errors import ContractError, did_you_mean
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import Grain, Partitioning

UnknownColumns: TypeAlias = Literal["keep", "drop", "fail"]

Compatibility: TypeAlias = Literal[
    "none",
    "backward",
    "forward",
    "full",
    "backward_transitive",
    "forward_transitive",
    "full_transitive",
]

UNKNOWN_COLUMNS = ("keep", "drop", "fail")
COMPATIBILITY: tuple[str, ...] = get_args(Compatibility)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedExpression:
    """An expression from another process, known only by its digest and its text."""

    digest: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """A condition over the columns of a row; `expr` is a Polars expression, and null passes."""

    expr: Any
    on_fail: OnFail = "quarantine"
    name: str = ""
    description: str = ""

    @property
    def digest(self) -> str:
        """Digest of the serialised expression (its text would truncate lists)."""
        if isinstance(self.expr, RecordedExpression):
            return self.expr.digest
        return fingerprint("expression", self.expr.meta.serialize())

    # Comparing two expressions gives an expression, so compare digests.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash((self.name, self.on_fail, self.description))

    def _parts(self) -> tuple[str, ...]:
        return (self.name, self.on_fail, self.description, self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractSpec:
    """A whole contract as one value; `table_rules` look beyond the partition."""

    name: str
    version: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    rows: Rows | None = None
    budget: Budget | None = None
    table_rules: tuple[TableRule, ...] = ()
    unknown_columns: UnknownColumns = "fail"
    compatibility: Compatibility = "none"
    description: str = ""
    place: str = ""

    @property
    def title(self) -> str:
        """The name and the version: `Orders 1.0.0`."""
        return f"{self.name} {self.version}"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def required_columns(self) -> tuple[str, ...]:
        """The columns that the data must have."""
        return tuple(column.name for column in self.columns if not column.optional)

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise ContractError(
            f"{self.name} has no column {name!r} ({did_you_mean(name, self.names)})"
        )

    @property
    def max_bad(self) -> float:
        """The share of a partition's rows that may be quarantined."""
        return DEFAULT_MAX_BAD if self.budget is None else self.budget.max_bad

    @property
    def has_table_rules(self) -> bool:
        """Whether any check of a partition depends on data outside of it."""
        counted = self.rows is not None and self.rows.vs_last is not None
        return counted or bool(self.partition_rules)

    @property
    def partition_rules(self) -> tuple[PartitionRule, ...]:
        """The table rules that partitions are checked against when they are published."""
        return tuple(rule for rule in self.table_rules if not isinstance(rule, DriftAlarmRule))

    @property
    def drift_alarms(self) -> tuple[DriftAlarmRule, ...]:
        """The rules that watch the whole series of partitions at the end of each run."""
        return tuple(rule for rule in self.table_rules if isinstance(rule, DriftAlarmRule))

    @property
    def partitioning(self) -> Partitioning:
        for column in self.columns:
            if column.partition == "value":
                return Partitioning(column=column.name)
            if column.partition is not None:
                grain = Grain(column.partition)
                zone = str(column.dtype.args[1] or "") if column.dtype.name == "Datetime" else ""
                clock = "UTC" if zone and grain is Grain.HOUR else zone
                return Partitioning(column=column.name, grain=grain, zone=zone, clock=clock)
        return Partitioning()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """The columns of a contract that a consumer reads, and the guarantees that it relies on.

    `guarantees` are names of rules in the contract ("weight.min", "key"), columns with the terms that
    must hold, and rules. None means unknown; an empty tuple means that it relies on none.
    """

    contract: ContractSpec
    columns: tuple[str, ...]
    guarantees: tuple[str | Column | Rule, ...] | None = None
    place: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.contract.name}.reads({', '.join(map(repr, self.columns))})"


def rule(expr: Any, *, on_fail: OnFail = "quarantine", description: str = "") -> Rule:
    """Declare a condition over several columns of a row, as a Polars expression; null passes.

    With `.over(...)` it is evaluated over the rows of a group, including rows that break other rules.
    """
    if on_fail not in ON_FAIL:
        raise ContractError(f"rule(on_fail={on_fail!r}) is not one of {', '.join(ON_FAIL)}")
    if not is_expression(expr):
        raise ContractError(
            f"rule({expr!r}) is not a Polars expression, such as rule(pl.col('arrived') > 0)"
        )
    return Rule(expr=expr, on_fail=on_fail, description=description)


def is_expression(value: object) -> bool:
    """Whether a value is a Polars expression."""
    return hasattr(getattr(value, "meta", None), "serialize")
