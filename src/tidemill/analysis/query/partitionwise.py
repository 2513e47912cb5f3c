"""Decide whether a query is partition-wise: over many partitions it gives each the result of that one alone.

Only known operators count as partition-wise: those that look at one row, and those that look at several
rows with the partition column among their keys. The order of rows is ignored. Results that may differ in
the last digit or in the sign of a zero are different: sums, minima and maxima of floats, and computations
for which Polars has another kernel for a single row (a quotient by a constant is a product with its
inverse, a sum with the constant 0 returns -0.0 as it is) or for the last few rows (`log1p`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from io import BytesIO
from typing import Any

import polars as pl

from tidemill.analysis.query.known_functions import (
    CONSTANT_OPERANDS,
    RowDependence,
    function_name,
    row_dependence,
)
from tidemill.analysis.query.operator import polars_schema
from tidemill.analysis.query.placeholders import placeholder_input
from tidemill.analysis.query.selectors import expand_selector
from tidemill.analysis.query.serialized import (
    Node,
    UnreadableQuery,
    parse_query,
    serialize_query,
    variant_of,
)
from tidemill.analysis.query.value_numbers import UNKNOWN_FORM, MissingColumn
from tidemill.core.lazy_dataclass import dataclass

# Families of functions that compute a row from that row's values, without floats.
_FAMILIES = {"StringExpr", "TemporalExpr", "Categorical", "BinaryExpr", "Business", "Bitwise"}
# Other functions that give the same floats for a row whatever other rows there are (tested).
_FUNCTIONS = {
    *(f"Boolean.{name}" for name in (
        "IsNull", "IsNotNull", "IsFinite", "IsInfinite", "IsNan", "IsNotNan", "IsBetween", "IsIn", "Not",
        "AllHorizontal", "AnyHorizontal",
    )),
    *(f"ListExpr.{name}" for name in ("Length", "Contains", "Get", "Join", "Slice")),
    *(f"Trigonometry.{name}" for name in (
        "Cos", "Sin", "Tan", "ArcCos", "ArcSin", "ArcTan", "Cosh", "Sinh", "Tanh", "Degrees", "Radians",
    )),
    "Abs", "Negate", "Sign", "FillNull", "Clip", "Coalesce", "Round", "Floor", "Ceil", "Exp", "Log",
    "MaxHorizontal", "MinHorizontal", "SumHorizontal", "Pow.Sqrt", "Pow.Cbrt", "Atan2", "AsStruct",
    "StructExpr.FieldByName", "Replace", "ReplaceStrict", "Hash", "Pow.Generic",
}  # fmt: skip
# Codes of an Enum are fixed; queries with those of a Categorical are opaque (see category_codes.py).
_CODES = "ToPhysical"
# They treat a column of one value as a constant, for which they have another kernel, or refuse null.
_SINGLE_VALUE_KERNELS = {"Pow.Generic", "StringExpr.Replace"}
_QUOTIENTS = {"TrueDivide", "FloorDivide", "Modulus"}
# Aggregates that don't depend on the order of rows.
_TOTALS = {"Boolean.Any", "Boolean.All", "Boolean.HasNulls", "Boolean.IsEmpty", "NullCount"}
_COUNTS = {"Count", "NUnique"}
_EXACT_ONLY = {"Sum", "Min", "Max"}
# Joins that match a left row with right rows of its partition, or of none. Some never add rows.
_FEWER = {"Semi", "Anti"}
_JOINS = {"Inner", "Left", *_FEWER}


class NotPartitionwise(Exception):
    """The query isn't partition-wise, or may not be; the message names the operator."""


def min_partition_rows(tree: Node, partition_columns: Mapping[str, str], column: str) -> int:
    """The fewest rows for which a partition's result from a query over many is its own; mostly 0.

    `cuts` maps each input to its partition column, empty for an input that every partition reads whole;
    `column` is the partition column of the result. Raises NotPartitionwise if no number of rows suffices.
    """
    try:
        rows = PartitionWalk(partition_columns).rows(tree)
    except (MissingColumn, RecursionError, *UNKNOWN_FORM):
        raise NotPartitionwise("a query that isn't understood") from None
    if column not in rows.partition_columns:
        raise NotPartitionwise(f"{column} isn't taken from an input as it is")
    return rows.min_rows


