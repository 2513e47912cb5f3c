"""The columns that an output has and the rules that it passes; versioned.

A contract is declared as a class, and everything is read from the frozen record behind it: what is
checked at plan time and at run time, the two digests (what values mean, what is checked), the docs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, get_args

from tidemill.domain.column import ON_FAIL, Column, OnFail
from tidemill.domain.column_problems import column_problems
from tidemill.domain.errors import ContractError, did_you_mean
from tidemill.domain.fingerprint import Part, fingerprint
from tidemill.domain.partition import Grain, Partitioning
from tidemill.domain.place import caller
from tidemill.domain.table_problems import wide_problems
from tidemill.domain.table_rules import (
    Budget,
    DriftRule,
    FreshnessRule,
    ReferenceRule,
    Rows,
    UniqueRule,
    WideRule,
    wide_part,
)

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
# As Semantic Versioning has it: three numbers without leading zeros.
_VERSION = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """An expression of which another process told the digest and the text."""

    digest: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """A condition over the columns of one row; `expr` is a Polars expression, null is passed."""

    expr: Any
    on_fail: OnFail = "quarantine"
    name: str = ""
    description: str = ""

    @property
    def digest(self) -> str:
        """Names the expression with every parameter (its text truncates lists)."""
        if isinstance(self.expr, Recorded):
            return self.expr.digest
        return fingerprint("expression", self.expr.meta.serialize())

    # `==` of two expressions is an expression, so equality goes by the digest.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash((self.name, self.on_fail, self.description))

    def _parts(self) -> tuple[str, ...]:
        return (self.name, self.on_fail, self.description, self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractSpec:
    """Everything that a contract says, as one value; `wider` rules look beyond the partition."""

    name: str
    version: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    rows: Rows | None = None
    budget: Budget | None = None
    wider: tuple[WideRule, ...] = ()
    unknown_columns: UnknownColumns = "fail"
    compatibility: Compatibility = "none"
    description: str = ""
    place: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that must come."""
        return tuple(column.name for column in self.columns if not column.optional)

    def column(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise ContractError(
            f"{self.name} has no column {name!r} ({did_you_mean(name, self.names)})"
        )

    @property
    def looks_further(self) -> bool:
        """Whether what it says of a partition depends on more than the partition."""
        counted = self.rows is not None and self.rows.vs_last is not None
        return counted or bool(self.wider)

    @property
    def partitioning(self) -> Partitioning:
        for column in self.columns:
            if column.partition == "value":
                return Partitioning(column=column.name)
            if column.partition is not None:
                return Partitioning(column=column.name, grain=Grain(column.partition))
        return Partitioning()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """The columns of a contract that a consumer declares that it reads, and what it relies on.

    `guarantees` are names of what the contract says ("weight.min", "key"), columns with the terms
    that must hold, and rules. None leaves open what matters; an empty tuple says that nothing does.
    """

    contract: ContractSpec
    columns: tuple[str, ...]
    guarantees: tuple[str | Column | Rule, ...] | None = None
    place: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.contract.name}.reads({', '.join(map(repr, self.columns))})"


def rule(expr: Any, *, on_fail: OnFail = "quarantine", description: str = "") -> Rule:
    """A condition over several columns of a row, as a Polars expression; null counts as passed.

    With `.over(...)` it is one over the rows of a group: all that came, whatever else they break.
    """
    if on_fail not in ON_FAIL:
        raise ContractError(f"rule(on_fail={on_fail!r}) is not one of {', '.join(ON_FAIL)}")
    if not _is_expression(expr):
        raise ContractError(
            f"rule({expr!r}) is not a Polars expression, such as rule(pl.col('arrived') > 0)"
        )
    return Rule(expr=expr, on_fail=on_fail, description=description)


def _is_expression(value: object) -> bool:
    return hasattr(getattr(value, "meta", None), "serialize")


