"""A contract's rules about rows, compiled once: how each is told, and what is said when it breaks.

What holds for every rule: a missing value (null, or NaN in a float column) breaks `X.null` or
`X.nan` unless X is nullable, and breaks nothing else that a column says; infinities are ordinary
numbers. A key or partition column never only warns about values that are missing, of another type
or of another partition: rows without an identity or a place can't be kept, so there `warn` means
`quarantine`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.query.category_codes import codes_in
from tidemill.analysis.query.serialized import Unreadable, parsed, written
from tidemill.contracts.checks.opaque_rules import rule_faults
from tidemill.contracts.checks.schema import polars_type, schema_of
from tidemill.contracts.column import Column, OnFail
from tidemill.contracts.spec import ContractSpec, Rule
from tidemill.core.errors import ContractError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRule:
    """One rule about rows: its name, what follows, and what is said when rows break it.

    `shows` are the columns whose values identify the rows in a finding.
    """

    id: str
    on_fail: OnFail
    says: str
    advice: str
    shows: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A rule that an expression over the contract's columns tells; null is passed."""

    rule: RowRule
    passes: pl.Expr


# What the least or the greatest value is compared with, the query that tells which rows break it,
# and whether that value does: NaN doesn't.
Bounded: TypeAlias = tuple[Any, Query, Callable[[Any, Any], bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRules:
    """The rules of one column; the least and the greatest value settle `least` and `most`."""

    name: str
    dtype: pl.DataType
    is_float: bool
    nullable: bool
    type: RowRule
    null: RowRule
    nan: RowRule
    partition: RowRule
    least: Bounded | None
    most: Bounded | None
    unique: RowRule | None
    others: tuple[Query, ...]


def column_rules(spec: ContractSpec) -> tuple[ColumnRules, ...]:
    """The rules of every column; ContractError for what Polars can't do, such as a look-ahead."""
    schema, empty = _schema(spec)
    fixed = {*spec.key, spec.partitioning.column}
    compiled = tuple(
        _column(spec, column, schema[column.name], fixed=column.name in fixed)
        for column in spec.columns
    )
    _try(spec, empty, [query for column in compiled for query in column.others])
    for column, rules in zip(spec.columns, compiled, strict=True):
        if column.default is not None:
            _refuse_default(spec, column, rules)
    return compiled


def _try(spec: ContractSpec, empty: pl.DataFrame, queries: Sequence[Query]) -> None:
    """ContractError with the first query that Polars refuses."""
    try:
        # Together they are tried in a tenth of the time.
        empty.select(query.passes.alias(str(index)) for index, query in enumerate(queries))
    except PolarsError:
        for query in queries:
            try:
                empty.select(query.passes)
            except PolarsError as error:
                raise broken_rule(spec, query.rule.id, error) from error
        raise


def _refuse_default(spec: ContractSpec, column: Column, rules: ColumnRules) -> None:
    """ContractError when a default breaks a rule that only Polars can tell, such as a pattern."""
    value = default_of(column, rules.dtype).to_frame()
    bounds = [bound[1] for bound in (rules.least, rules.most) if bound]
    for query in (*bounds, *rules.others):
        if not value.select(query.passes.all()).item():
            raise ContractError(
                f"{spec.place}: contract {spec.name}: {column.name}: default={column.default!r} "
                f"breaks its own rule {query.rule.id}"
            )


def default_of(column: Column, dtype: pl.DataType) -> pl.Series:
    """What an optional column is filled with when it is missing, as one value."""
    return pl.Series(column.name, [column.default], dtype=dtype)


def expression_rules(spec: ContractSpec) -> tuple[Query, ...]:
    """The rules over several columns; ContractError for one that can't be told from the columns."""
    for fault in rule_faults(spec):
        raise ContractError(str(fault))
    if not spec.rules:
        return ()
    empty = _schema(spec)[1].lazy()
    return tuple(_expression(spec, rule, empty) for rule in spec.rules)


def key_rule(spec: ContractSpec) -> RowRule:
    """The rule that the key repeats in no partition; the first row of each key passes."""
    return RowRule(
        id="key",
        on_fail="quarantine",
        says=f"rows repeat the key ({', '.join(spec.key)}) of an earlier row",
        advice="fix the source, or name the columns in key= that tell the rows apart",
        shows=spec.key,
    )


def broken_rule(spec: ContractSpec, rule: str, error: Exception) -> ContractError:
    """The error for a rule that can't be evaluated: which one, where it stands, and why."""
    return ContractError(
        f"{spec.place}: rule {rule} of contract {spec.name} can't be evaluated: "
        f"{type(error).__name__}: {_brief(error)}"
    )


def _brief(error: Exception) -> str:
    """What an error says, without the query that Polars prints below it."""
    text = str(error)
    for tail in ("This error occurred", "Resolved plan"):
        text = text.partition(tail)[0]
    return " ".join(text.split())


def _schema(spec: ContractSpec) -> tuple[dict[str, pl.DataType], pl.DataFrame]:
    """The types of a contract, and a frame without rows that has them."""
    schema = schema_of(spec)
    try:
        return schema, pl.DataFrame(schema=schema)
    except PolarsError:
        for name, dtype in schema.items():
            try:
                pl.Series(name, [], dtype=dtype)
            except PolarsError as error:
                raise broken_rule(spec, f"{name}.type", error) from error
        raise


def _column(spec: ContractSpec, column: Column, dtype: pl.DataType, *, fixed: bool) -> ColumnRules:
    strict: OnFail = "quarantine" if fixed and column.on_fail == "warn" else column.on_fail
    name = column.name
    least, most, others = _bound(column, _LEAST), _bound(column, _MOST), [*_others(spec, column)]
    missing = tuple(key for key in spec.key if key != name)

    def rule(kind: str, says: str, advice: str, shows: tuple[str, ...] = (name,)) -> RowRule:
        return RowRule(id=f"{name}.{kind}", on_fail=strict, says=says, advice=advice, shows=shows)

    if not _told_by_python(column, dtype):
        others += [bound[1] for bound in (least, most) if bound]
        least = most = None
    return ColumnRules(
        name=name,
        dtype=dtype,
        is_float=dtype.is_float(),
        nullable=column.nullable,
        type=rule("type", f"values can't be read as {column.dtype}", _OR + "declare its type"),
        null=rule("null", "values are missing", _OR + "declare nullable=True", missing),
        nan=rule("nan", "values are NaN, which is missing", _OR + "declare nullable=True", missing),
        partition=rule("partition", "rows belong to another partition", _KEEP),
        least=least,
        most=most,
        unique=_value_rule(column, "unique", _TWICE, _OR + "drop unique=")
        if column.unique
        else None,
        others=tuple(others),
    )


_OR = "fix the source, or "
_KEEP = "a partition's rows must carry its own value"
_TWICE = "values repeat that of an earlier row"
_FEW = 8
# The names of a column's bounds on one side: how a value passes each, and how it breaks it.
_Compares: TypeAlias = Callable[[Any, Any], Any]
_Side: TypeAlias = Mapping[str, tuple[_Compares, _Compares]]
_LEAST: _Side = {"min": (operator.ge, operator.lt), "min_exclusive": (operator.gt, operator.le)}
_MOST: _Side = {"max": (operator.le, operator.gt), "max_exclusive": (operator.lt, operator.ge)}
_BEYOND = {
    "min": "below",
    "max": "above",
    "min_exclusive": "not above",
    "max_exclusive": "not below",
}


def _told_by_python(column: Column, dtype: pl.DataType) -> bool:
    """Whether a bound is to a value of Python what it is to the column."""
    if isinstance(dtype, pl.Datetime):
        # Python's datetime has no nanoseconds, and compares within one zone by the wall clock.
        return not (dtype.time_unit == "ns" or dtype.time_zone)
    # In few digits a value is equal to a bound that it isn't equal to in all of them.
    rounded = dtype.is_float() and dtype != pl.Float64
    return not rounded or (column.min_exclusive is None and column.max_exclusive is None)


def _bound(column: Column, side: _Side) -> Bounded | None:
    kind = next((kind for kind in side if getattr(column, kind) is not None), None)
    if kind is None:
        return None
    bound, (within, beyond) = getattr(column, kind), side[kind]
    value, limit = pl.col(column.name), pl.lit(bound)
    if column.dtype.name == "Datetime" and column.dtype.args[1]:
        limit = limit.dt.convert_time_zone(str(column.dtype.args[1]))
    passes = within(value, limit)
    if column.dtype.name.startswith("Float") and side is _MOST:
        # Polars orders NaN above everything; here it is missing.
        passes |= value.is_nan()
    rule = _value_rule(
        column, kind, f"values are {_BEYOND[kind]} {kind}={bound}", _OR + f"change {kind}="
    )
    return bound, Query(rule=rule, passes=passes), beyond


def _others(spec: ContractSpec, column: Column) -> Iterable[Query]:
    value = pl.col(column.name)
    yield from _lengths(column)
    if column.regex is not None:
        says = f"values don't match {column.regex!r}"
        rule = _value_rule(column, "regex", says, _OR + "change regex=")
        yield Query(rule=rule, passes=value.str.contains(column.regex))
    if column.isin is not None:
        allowed = [item for item in column.isin if item is not None]
        passes = _among(value, _items(spec, column, allowed))
        if column.dtype.name.startswith("Float"):
            passes |= value.is_nan()
        listed = ", ".join(map(repr, allowed[:5])) + (", ..." if len(allowed) > 5 else "")
        says = f"values are none of {listed}"
        rule = _value_rule(column, "isin", says, _OR + "add them to isin=")
        yield Query(rule=rule, passes=passes)


def _among(value: pl.Expr, allowed: pl.Series) -> pl.Expr:
    """Whether a value is one of some; a few texts are told faster one by one than by their hashes."""
    if allowed.dtype == pl.String and 0 < allowed.len() <= _FEW:
        return pl.any_horizontal(value == text for text in allowed)
    return value.is_in(allowed.implode())


def _lengths(column: Column) -> Iterable[Query]:
    sides = (("min_length", "shorter", operator.ge), ("max_length", "longer", operator.le))
    for kind, than, within in sides:
        limit = getattr(column, kind)
        if limit is None:
            continue
        unit, length = _LENGTHS[column.dtype.name]
        says = f"values are {than} than {kind}={limit} {unit}"
        rule = _value_rule(column, kind, says, _OR + f"change {kind}=")
        yield Query(rule=rule, passes=within(length(pl.col(column.name)), limit))


_LENGTHS: Mapping[str, tuple[str, Callable[[pl.Expr], pl.Expr]]] = {
    "String": ("characters", lambda value: value.str.len_chars()),
    "Binary": ("bytes", lambda value: value.bin.size()),
    "List": ("items", lambda value: value.list.len()),
}


def _value_rule(column: Column, kind: str, says: str, advice: str) -> RowRule:
    return RowRule(
        id=f"{column.name}.{kind}",
        on_fail=column.on_fail,
        says=says,
        advice=advice,
        shows=(column.name,),
    )


def _items(spec: ContractSpec, column: Column, allowed: list[object]) -> pl.Series:
    try:
        return pl.Series(allowed, dtype=polars_type(column.dtype))
    except (PolarsError, TypeError) as error:
        raise broken_rule(spec, f"{column.name}.isin", error) from error


def _refuse_codes(spec: ContractSpec, rule: Rule, query: pl.LazyFrame) -> None:
    """ContractError for a rule on the codes of a Categorical: the same value has others elsewhere."""
    # Any type may hold one, or the rule may make it; only few rules name codes at all.
    if "Physical" not in rule.expr.meta.serialize(format="json"):
        return
    try:
        text = written(query)
        hits = codes_in(text, parsed(text))
    except Unreadable as error:
        raise broken_rule(spec, rule.name, error) from error
    for hit in hits:
        raise ContractError(
            f"{spec.place}: rule {rule.name} of contract {spec.name} takes the codes of a Categorical "
            f"({hit.name}): the same value has another one in another process; declare the column as "
            "tm.Enum([...]), whose codes are fixed"
        )


def _expression(spec: ContractSpec, rule: Rule, empty: pl.LazyFrame) -> Query:
    roots = tuple(dict.fromkeys(rule.expr.meta.root_names()))
    for name in roots:
        if name not in spec.names:
            raise ContractError(
                f"{spec.place}: rule {rule.name} of contract {spec.name} reads column {name!r}, "
                f"which the contract doesn't have ({did_you_mean(name, spec.names)})"
            )
    query = empty.select(rule.expr)
    _refuse_codes(spec, rule, query)
    try:
        given = query.collect_schema()
        # Polars sees most type errors only when it runs.
        query.collect()
    except PolarsError as error:
        raise broken_rule(spec, rule.name, error) from error
    if any(dtype != pl.Boolean for dtype in given.dtypes()):
        found = ", ".join(map(str, given.dtypes()))
        raise ContractError(
            f"{spec.place}: rule {rule.name} of contract {spec.name} gives {found}, not Boolean; "
            "compare it with something"
        )
    compiled = RowRule(
        id=rule.name,
        on_fail=rule.on_fail,
        says=f"rows break it{f' ({rule.description})' if rule.description else ''}",
        advice=_OR + f"change the rule ({spec.place})",
        shows=spec.key or roots,
    )
    # An expression may stand for several columns (pl.all() > 0): a row passes when all of them do.
    passes = rule.expr if len(given) == 1 else pl.all_horizontal(rule.expr)
    return Query(rule=compiled, passes=passes)