def is_row_wise(expression: pl.Expr, schema: Mapping[str, pl.DataType]) -> bool:
    """Whether the value of an expression in each row depends on that row only."""
    try:
        content = parse_query(
            serialize_query(pl.LazyFrame(schema=dict(schema)).select(expression))
        )["Select"]
        return not _min_rows_by_row(content["expr"], PartitionWalk({}).rows(content["input"]))
    except (NotPartitionwise, UnreadableQuery, *UNKNOWN_FORM):
        return False


@dataclass(frozen=True)
class QueryRows:
    """The rows of a part of a query: each belongs to the partition that any of its partition columns names.

    `shared` rows belong to no partition: all partitions read them. Values of a partition with fewer than
    `min_rows` rows may differ.
    """

    partition_columns: frozenset[str]
    node: Node
    shared: bool = False
    min_rows: int = 0

    @cached_property
    def schema(self) -> dict[str, pl.DataType]:
        return polars_schema(self.node)

    def output_schema(self, expression: Any) -> pl.Schema:
        """The names and types of an expression's columns."""
        found = pl.Expr.deserialize(BytesIO(json.dumps(expression).encode()), format="json")
        return pl.LazyFrame(schema=self.schema).select(found).collect_schema()

    def dtype(self, expression: Any) -> pl.DataType:
        """The type of an expression of one column."""
        (dtype,) = self.output_schema(expression).dtypes()
        return dtype

    def expand(self, selector: Any) -> list[str]:
        return expand_selector(selector, list(self.schema), lambda: self.schema, None)

    def by_partition(self, keys: Sequence[Any]) -> bool:
        """Whether rows with equal keys belong to the same partition."""
        return any(
            key.get("Column") in self.partition_columns for key in keys if isinstance(key, dict)
        )

    def with_node(self, node: Node, least: int, cuts: frozenset[str] | None = None) -> QueryRows:
        """These rows, or some of them, after an operator."""
        kept = self.partition_columns if cuts is None else cuts
        return replace(self, partition_columns=kept, node=node, min_rows=max(self.min_rows, least))

    def with_more_rows(self, node: Node, cuts: frozenset[str] | None = None) -> QueryRows:
        """These rows after an operator that may add rows."""
        if self.min_rows:
            raise NotPartitionwise("more rows than those of a quotient by a constant")
        return self.with_node(node, 0, cuts)


