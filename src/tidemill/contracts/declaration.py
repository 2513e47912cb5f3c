"""Declare a contract by a class statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, TypeVar

from tidemill.contracts.column import Column
from tidemill.contracts.digests import check_digest
from tidemill.contracts.spec import (
    Compatibility,
    ContractSpec,
    Reads,
    Rule,
    UnknownColumns,
    is_expression,
)
from tidemill.contracts.table_rules import (
    Budget,
    DriftAlarmRule,
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    Rows,
    TableRule,
    UniqueRule,
)
from tidemill.contracts.validity import require_consistent
from tidemill.core.callsite import caller
from tidemill.core.errors import ContractError
from tidemill.core.lazy_dataclass import dataclass


class DeclaredContract:
    """Base of every contract: columns and rules are class attributes, the rest are class arguments.

    Class arguments: `version` ("MAJOR.MINOR.PATCH"), `key` (names of the columns that identify a
    row; rows are stored in its order), `unknown_columns` ("fail", "drop" or "keep"),
    `compatibility` ("none", or what a next version promises: "backward", "forward", "full", each
    also "_transitive"). Raises ContractError when the contract contradicts itself.
    """

    __tidemill_contract__: ClassVar[ContractSpec]

    def __init_subclass__(
        cls,
        *,
        version: str = "1.0.0",
        key: Sequence[str] = (),
        unknown_columns: UnknownColumns = "fail",
        compatibility: Compatibility = "none",
        base: bool = False,
        **kwargs: object,
    ) -> None:
        super().__init_subclass__(**kwargs)
        # A base class adds methods to contracts and isn't a contract itself.
        if base:
            return
        place = caller(1)
        own = _ClassBody.from_class(cls, f"{place}: contract {cls.__name__}")
        parent = getattr(cls, "__tidemill_contract__", None)
        columns, rules, wider = _inherited_declarations(cls)
        spec = ContractSpec(
            name=cls.__name__,
            version=version,
            columns=tuple((columns | own.columns).values()),
            key=(key,) if isinstance(key, str) else tuple(key),
            rules=tuple((rules | own.rules).values()),
            rows=own.rows or getattr(parent, "rows", None),
            budget=own.budget or getattr(parent, "budget", None),
            table_rules=tuple((wider | own.table_rules).values()),
            unknown_columns=unknown_columns,
            compatibility=compatibility,
            description=(cls.__doc__ or "").strip(),
            place=place,
        )
        require_consistent(spec)
        for name, column in own.columns.items():
            setattr(cls, name, column)
        cls.__tidemill_contract__ = spec

    @classmethod
    def __tidemill_check__(cls) -> str:
        """Return the digest that identifies a contract in code that only reads its columns.

        It covers the checks but not the version, and is empty if the class overrides `reads`.
        """
        inherited = getattr(cls.reads, "__func__", None) is vars(DeclaredContract)["reads"].__func__
        return check_digest(cls.__tidemill_contract__) if inherited else ""

    @classmethod
    def reads(
        cls,
        *columns: str,
        guarantees: Sequence[str | Column | Rule] | None = None,
        **relied: Column,
    ) -> Reads:
        """Declare the columns that a consumer reads and the guarantees that it relies on.

        `guarantees` names rules of the contract ("weight.min", "shipped_later", "key") or lists
        columns and rules; `weight=tm.Float64(min=0)` reads a column and relies on every term given.
        ContractError names the nearest column for one that doesn't exist.
        """
        spec, place = cls.__tidemill_contract__, caller(1)
        own = tuple(replace(column, name=name) for name, column in relied.items())
        listed = (guarantees,) if isinstance(guarantees, str) else guarantees
        terms = None if listed is None and not own else (*(listed or ()), *own)
        names = dict.fromkeys(spec.column(name).name for name in (*columns, *relied))
        return Reads(contract=spec, columns=tuple(names), guarantees=terms, place=place)


AnyContract = TypeVar("AnyContract", bound=DeclaredContract)


@dataclass(slots=True, kw_only=True)
class _ClassBody:
    """The declarations of one class body."""

    columns: dict[str, Column]
    rules: dict[str, Rule]
    table_rules: dict[str, TableRule]
    rows: Rows | None = None
    budget: Budget | None = None

    @classmethod
    def from_class(cls, body: type, where: str) -> _ClassBody:
        own = cls(columns={}, rules={}, table_rules={})
        for name, value in vars(body).items():
            if name in RESERVED and isinstance(value, _DECLARATIONS):
                raise ContractError(
                    f"{where}: {name!r} is a method of contracts; rename the column or rule"
                )
            match value:
                case Column():
                    own.columns[name] = replace(value, name=name)
                case Rule():
                    own.rules[name] = replace(value, name=name)
                case (
                    UniqueRule()
                    | ReferenceRule()
                    | DriftRule()
                    | DriftAlarmRule()
                    | FreshnessRule()
                ):
                    own.table_rules[name] = replace(value, name=name)
                case Rows() | Budget():
                    own._set_once(value, f"{where}: {name}")
                case _ if problem := _declaration_problem(value):
                    raise ContractError(f"{where}: {name} {problem}")
        return own

    def _set_once(self, value: Rows | Budget, where: str) -> None:
        kind = type(value).__name__
        if getattr(self, kind.lower()) is not None:
            raise ContractError(f"{where} is its second {kind}(); use one")
        setattr(self, kind.lower(), value)


_DECLARATIONS = (
    Column,
    Rule,
    UniqueRule,
    ReferenceRule,
    DriftRule,
    DriftAlarmRule,
    FreshnessRule,
)
RESERVED = frozenset({"describe", "reads", "sample", "validate"})


def _declaration_problem(value: object) -> str:
    """Say why an attribute that looks like a column or a rule isn't one; "" for other attributes."""
    if getattr(value, "__module__", "") == "tidemill.contracts.column_types":
        return f"is the function {getattr(value, '__name__', '')}; call it to make a column"
    if getattr(value, "__module__", "") == "tidemill.contracts.table_rules":
        return f"is the function {getattr(value, '__name__', '')}; call it to make a rule"
    if is_expression(value):
        return "is an expression; wrap it in tm.rule(...)"
    if str(getattr(value, "__module__", "")).startswith("polars.datatypes"):
        return f"is the Polars type {value}; use a column such as tm.Int64()"
    return ""


def _inherited_declarations(
    cls: type,
) -> tuple[dict[str, Column], dict[str, Rule], dict[str, TableRule]]:
    columns: dict[str, Column] = {}
    rules: dict[str, Rule] = {}
    wider: dict[str, TableRule] = {}
    for base in reversed(cls.__mro__[1:]):
        spec = vars(base).get("__tidemill_contract__")
        if spec is not None:
            columns.update({column.name: column for column in spec.columns})
            rules.update({rule.name: rule for rule in spec.rules})
            wider.update({rule.name: rule for rule in spec.table_rules})
    return columns, rules, wider