class Contract:
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
        # A base adds what can be done with contracts, and is none itself.
        if base:
            return
        place = caller(1)
        own = _Own.of(cls, f"{place}: contract {cls.__name__}")
        parent = getattr(cls, "__tidemill_contract__", None)
        columns, rules, wider = _inherited(cls)
        spec = ContractSpec(
            name=cls.__name__,
            version=version,
            columns=tuple((columns | own.columns).values()),
            key=(key,) if isinstance(key, str) else tuple(key),
            rules=tuple((rules | own.rules).values()),
            rows=own.rows or getattr(parent, "rows", None),
            budget=own.budget or getattr(parent, "budget", None),
            wider=tuple((wider | own.wider).values()),
            unknown_columns=unknown_columns,
            compatibility=compatibility,
            description=(cls.__doc__ or "").strip(),
            place=place,
        )
        _refuse_contradictions(spec)
        for name, column in own.columns.items():
            setattr(cls, name, column)
        cls.__tidemill_contract__ = spec

    @classmethod
    def __tidemill_check__(cls) -> str:
        """What stands for a contract that code only asks for columns: its checks, in which is no version.

        Empty where a class has a `reads` of its own.
        """
        inherited = getattr(cls.reads, "__func__", None) is vars(Contract)["reads"].__func__
        return check_digest(cls.__tidemill_contract__) if inherited else ""

    @classmethod
    def reads(
        cls,
        *columns: str,
        guarantees: Sequence[str | Column | Rule] | None = None,
        **relied: Column,
    ) -> Reads:
        """The columns that a consumer reads, and what it relies on in them.

        `guarantees` names rules of the contract ("weight.min", "shipped_later", "key") or gives
        columns and rules; `weight=tm.Float64(min=0)` reads a column and relies on all that is said.
        ContractError names the nearest for a column that isn't there.
        """
        spec, place = cls.__tidemill_contract__, caller(1)
        own = tuple(replace(column, name=name) for name, column in relied.items())
        listed = (guarantees,) if isinstance(guarantees, str) else guarantees
        said = None if listed is None and not own else (*(listed or ()), *own)
        names = dict.fromkeys(spec.column(name).name for name in (*columns, *relied))
        return Reads(contract=spec, columns=tuple(names), guarantees=said, place=place)


AnyContract = TypeVar("AnyContract", bound=Contract)


@dataclass(slots=True, kw_only=True)
class _Own:
    """What one class body declares."""

    columns: dict[str, Column]
    rules: dict[str, Rule]
    wider: dict[str, WideRule]
    rows: Rows | None = None
    budget: Budget | None = None

    @classmethod
    def of(cls, body: type, where: str) -> _Own:
        own = cls(columns={}, rules={}, wider={})
        for name, value in vars(body).items():
            if name in RESERVED and isinstance(value, _DECLARED):
                raise ContractError(f"{where}: {name!r} is a method of contracts; rename it")
            match value:
                case Column():
                    own.columns[name] = replace(value, name=name)
                case Rule():
                    own.rules[name] = replace(value, name=name)
                case UniqueRule() | ReferenceRule() | DriftRule() | FreshnessRule():
                    own.wider[name] = replace(value, name=name)
                case Rows() | Budget():
                    own._one(value, f"{where}: {name}")
                case _ if problem := _forgotten(value):
                    raise ContractError(f"{where}: {name} {problem}")
        return own

    def _one(self, value: Rows | Budget, where: str) -> None:
        kind = type(value).__name__
        if getattr(self, kind.lower()) is not None:
            raise ContractError(f"{where} is its second {kind}(); use one")
        setattr(self, kind.lower(), value)


_DECLARED = (Column, Rule, UniqueRule, ReferenceRule, DriftRule, FreshnessRule)
RESERVED = frozenset({"describe", "reads", "sample", "validate"})


def _forgotten(value: object) -> str:
    """Why an attribute that looks like a column or a rule would be passed over in silence."""
    if getattr(value, "__module__", "") == "tidemill.domain.columns":
        return f"is {getattr(value, '__name__', '')} itself; call it to make a column"
    if getattr(value, "__module__", "") == "tidemill.domain.table_rules":
        return f"is {getattr(value, '__name__', '')} itself; call it to make a rule"
    if _is_expression(value):
        return "is an expression; wrap it in tm.rule(...)"
    if str(getattr(value, "__module__", "")).startswith("polars.datatypes"):
        return f"is the Polars type {value}; write a column such as tm.Int64()"
    return ""


def _inherited(cls: type) -> tuple[dict[str, Column], dict[str, Rule], dict[str, WideRule]]:
    columns: dict[str, Column] = {}
    rules: dict[str, Rule] = {}
    wider: dict[str, WideRule] = {}
    for base in reversed(cls.__mro__[1:]):
        spec = vars(base).get("__tidemill_contract__")
        if spec is not None:
            columns.update({column.name: column for column in spec.columns})
            rules.update({rule.name: rule for rule in spec.rules})
            wider.update({rule.name: rule for rule in spec.wider})
    return columns, rules, wider


def contradictions(spec: ContractSpec) -> list[str]:
    """Everything by which a contract contradicts itself, each as a sentence."""
    columns = {column.name: column for column in spec.columns}
    return [
        *_class_problems(spec),
        *(p for column in spec.columns for p in column_problems(column)),
        *(p for rule in spec.wider for p in wide_problems(rule, columns)),
    ]