class PartitionWalk:
    """Follows the rows of a query from its inputs to its result.

    `cuts` maps each input to its partition column, empty for an input that every partition reads whole.
    """

    def __init__(self, cuts: Mapping[str, str]) -> None:
        self._partition_columns = cuts

    def rows(self, node: Node) -> QueryRows:
        """Follow the rows of a part of the query; NotPartitionwise if partitions are mixed in it."""
        name, content = variant_of(node)
        handler = _OPERATORS.get(name)
        if handler is None:
            raise NotPartitionwise(name)
        found: QueryRows = getattr(self, handler)(content, node)
        return found

    def _partition_rows(self, content: Mapping[str, Any], what: str) -> QueryRows:
        """The input rows of an operator, which must belong to partitions."""
        rows = self.rows(content["input"])
        if rows.shared:
            raise NotPartitionwise(f"{what} of rows of no partition")
        return rows

    def scan(self, content: Mapping[str, Any], node: Node) -> QueryRows:
        source = placeholder_input(content)
        cut = "" if source is None else self._partition_columns[source]
        return QueryRows(frozenset({cut}) - {""}, node, shared=not cut)

    def filter(self, content: Mapping[str, Any], node: Node) -> QueryRows:
        rows = self.rows(content["input"])
        return rows.with_node(node, _min_rows_by_row([content["predicate"]], rows))

    def select(self, content: Mapping[str, Any], node: Node) -> QueryRows:
        rows = self.rows(content["input"])
        expressions = content["expr"]
        if not any(map(_has_rows, expressions)):
            raise NotPartitionwise("a select of no column")
        kept = {
            new
            for e in expressions
            for old, new in _unchanged_columns(e, rows)
            if old in rows.partition_columns
        }
        return rows.with_node(node, _min_rows_by_row(expressions, rows), frozenset(kept))

    def with_columns(self, content: Mapping[str, Any], node: Node) -> QueryRows:
        rows = self.rows(content["input"])
        made = {name for expression in content["exprs"] for name in _output_names(expression, rows)}
        return rows.with_node(
            node, _min_rows_by_row(content["exprs"], rows), rows.partition_columns - made
        )

    def sort(self, content: Mapping[str, Any], node: Node) -> QueryRows:
        rows = self.rows(content["input"])
        if content["slice"] is not None:
            raise NotPartitionwise("a slice")
        return rows.with_node(node, _min_rows_by_row(content["by_column"], rows))

    def distinct(self, content: Mapping[str, Any], node: Node) -> QueryRows:
        rows = self._partition_rows(content, "unique()")
        options = content["options"]
        if options["subset"] is None:
            subset = list(rows.schema)
        else:
            subset = [new for e in options["subset"] for _, new in _unchanged_columns(e, rows)]
        if not rows.partition_columns.intersection(subset):
            raise NotPartitionwise("unique() without the partition column")
        chosen = options["keep_strategy"] != "None"
        if chosen and (
            options["subset"] is not None or not all(map(_is_exact, rows.schema.values()))
        ):
            raise NotPartitionwise("unique() that keeps one of several rows")
        return rows.with_node(node, 0)

    def group_by(self, content: Mapping[str, Any], node: Node) -> QueryRows:
        rows = self._partition_rows(content, "groups")
        options = content["options"]
        if content["apply"] is not None or any(options.values()):
            raise NotPartitionwise("groups by windows, functions or slices")
        keys = content["keys"]
        if not rows.by_partition([_strip_wrapper(key)[0] for key in keys]):
            raise NotPartitionwise("group_by without the partition column")
        if not all(_is_exact(rows.dtype(key)) for key in keys):
            raise NotPartitionwise("groups by floats")
        parts = (*content["aggs"], *content["predicates"])
        least = [_min_rows_by_group(expression, rows, beside_rows=False) for expression in parts]
        kept = {
            new
            for key in keys
            for old, new in _unchanged_columns(key, rows)
            if old in rows.partition_columns
        }
        return rows.with_node(node, max(_min_rows_by_row(keys, rows), *least, 0), frozenset(kept))

    def join(self, content: Mapping[str, Any], node: Node) -> QueryRows:
        left, right = self.rows(content["input_left"]), self.rows(content["input_right"])
        args, condition = content["options"]["args"], content["condition"]["Equi"]
        if args["how"] not in _JOINS or args["slice"] is not None:
            raise NotPartitionwise(f"a join of kind {args['how']}")
        if left.shared and not right.shared:
            raise NotPartitionwise("a join of rows of no partition with those of partitions")
        on = list(zip(condition["left_on"], condition["right_on"], strict=True))
        least = _min_rows_by_row(condition["left_on"], left)
        if _min_rows_by_row(condition["right_on"], right) or right.min_rows:
            raise NotPartitionwise("a join with rows of which it isn't seen how many there are")
        met = any(
            left.by_partition([one])
            and right.by_partition([other])
            and left.schema[one["Column"]] == right.schema[other["Column"]]
            for one, other in on
        )
        if not right.shared and not met:
            raise NotPartitionwise("a join without the partition column of both sides")
        left = left.with_node(node, least)
        return left if args["how"] in _FEWER else left.with_more_rows(node)

    def union(self, content: Mapping[str, Any], node: Node) -> QueryRows:
        parts = [self.rows(part) for part in content["inputs"]]
        if any(part.shared for part in parts):
            raise NotPartitionwise("rows of no partition below others")
        cuts = frozenset.intersection(*(part.partition_columns for part in parts))
        first, *_ = (part.with_more_rows(node, cuts) for part in parts)
        return first

    def map_function(self, content: Mapping[str, Any], node: Node) -> QueryRows:
        rows = self.rows(content["input"])
        name, options = variant_of(content["function"])
        match name:
            case "Rename":
                new = dict(zip(options["existing"], options["new"], strict=True))
                return rows.with_node(
                    node, 0, frozenset(new.get(cut, cut) for cut in rows.partition_columns)
                )
            case "Explode":
                return rows.with_more_rows(
                    node, rows.partition_columns.difference(rows.expand(options["columns"]))
                )
        raise NotPartitionwise(name)


