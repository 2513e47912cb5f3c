"""Compile a contract's rules about rows to Polars expressions, with the messages of their violations.

For every rule: a missing value (null, or NaN in a float column) breaks `X.null` or `X.nan` unless X is
nullable, and breaks no other rule of the column; infinities are ordinary numbers. In a key or partition
column, `warn` means `quarantine` for values that are missing, of another type or of another partition,
because rows without a key or a partition can't be kept.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.query.category_codes import find_category_codes
from tidemill.analysis.query.serialized import UnreadableQuery, parse_query, serialize_query
from tidemill.contracts.checks.opaque_rules import opaque_rule_faults
from tidemill.contracts.checks.schema import polars_type, schema_of
from tidemill.contracts.column import Column, OnFail
from tidemill.contracts.spec import ContractSpec, Rule
from tidemill.contracts.text_format import TextFormat
from tidemill.core.errors import ContractError, did_you_mean, without_query_plan
from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRule:
    """A rule about rows: its name, its severity, and the message for rows that break it.

    `sample_columns` are the columns that a finding shows of these rows: those without personal data, as
    findings are recorded for good, and sent to whoever may see runs.
    """

    id: str
    on_fail: OnFail
    violation: str
    advice: str
    sample_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleQuery:
    """A rule as an expression over the contract's columns; null passes."""

    rule: RowRule
    passes: pl.Expr