def _refuse_contradictions(spec: ContractSpec) -> None:
    problems = contradictions(spec)
    if problems:
        raise ContractError(f"{spec.place}: contract {spec.name}: " + "; ".join(problems))


def _class_problems(spec: ContractSpec) -> Iterable[str]:
    if not spec.columns:
        yield "it has no columns"
    if not (isinstance(spec.version, str) and _VERSION.fullmatch(spec.version)):
        yield f"version {spec.version!r} is not MAJOR.MINOR.PATCH, such as '1.0.0'"
    if spec.unknown_columns not in UNKNOWN_COLUMNS:
        yield f"unknown_columns={spec.unknown_columns!r} is not one of {', '.join(UNKNOWN_COLUMNS)}"
    if spec.compatibility not in COMPATIBILITY:
        yield f"compatibility={spec.compatibility!r} is not one of {', '.join(COMPATIBILITY)}"
    yield from _key_problems(spec)
    cut = [column.name for column in spec.columns if column.partition]
    if len(cut) > 1:
        yield f"more than one column has partition=: {', '.join(cut)}"


def _key_problems(spec: ContractSpec) -> Iterable[str]:
    for name in spec.key:
        if name not in spec.names:
            advice = did_you_mean(name, spec.names)
            yield f"key column {name!r} is not one of its columns ({advice})"
        elif spec.column(name).nullable:
            yield f"key column {name!r} is nullable; a key identifies every row"
        elif spec.column(name).optional:
            yield f"key column {name!r} is optional; a key identifies every row"
        elif spec.column(name).dtype.is_nested:
            yield f"key column {name!r} is a {spec.column(name).dtype}, which has no order"
    if len(set(spec.key)) < len(spec.key):
        yield f"the key names a column twice: {spec.key}"


def value_digest(spec: ContractSpec) -> str:
    """What the contract does to values: types, key, casts, quarantine; part of the recipe.

    A column that only warns counts too: what can't be cast becomes null there and is published.
    """
    columns: list[Part] = [[*_value_parts(column)] for column in spec.columns]
    rules = [[rule.name, rule.digest] for rule in spec.rules if rule.on_fail == "quarantine"]
    return fingerprint("contract-value", columns, list(spec.key), rules, *_shape_parts(spec))


def _value_parts(column: Column) -> list[Part]:
    match column.on_fail:
        case "quarantine":
            return ["quarantine", *_column_parts(column)]
        case "warn":
            return ["warn", column.name, str(column.dtype), *_filled(column)]
    return ["fail", column.name, str(column.dtype), *_filled(column)]


def check_digest(spec: ContractSpec, *, wider: bool = True) -> str:
    """Everything that the contract checks; without the `wider` rules what it checks in a partition."""
    columns: list[Part] = [[*_column_parts(column), column.on_fail] for column in spec.columns]
    rules = [[rule.name, rule.on_fail, rule.digest] for rule in spec.rules]
    counts = (repr(spec.rows), repr(spec.budget))
    # Rules that contracts could not have at first add a part only where there are some.
    more = [wider_digest(spec)] if spec.wider and wider else []
    return fingerprint(
        "contract-check", columns, list(spec.key), rules, *counts, *_shape_parts(spec), *more
    )


def wider_digest(spec: ContractSpec) -> str:
    """What the rules that look beyond the partition ask; empty without any."""
    return fingerprint("contract-wider", list(map(wide_part, spec.wider))) if spec.wider else ""


def _shape_parts(spec: ContractSpec) -> tuple[str, str]:
    return (spec.unknown_columns, str(spec.partitioning))


def _column_parts(column: Column) -> list[Part]:
    isin = None if column.isin is None else sorted(map(repr, column.isin))
    bounds: list[Part] = [
        None if bound is None else repr(bound) for bound in (column.min, column.max)
    ]
    plain: list[Part] = [column.name, str(column.dtype), column.nullable]
    return [*plain, bounds, column.regex, isin, *_later_parts(column), *_filled(column)]


def _later_parts(column: Column) -> list[Part]:
    """What columns could not say at first; no part where it isn't said, so that digests stay."""
    names = ("min_exclusive", "max_exclusive", "min_length", "max_length", "unique")
    told = ((name, getattr(column, name)) for name in names)
    return [[name, repr(value)] for name, value in told if value is not None and value is not False]


def _filled(column: Column) -> list[Part]:
    """What becomes of a column that is missing; a value that is published, whatever is checked."""
    return [["optional", repr(column.default)]] if column.optional else []
