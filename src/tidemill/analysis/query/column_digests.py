"""Fingerprint a query column by column: a digest, and the input columns that it depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tidemill.analysis.query.category_codes import codes_in
from tidemill.analysis.query.opaque_parts import Hit, hits_in
from tidemill.analysis.query.partitionwise import Crossing, least_rows
from tidemill.analysis.query.plan_walk import Plan
from tidemill.analysis.query.serialized import Node, Unreadable, parsed, written
from tidemill.analysis.query.value_numbers import SURPRISES, Length, Lost, Relation, Value, term
from tidemill.core.fingerprint import fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The digest of a result column, and the columns of each input that it depends on.

    An input of which only the number of rows counts has no columns.
    """

    digest: str
    reads: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """The digests of a query: equal digests mean the same values in the same rows for the same inputs.

    `columns` are in the order of the result; `rows` is the digest of its rows. `hits` are the opaque parts,
    which the digests don't cover. `unordered` says why the order of the rows is undefined, `unstable` why
    the same inputs may give other values; both are empty for a deterministic query. `least` is the result
    of `least_rows`, None for a query that isn't partition-wise.
    """

    columns: Mapping[str, Column]
    rows: str
    hits: tuple[Hit, ...] = ()
    unordered: str = ""
    unstable: str = ""
    least: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """The partition column of the result, and of each input (empty: every partition reads it whole)."""

    cuts: Mapping[str, str]
    column: str


def numbered(
    frame: pl.LazyFrame,
    keys: Mapping[str, Sequence[str]] | None = None,
    apart: Apart | None = None,
) -> Numbered:
    """Fingerprint a query over placeholder frames, without running it.

    `keys` are columns of an input that are unique together: sorting by them defines the order.
    Raises Unreadable if Polars can't serialize the query, and Polars' errors if it has no schema.
    """
    text = written(frame)
    schema = frame.collect_schema()
    plan, tree = Plan(keys=keys or {}), parsed(text)
    hits = (*hits_in(text, tree), *codes_in(text, tree))
    try:
        relation = _relation(plan, tree, list(schema))
    except RecursionError as error:
        raise Unreadable("the query is nested too deeply") from error
    unseeded = [hit.name for hit in hits if hit.kind == "unseeded"]
    return Numbered(
        columns={
            name: _column(plan, relation, relation.columns[name], dtype)
            for name, dtype in schema.items()
        },
        rows=fingerprint("query rows", relation.rows, pl.__version__),
        hits=hits,
        unordered=relation.open,
        unstable=f"{unseeded[0]} without a seed" if unseeded else relation.doubt,
        least=None if apart is None else _least(tree, apart),
    )


def _least(tree: Node, apart: Apart) -> int | None:
    try:
        return least_rows(tree, apart.cuts, apart.column)
    except Crossing:
        return None


def _relation(plan: Plan, tree: Node, names: Sequence[str]) -> Relation:
    """Number the query; if its names were followed wrongly, every column depends on all of its text."""
    try:
        relation = plan.relation(tree)
    except (Lost, *SURPRISES):
        return _whole(plan, tree, names)
    return relation if list(relation.columns) == names else _whole(plan, tree, names)


def _whole(plan: Plan, tree: Node, names: Sequence[str]) -> Relation:
    number = term("plan", tree)
    length = Length(number, plan.all_reads(tree))
    return Relation(
        rows=number,
        reads=length.reads,
        columns={name: Value(name, term("column of plan", name), length) for name in names},
        open="the order of a query that isn't understood",
    )


def _column(plan: Plan, relation: Relation, value: Value, dtype: pl.DataType) -> Column:
    return Column(
        digest=fingerprint("query column", relation.rows, value.term, repr(dtype), pl.__version__),
        reads=plan.sources.named(relation.reads | value.reads),
    )