# The method of PartitionWalk for each operator.
_OPERATORS: Mapping[str, str] = {
    "DataFrameScan": "scan",
    "Distinct": "distinct",
    "Filter": "filter",
    "GroupBy": "group_by",
    "HStack": "with_columns",
    "Join": "join",
    "MapFunction": "map_function",
    "Select": "select",
    "Sort": "sort",
    "Union": "union",
}


def _min_rows_by_row(expressions: Sequence[Any], rows: QueryRows) -> int:
    """The `least` for values that depend on their row or partition only; or NotPartitionwise."""
    least = 0
    for name, content in [part for expression in expressions for part in _parts(expression)]:
        if name == "Over":
            least = max(least, _min_rows_of_window(content, rows))
        elif name not in _PLAIN:
            raise NotPartitionwise(name)
        least = max(least, _min_rows_of_kernel(name, content, rows))
    return least


def _min_rows_of_kernel(name: str, content: Any, rows: QueryRows) -> int:
    """The `least` of an operator on values of one row: Polars has other kernels for single values."""
    match name:
        case "BinaryExpr" if content["op"] in _QUOTIENTS and not _has_rows(content["right"]):
            exact = content["op"] != "TrueDivide" and _is_exact(rows.dtype(content["left"]))
            return 0 if exact else 2
        case "BinaryExpr" if content["op"] == "Plus":
            zero = _may_add_zero((content["left"], content["right"]))
            return 2 if zero and not _is_exact(rows.dtype({name: content})) else 0
        case "Function" if function_name(content["function"]) == "SumHorizontal":
            zero = _may_add_zero(content["input"])
            return 2 if zero and not _is_exact(rows.dtype({name: content})) else 0
        case "Function" if function_name(content["function"]) in _SINGLE_VALUE_KERNELS:
            return 2 if any(map(_has_rows, content["input"][1:])) else 0
    return 0


def _may_add_zero(summands: Sequence[Any]) -> bool:
    """Whether a sum of rows has a constant summand that is 0, or isn't seen to be another number."""
    constants = [summand for summand in summands if not _has_rows(summand)]
    return any(map(_has_rows, summands)) and not all(map(_is_nonzero, constants))


def _is_nonzero(constant: Any) -> bool:
    match constant:
        case {"Literal": {"Dyn": {"Int": value} | {"Float": value}}}:
            return bool(value)
    return False


def _min_rows_of_window(content: Mapping[str, Any], rows: QueryRows) -> int:
    if content["order_by"] is not None or content["mapping"] != "GroupsToRows":
        raise NotPartitionwise("a window with an order")
    if not rows.by_partition(content["partition_by"]):
        raise NotPartitionwise("a window without the partition column")
    inner = _min_rows_by_group(content["function"], rows, beside_rows=True)
    return max(inner, _min_rows_by_row(content["partition_by"], rows))


def _min_rows_by_group(expression: Any, rows: QueryRows, *, beside_rows: bool) -> int:
    """The `least` of an aggregate of a group; NotPartitionwise if it depends on other groups."""
    least, found = 0, list(_parts(expression))
    for name, content in found:
        if name == "Agg":
            least = max(least, _min_rows_of_aggregate(content, rows))
        elif name == "Total":
            least = max(least, _min_rows_of_operand(content, rows))
        elif name not in _PLAIN and name != "Len":
            raise NotPartitionwise(name)
        itself = _min_rows_of_kernel(name, content, rows)
        if itself and beside_rows:
            # The quotients of all groups are computed at once, and there may be many rows of one group.
            raise NotPartitionwise("a quotient by a constant for each of some groups")
        least = max(least, itself)
    if any(name in ("Column", "Selector") for name, _ in found):
        if not beside_rows:
            raise NotPartitionwise("values of a group as a list")
        if any(name == "BinaryExpr" and content["op"] in _QUOTIENTS for name, content in found):
            raise NotPartitionwise("a quotient of rows and a value of their group")
    return least


def _min_rows_of_aggregate(content: Mapping[str, Any], rows: QueryRows) -> int:
    name, inner = variant_of(content)
    if isinstance(inner, dict) and "input" in inner:
        inner = inner["input"]
    if name in _EXACT_ONLY:
        if not _is_exact(rows.dtype(_strip_wrapper(inner, "Filter")[0])):
            raise NotPartitionwise(f"{name.lower()}() of floats")
    elif name not in _COUNTS:
        raise NotPartitionwise(f"{name.lower()}()")
    return _min_rows_of_operand(inner, rows)