# The bound for the minimum or maximum, the query that finds the rows that break it, and the comparison
# that decides whether a value breaks it: NaN doesn't.
BoundRule: TypeAlias = tuple[Any, RuleQuery, Callable[[Any, Any], bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRules:
    """The rules of one column; its minimum and maximum decide `lower` and `upper`."""

    name: str
    dtype: pl.DataType
    text: TextFormat
    is_float: bool
    nullable: bool
    type: RowRule
    fields: RowRule
    unicode: RowRule
    null: RowRule
    nan: RowRule
    partition: RowRule
    lower: BoundRule | None
    upper: BoundRule | None
    unique: RowRule | None
    queries: tuple[RuleQuery, ...]


def column_rules(spec: ContractSpec) -> tuple[ColumnRules, ...]:
    """Compile the rules of every column; ContractError for unsupported ones, such as a look-ahead."""
    schema, empty = _schema(spec)
    fixed, shown_key = {*spec.key, spec.partitioning.column}, without_personal(spec, spec.key)
    compiled = tuple(
        _column(spec, column, schema[column.name], shown_key, fixed=column.name in fixed)
        for column in spec.columns
    )
    _try(spec, empty, [query for column in compiled for query in column.queries])
    for column, rules in zip(spec.columns, compiled, strict=True):
        if column.default is not None:
            _refuse_default(spec, column, rules)
    return compiled


def _try(spec: ContractSpec, empty: pl.DataFrame, queries: Sequence[RuleQuery]) -> None:
    """Raise ContractError for the first query that Polars refuses."""
    try:
        # Trying all of them at once takes a tenth of the time.
        empty.select(query.passes.alias(str(index)) for index, query in enumerate(queries))
    except PolarsError:
        for query in queries:
            try:
                empty.select(query.passes)
            except PolarsError as error:
                raise rule_error(spec, query.rule.id, error) from error
        raise


def _refuse_default(spec: ContractSpec, column: Column, rules: ColumnRules) -> None:
    """Raise ContractError if a default breaks a rule that needs Polars, such as a pattern."""
    value = default_series(column, rules.dtype).to_frame()
    bounds = [bound[1] for bound in (rules.lower, rules.upper) if bound]
    for query in (*bounds, *rules.queries):
        if not value.select(query.passes.all()).item():
            raise ContractError(
                f"{spec.place}: contract {spec.name}: {column.name}: default={column.default!r} "
                f"breaks its own rule {query.rule.id}"
            )


def default_series(column: Column, dtype: pl.DataType) -> pl.Series:
    """Return the default of an optional column as a series of one value."""
    return pl.Series(column.name, [column.default], dtype=dtype)


def expression_rules(spec: ContractSpec) -> tuple[RuleQuery, ...]:
    """Compile the rules over several columns; ContractError for one that the columns don't determine."""
    for fault in opaque_rule_faults(spec):
        raise ContractError(str(fault))
    if not spec.rules:
        return ()
    empty = _schema(spec)[1].lazy()
    return tuple(_expression(spec, rule, empty) for rule in spec.rules)


def key_rule(spec: ContractSpec) -> RowRule:
    """Return the rule that keys are unique in a partition; the first row of each key passes."""
    return RowRule(
        id="key",
        on_fail="quarantine",
        violation=f"rows repeat the key ({', '.join(spec.key)}) of an earlier row",
        advice="fix the source, or add columns to key= that make it unique",
        sample_columns=without_personal(spec, spec.key),
    )


def without_personal(spec: ContractSpec, names: Sequence[str]) -> tuple[str, ...]:
    """Those of some columns of a contract that hold no personal data."""
    personal = {column.name for column in spec.columns if column.pii}
    return tuple(name for name in names if name not in personal)


def rule_error(spec: ContractSpec, rule: str, error: Exception) -> ContractError:
    """Return the error for a rule that can't be evaluated: which rule, where it is declared, and why."""
    return ContractError(
        f"{spec.place}: rule {rule} of contract {spec.name} can't be evaluated: "
        f"{type(error).__name__}: {_brief(error)}"
    )


def _brief(error: Exception) -> str:
    """Return the message of an error without the query plan that Polars appends."""
    text = without_query_plan(str(error)).partition("; in ")[0]
    return " ".join(text.split())


def _schema(spec: ContractSpec) -> tuple[dict[str, pl.DataType], pl.DataFrame]:
    """Return the types of a contract, and an empty frame with them."""
    schema = schema_of(spec)
    try:
        return schema, pl.DataFrame(schema=schema)
    except PolarsError:
        for name, dtype in schema.items():
            try:
                pl.Series(name, [], dtype=dtype)
            except PolarsError as error:
                raise rule_error(spec, f"{name}.type", error) from error
        raise


def _column(
    spec: ContractSpec,
    column: Column,
    dtype: pl.DataType,
    shown_key: tuple[str, ...],
    *,
    fixed: bool,
) -> ColumnRules:
    strict: OnFail = "quarantine" if fixed and column.on_fail == "warn" else column.on_fail
    name = column.name
    least, most, others = _bound(column, _LEAST), _bound(column, _MOST), [*_others(spec, column)]
    own, missing = _shown(column), tuple(key for key in shown_key if key != name)

    def rule(kind: str, says: str, advice: str, shows: tuple[str, ...] = own) -> RowRule:
        return RowRule(
            id=f"{name}.{kind}", on_fail=strict, violation=says, advice=advice, sample_columns=shows
        )

    if not _compares_in_python(column, dtype):
        others += [bound[1] for bound in (least, most) if bound]
        least = most = None
    return ColumnRules(
        name=name,
        dtype=dtype,
        text=column.text,
        is_float=dtype.is_float(),
        nullable=column.nullable,
        type=rule("type", f"values can't be cast to {column.dtype}", _retype(column)),
        fields=rule("fields", "lines have more fields than the header", _QUOTE),
        unicode=rule("unicode", "values hold half of a surrogate pair", _ENCODE),
        null=rule("null", "values are missing", _OR + "declare nullable=True", missing),
        nan=rule("nan", "values are NaN, which is missing", _OR + "declare nullable=True", missing),
        partition=rule("partition", "rows belong to another partition", _KEEP),
        lower=least,
        upper=most,
        unique=_value_rule(column, "unique", _TWICE, _OR + "drop unique=")
        if column.unique
        else None,
        queries=tuple(others),
    )


def _retype(column: Column) -> str:
    more = "" if column.text.formats else _FORMATS.get(column.dtype.name, "")
    return f"fix the source, {more}or {_RETYPE}"


_OR = "fix the source, or "
_QUOTE = "fix the source: quote text that holds separators"
_ENCODE = "fix the source: write text as Unicode"
_RETYPE = "change the declared type"
# What may make text readable, by type.
_FORMATS = {
    "Date": "declare the format= of text, ",
    "Datetime": "declare the format= of text, ",
    "Time": "declare the format= of text, ",
    "Boolean": "declare true_values= and false_values=, ",
}
_KEEP = "a partition's rows must carry its own value"
_TWICE = "values repeat that of an earlier row"
_FEW = 8
# By bound, for one side of a column: the comparison that passes it, and the one that breaks it.
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


def _compares_in_python(column: Column, dtype: pl.DataType) -> bool:
    """Whether Python compares a value with a bound as Polars does."""
    if isinstance(dtype, pl.Datetime):
        # Python's datetime has no nanoseconds, and compares by the wall clock within one zone.
        return not (dtype.time_unit == "ns" or dtype.time_zone)
    # A value rounded to a narrow float may equal a bound that the exact value doesn't equal.
    rounded = dtype.is_float() and dtype != pl.Float64
    return not rounded or (column.min_exclusive is None and column.max_exclusive is None)


def _bound(column: Column, side: _Side) -> BoundRule | None:
    kind = next((kind for kind in side if getattr(column, kind) is not None), None)
    if kind is None:
        return None
    bound, (within, beyond) = getattr(column, kind), side[kind]
    value, limit = pl.col(column.name), pl.lit(bound)
    if column.dtype.name == "Datetime" and column.dtype.args[1]:
        limit = limit.dt.convert_time_zone(str(column.dtype.args[1]))
    passes = within(value, limit)
    if column.dtype.name.startswith("Float") and side is _MOST:
        # Polars orders NaN above all numbers; here it counts as missing.
        passes |= value.is_nan()
    rule = _value_rule(
        column, kind, f"values are {_BEYOND[kind]} {kind}={bound}", _OR + f"change {kind}="
    )
    return bound, RuleQuery(rule=rule, passes=passes), beyond


def _others(spec: ContractSpec, column: Column) -> Iterable[RuleQuery]:
    value = pl.col(column.name)
    yield from _lengths(column)
    if column.regex is not None:
        says = f"values don't match {column.regex!r}"
        rule = _value_rule(column, "regex", says, _OR + "change regex=")
        yield RuleQuery(rule=rule, passes=value.str.contains(column.regex))
    if column.isin is not None:
        allowed = [item for item in column.isin if item is not None]
        passes = _among(value, _items(spec, column, allowed))
        if column.dtype.name.startswith("Float"):
            passes |= value.is_nan()
        listed = ", ".join(map(repr, allowed[:5])) + (", ..." if len(allowed) > 5 else "")
        says = f"values are none of {listed}"
        rule = _value_rule(column, "isin", says, _OR + "add them to isin=")
        yield RuleQuery(rule=rule, passes=passes)


def _among(value: pl.Expr, allowed: pl.Series) -> pl.Expr:
    """Test membership in a set of values; for a few texts, comparing one by one is faster than hashing."""
    if allowed.dtype == pl.String and 0 < allowed.len() <= _FEW:
        return pl.any_horizontal(value == text for text in allowed)
    return value.is_in(allowed.implode())


def _lengths(column: Column) -> Iterable[RuleQuery]:
    sides = (("min_length", "shorter", operator.ge), ("max_length", "longer", operator.le))
    for kind, than, within in sides:
        limit = getattr(column, kind)
        if limit is None:
            continue
        unit, length = _LENGTHS[column.dtype.name]
        says = f"values are {than} than {kind}={limit} {unit}"
        rule = _value_rule(column, kind, says, _OR + f"change {kind}=")
        yield RuleQuery(rule=rule, passes=within(length(pl.col(column.name)), limit))


_LENGTHS: Mapping[str, tuple[str, Callable[[pl.Expr], pl.Expr]]] = {
    "String": ("characters", lambda value: value.str.len_chars()),
    "Binary": ("bytes", lambda value: value.bin.size()),
    "List": ("items", lambda value: value.list.len()),
}


def _value_rule(column: Column, kind: str, says: str, advice: str) -> RowRule:
    return RowRule(
        id=f"{column.name}.{kind}",
        on_fail=column.on_fail,
        violation=says,
        advice=advice,
        sample_columns=_shown(column),
    )


def _shown(column: Column) -> tuple[str, ...]:
    return () if column.pii else (column.name,)


def _items(spec: ContractSpec, column: Column, allowed: list[object]) -> pl.Series:
    try:
        return pl.Series(allowed, dtype=polars_type(column.dtype))
    except (PolarsError, TypeError) as error:
        raise rule_error(spec, f"{column.name}.isin", error) from error


def _refuse_codes(spec: ContractSpec, rule: Rule, query: pl.LazyFrame) -> None:
    """Raise ContractError for a rule on the codes of a Categorical, which differ between processes."""
    # A Categorical may be nested, or the rule may make one; few rules use codes at all.
    if "Physical" not in rule.expr.meta.serialize(format="json"):
        return
    try:
        text = serialize_query(query)
        hits = find_category_codes(text, parse_query(text))
    except UnreadableQuery as error:
        raise rule_error(spec, rule.name, error) from error
    for hit in hits:
        raise ContractError(
            f"{spec.place}: rule {rule.name} of contract {spec.name} uses the codes of a Categorical "
            f"({hit.name}), which differ between processes; declare the column as tm.Enum([...]), whose "
            "codes are fixed"
        )


def _expression(spec: ContractSpec, rule: Rule, empty: pl.LazyFrame) -> RuleQuery:
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
        # Polars finds most type errors only when it evaluates a query.
        query.collect()
    except PolarsError as error:
        raise rule_error(spec, rule.name, error) from error
    if any(dtype != pl.Boolean for dtype in given.dtypes()):
        found = ", ".join(map(str, given.dtypes()))
        raise ContractError(
            f"{spec.place}: rule {rule.name} of contract {spec.name} gives {found}, not Boolean; "
            "compare it with something"
        )
    compiled = RowRule(
        id=rule.name,
        on_fail=rule.on_fail,
        violation=f"rows break it{f' ({rule.description})' if rule.description else ''}",
        advice=_OR + f"change the rule ({spec.place})",
        sample_columns=without_personal(spec, spec.key or roots),
    )
    # An expression may expand to several columns (pl.all() > 0): a row passes if all of them do.
    passes = rule.expr if len(given) == 1 else pl.all_horizontal(rule.expr)
    return RuleQuery(rule=compiled, passes=passes)
