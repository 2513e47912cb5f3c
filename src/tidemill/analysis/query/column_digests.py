"""Fingerprint a query column by column: a digest, and the input columns that it depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

import polars as pl

from tidemill.analysis.query.category_codes import find_category_codes
from tidemill.analysis.query.opaque_parts import OpaquePart, find_opaque_parts
from tidemill.analysis.query.partitionwise import NotPartitionwise, min_partition_rows
from tidemill.analysis.query.plan_walk import PlanWalk
from tidemill.analysis.query.serialized import Node, UnreadableQuery, parse_query, serialize_query
from tidemill.analysis.query.value_numbers import (
    UNKNOWN_FORM,
    Length,
    MissingColumn,
    Relation,
    Value,
    term,
)
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDigest:
    """The digest of a result column, and the columns of each input that it depends on.

    An input of which only the number of rows counts has no columns. `values` are the columns that its values
    are computed from; the others only decide which rows there are, and in which order. The values of a
    `copied` column are those of the one input column in `values`.
    """

    digest: str
    reads: Mapping[str, tuple[str, ...]]
    values: Mapping[str, tuple[str, ...]]
    copied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryDigests:
    """The digests of a query: equal digests mean the same values in the same rows for the same inputs.

    `columns` are in the order of the result; `rows` is the digest of its rows, and `row_reads` are the
    columns that decide which rows there are, and their order. `hits` are the opaque parts, which the digests
    don't cover. `unordered` says why the order of the rows is undefined, `unstable` why
    the same inputs may give other values; both are empty for a deterministic query. `least` is the result
    of `least_rows`, None for a query that isn't partition-wise.
    """

    columns: Mapping[str, ColumnDigest]
    rows: str
    opaque_parts: tuple[OpaquePart, ...] = ()
    unordered: str = ""
    unstable: str = ""
    min_rows: int | None = None
    row_reads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionColumns:
    """The partition column of the result, and of each input (empty: every partition reads it whole)."""

    inputs: Mapping[str, str]
    result: str


def query_digests(
    frame: pl.LazyFrame,
    keys: Mapping[str, Sequence[str]] | None = None,
    partition_columns: PartitionColumns | None = None,
) -> QueryDigests:
    """Fingerprint a query over placeholder frames, without running it.

    `keys` are columns of an input that are unique together: sorting by them defines the order.
    Raises Unreadable if Polars can't serialize the query, and Polars' errors if it has no schema.
    """
    text = serialize_query(frame)
    schema = frame.collect_schema()
    plan, tree = PlanWalk(keys=keys or {}), parse_query(text)
    hits = (*find_opaque_parts(text, tree), *find_category_codes(text, tree))
    try:
        relation = _relation(plan, tree, list(schema))
    except RecursionError as error:
        raise UnreadableQuery("the query is nested too deeply") from error
    unseeded = [hit.name for hit in hits if hit.kind == "unseeded"]
    return QueryDigests(
        columns={
            name: _column_digest(plan, relation, relation.columns[name], dtype)
            for name, dtype in schema.items()
        },
        rows=fingerprint("query rows", relation.rows, pl.__version__),
        opaque_parts=hits,
        unordered=relation.open,
        unstable=f"{unseeded[0]} without a seed" if unseeded else relation.doubt,
        min_rows=None if partition_columns is None else _min_rows(tree, partition_columns),
        row_reads=plan.sources.columns_of(relation.reads),
    )


def _min_rows(tree: Node, apart: PartitionColumns) -> int | None:
    try:
        return min_partition_rows(tree, apart.inputs, apart.result)
    except NotPartitionwise:
        return None


def _relation(plan: PlanWalk, tree: Node, names: Sequence[str]) -> Relation:
    """Number the query; if its names were followed wrongly, every column depends on all of its text."""
    try:
        relation = plan.relation(tree)
    except (MissingColumn, *UNKNOWN_FORM):
        return _opaque_relation(plan, tree, names)
    return relation if list(relation.columns) == names else _opaque_relation(plan, tree, names)


def _opaque_relation(plan: PlanWalk, tree: Node, names: Sequence[str]) -> Relation:
    number = term("plan", tree)
    length = Length(number, plan.all_reads(tree))
    return Relation(
        rows=number,
        reads=length.reads,
        columns={
            name: Value(name, term("column of plan", name), length, length.reads) for name in names
        },
        open="the order of a query that isn't understood",
    )


def _column_digest(
    plan: PlanWalk, relation: Relation, value: Value, dtype: pl.DataType
) -> ColumnDigest:
    return ColumnDigest(
        digest=fingerprint("query column", relation.rows, value.term, repr(dtype), pl.__version__),
        reads=plan.sources.columns_of(relation.reads | value.reads),
        values=plan.sources.columns_of(value.reads),
        copied=value.copied and value.reads.bit_count() == 1,
    )