def _min_rows_of_operand(operand: Any, rows: QueryRows) -> int:
    """The `least` of an aggregate's operand: values of all rows, or of filtered ones."""
    match operand:
        case {"Filter": {"input": values, "by": condition}}:
            return _min_rows_by_row([values, condition], rows)
    return _min_rows_by_row([operand], rows)


# Expressions that depend on other rows only as far as their operands do.
_PLAIN = {"Column", "Selector", "Literal", "Alias", "KeepName", "RenameAlias", "Cast",
          "BinaryExpr", "Ternary", "Function"}  # fmt: skip


def _parts(expression: Any) -> Iterator[tuple[str, Any]]:
    """The kinds and contents of nested expressions, except those inside of windows and aggregates.

    A function that reduces a column to one value has the kind Total, and its operand as content.
    """
    if isinstance(expression, str):
        yield expression, None
        return
    name, content = variant_of(expression)
    match name:
        case "Literal" if variant_of(content)[0] not in ("Dyn", "Scalar"):
            raise NotPartitionwise("a column of values")
        case "Cast" if variant_of(content["dtype"])[0] != "Literal":
            raise NotPartitionwise("a cast to a type that is computed")
        case "Function" if function_name(content["function"]) in _TOTALS:
            (operand,) = content["input"]
            yield "Total", operand
            return
    yield name, content
    for part in _OPERANDS.get(name, lambda _: ())(content):
        yield from _parts(part)


def _operands(content: Mapping[str, Any]) -> Sequence[Any]:
    """The operands of a function that are values of rows; NotPartitionwise if it may read other rows."""
    called, operands = content["function"], content["input"]
    name = function_name(called)
    if name == _CODES:
        return operands  # type: ignore[no-any-return]
    listed = name in _FUNCTIONS or name.partition(".")[0] in _FAMILIES
    if not listed or not operands or row_dependence(name, called) is not RowDependence.EACH:
        raise NotPartitionwise(name)
    if name not in CONSTANT_OPERANDS:
        return operands  # type: ignore[no-any-return]
    if not all("Literal" in constant for constant in operands[1:]):
        raise NotPartitionwise(f"{name} of columns")
    return operands[:1]  # type: ignore[no-any-return]


_OPERANDS: Mapping[str, Callable[[Any], Sequence[Any]]] = {
    "Alias": lambda content: content[:1],
    "BinaryExpr": lambda content: (content["left"], content["right"]),
    "Cast": lambda content: (content["expr"],),
    "Function": _operands,
    "KeepName": lambda content: (content,),
    "RenameAlias": lambda content: (content["expr"],),
    "Ternary": lambda content: (content["predicate"], content["truthy"], content["falsy"]),
}


# Kinds that don't add rows: an expression of only these kinds has one value.
_CONSTANT = {"Literal", "Alias", "Cast", "BinaryExpr", "Ternary", "Function"}


def _has_rows(expression: Any) -> bool:
    return any(name not in _CONSTANT for name, _ in _parts(expression))


def _strip_wrapper(expression: Any, wrapper: str = "Alias") -> tuple[Any, str]:
    """Strip the alias, or the filter, of an expression; returns the alias as well."""
    match expression:
        case {"Alias": [inner, str(name)]} if wrapper == "Alias":
            return inner, name
        case {"Filter": {"input": inner}} if wrapper == "Filter":
            return inner, ""
    return expression, ""


def _unchanged_columns(expression: Any, rows: QueryRows) -> Iterator[tuple[str, str]]:
    """The columns that an expression passes on unchanged: their names before and after."""
    inner, name = _strip_wrapper(expression)
    match inner:
        case {"Column": str(column)}:
            yield column, name or column
        case {"Selector": selector} if not name:
            yield from ((column, column) for column in rows.expand(selector))


def _output_names(expression: Any, rows: QueryRows) -> Collection[str]:
    """The possible names of an expression's columns."""
    inner, name = _strip_wrapper(expression)
    return (name,) if name else rows.output_schema(inner).names()


def _is_exact(dtype: pl.DataType) -> bool:
    """Whether equal values of a type are identical, and its sums don't depend on the order."""
    return (
        not dtype.is_float() and not dtype.is_nested() and dtype.base_type() is not pl.Categorical
    )
