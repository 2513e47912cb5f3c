"""Any contract beside any frame, and a judge that looks at every row for every rule.

It takes no way round: each rule is told for all rows, keys are compared one by one in Python, and
what is left is sorted. The rules themselves are those of `rules`, and `fit` and `keys_of` are trusted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal as Exact
from typing import Any

import polars as pl
from hypothesis import strategies as st

from tidemill.contracts import column_types as tm
from tidemill.contracts.checks.casts import cast_column
from tidemill.contracts.checks.checker import REASONS
from tidemill.contracts.checks.partition_column import partition_keys
from tidemill.contracts.checks.row_rules import (
    ColumnRules,
    RowRule,
    column_rules,
    expression_rules,
    key_rule,
)
from tidemill.contracts.column import Column
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.core.errors import ContractError
from tidemill.core.partition import UNPLACED

NAN, INF = float("nan"), float("inf")
DAY = "2013-03-07"
ZONE = "America/New_York"
Given = list[tuple[pl.DataType, list[Any]]]

_DAYS: list[Any] = [date(2013, 3, 7), date(2013, 3, 7), date(2013, 3, 8), None]
_MOMENTS: list[Any] = [datetime(2013, 3, 7, 5, tzinfo=UTC), datetime(2013, 3, 8, tzinfo=UTC), None]
_NAIVE: list[Any] = [datetime(2013, 3, 7), datetime(2013, 3, 7, 23, 59), datetime(2013, 3, 8), None]

# How a column may be declared, and in which types it may come.
KINDS: Mapping[str, tuple[list[Column], Given]] = {
    "id": (
        [
            tm.Int64(), tm.Int64(min=0, max=4), tm.Int64(isin=[0, 1, 2], on_fail="fail"),
            tm.Int64(nullable=True, min=1, on_fail="warn"), tm.Int64(on_fail="warn"),
            tm.Int64(min_exclusive=0, max_exclusive=5), tm.Int64(unique=True),
            tm.Int64(unique=True, nullable=True, on_fail="warn"), tm.Int128(max=2),
            tm.Int64(optional=True, default=2, min=1), tm.Int64(optional=True, nullable=True),
        ],
        [
            (pl.Int64(), [0, 1, 2, 3, 5, -1, None]), (pl.Int8(), [0, 1, 2, None]),
            (pl.Float64(), [0.0, -0.0, 1.0, 1.5, NAN, INF, None]), (pl.Null(), [None]),
            (pl.String(), ["0", "1", "2", "x", None]), (pl.List(pl.Int64()), [[1], None]),
        ],
    ),
    "size": (
        [
            tm.Float64(), tm.Float64(min=0, max=2), tm.Float64(nullable=True, min=0.5),
            tm.Float64(nullable=True, isin=[0.0, 1.0], on_fail="warn"), tm.Float64(on_fail="fail"),
            tm.Float32(max=1), tm.Float64(min_exclusive=0, max_exclusive=2.5, on_fail="warn"),
            tm.Float64(nullable=True, unique=True), tm.Float32(min_exclusive=0.1, max_exclusive=1),
            tm.Float16(nullable=True, max_exclusive=2), tm.Float64(optional=True, default=0),
        ],
        [
            (pl.Float64(), [0.0, -0.0, 1.0, 2.5, NAN, INF, -INF, None]),
            (pl.Float32(), [0.1, 0.0, 1.0, NAN, None]), (pl.Int64(), [0, 1, 2, None]),
            (pl.String(), ["0.5", "nan", "x", None]),
        ],
    ),
    "code": (
        [
            tm.String(), tm.String(regex="^[ab]"), tm.String(isin=["a", "b"], on_fail="warn"),
            tm.String(nullable=True, regex="^[ab]", isin=["a", "ab"], on_fail="fail"),
            tm.String(min_length=1, max_length=1), tm.String(min_length=2, on_fail="warn"),
            tm.String(unique=True), tm.String(unique=True, min_length=1, on_fail="fail"),
            tm.String(optional=True, default="ab", regex="^[ab]", max_length=2),
        ],
        [
            (pl.String(), ["a", "b", "ab", "c", "", None]), (pl.Enum(["b", "a"]), ["a", "b", None]),
            (pl.Categorical(), ["b", "a", "c", None]), (pl.Int64(), [1, None]),
        ],
    ),
    "sort": (
        [tm.Enum(["y", "x"]), tm.Enum(["y", "x"], nullable=True), tm.Categorical(), tm.Bool()],
        [
            (pl.Enum(["y", "x"]), ["x", "y", None]), (pl.Enum(["x", "z"]), ["x", "z", None]),
            (pl.String(), ["x", "y", "true", "false", None]), (pl.Boolean(), [True, False, None]),
            (pl.Categorical(), ["x", "y", "z", None]),
        ],
    ),
    "cost": (
        [
            tm.Decimal(9, 2), tm.Decimal(9, 2, min=Exact("0.5"), max=2), tm.Decimal(9, 2, unique=True),
            tm.Decimal(9, 2, min_exclusive=0, max_exclusive=Exact("2.25"), nullable=True),
        ],
        [
            (pl.Decimal(9, 2), [Exact("0.5"), Exact("2.25"), Exact(0), Exact(-1), None]),
            (pl.Decimal(9, 3), [Exact("0.5"), Exact("0.125"), None]), (pl.Int64(), [0, 1, 3, None]),
            (pl.String(), ["0.50", "2.25", "x", None]),
        ],
    ),
    "parts": (
        [
            tm.List(tm.Int64()), tm.List(tm.Int64(), min_length=1, max_length=2), tm.Binary(max_length=1),
            tm.List(tm.Int64(), nullable=True, optional=True), tm.Binary(unique=True, nullable=True),
            tm.Struct({"a": tm.Int64()}), tm.Array(tm.Int64(), 2, nullable=True),
        ],
        [
            (pl.List(pl.Int64()), [[1], [1, 2], [], [1, 2, 3], [None], None]),
            (pl.Binary(), [b"a", b"", b"ab", None]), (pl.List(pl.Int8()), [[1], [], None]),
            (pl.Struct({"a": pl.Int64()}), [{"a": 1}, {"a": None}, None]),
            (pl.Struct({"a": pl.Int8()}), [{"a": 1}, None]), (pl.Struct({"b": pl.Int8()}), [{"b": 1}]),
            (pl.Array(pl.Int64(), 2), [[1, 2], [3, 4], None]), (pl.Array(pl.Int64(), 1), [[1], None]),
        ],
    ),
    "day": (
        [
            tm.Date(partition="1d"), tm.Date(partition="1d", on_fail="warn"),
            tm.Date(partition="value"), tm.Date(unique=True, min_exclusive=date(2013, 3, 6)),
            tm.Datetime("us", ZONE, max_exclusive=_MOMENTS[1]), tm.Datetime("us", ZONE, partition="1d"),
            tm.Datetime("ms", partition="1d", min=datetime(2013, 3, 7, 1)),
        ],
        [
            (pl.Date(), _DAYS), (pl.Date(), _DAYS[:2]), (pl.Datetime("us", ZONE), _MOMENTS),
            (pl.Datetime("us", "UTC"), _MOMENTS), (pl.Datetime("ms"), _NAIVE),
            (pl.String(), [DAY, "2013-03-07T05:00:00", "soon", None]),
        ],
    ),
}  # fmt: skip


@st.composite
def contracts(draw: st.DrawFn) -> ContractSpec:
    """Some columns, some of them a key, and now and then a rule over all rows."""
    names = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, unique=True))
    body: dict[str, Any] = {name: draw(st.sampled_from(KINDS[name][0])) for name in names}
    able = [name for name in names if not (body[name].nullable or body[name].optional)]
    able = [name for name in able if not body[name].dtype.is_nested]
    key = draw(st.lists(st.sampled_from(able), unique=True)) if able else []
    if draw(st.booleans()):
        first = pl.col(names[0])
        body["often"] = rule(first.is_null() | (first.len() < 4), on_fail="warn")
    unknown = draw(st.sampled_from(["keep", "drop", "fail"]))
    declared: type[DeclaredContract] = type(
        "C", (DeclaredContract,), body, key=key, unknown_columns=unknown
    )
    return declared.__tidemill_contract__


@st.composite
def frames(draw: st.DrawFn, spec: ContractSpec) -> pl.DataFrame:
    """Rows for a contract, now and then in order; a column may be of another type, lack or be unknown."""
    height = draw(st.sampled_from([0, 1, 2, 3, 5, 8]))
    columns = [
        draw(series(spec.column(name), height)) for name in draw(st.permutations(spec.names))
    ]
    if not draw(st.integers(0, 7)):
        columns.pop()
    if draw(st.booleans()):
        columns.append(pl.Series("more", range(height), dtype=pl.Int32))
    frame = pl.DataFrame(columns)
    able = [name for name in spec.key if name in frame.columns]
    able = [name for name in able if not frame[name].dtype.is_nested()]
    tidy = draw(st.booleans())
    return frame.sort(able) if able and tidy else frame


@st.composite
def series(draw: st.DrawFn, column: Column, height: int) -> pl.Series:
    """Cells for a column, mostly of its own type; often only two different ones, which are valid."""
    given = KINDS[column.name][1]
    own = [item for item in given if item[0].base_type().__name__ == column.dtype.name]
    dtype, values = draw(st.sampled_from([*own * 8, *given]))
    several = draw(st.integers(0, 3))
    cell = st.sampled_from(values[:2] if several else values)
    cells = draw(st.lists(cell, min_size=height, max_size=height))
    return pl.Series(column.name, cells, dtype=dtype)


@st.composite
def cases(draw: st.DrawFn) -> tuple[ContractSpec, pl.DataFrame, str | None]:
    """A contract, a frame for it, and the partition that its rows should be of."""
    spec = draw(contracts())
    keys = [DAY, None] if spec.partitioning.is_whole else [DAY, DAY, None, UNPLACED]
    return spec, draw(frames(spec)), draw(st.sampled_from(keys))


@dataclass(frozen=True, slots=True)
class Detailed:
    """What is found by looking at every row: broken rules with their rows, and the rows by verdict.

    `frame` has the optional columns that didn't come; `whole` says that every good row has a key,
    which then tells their order.
    """

    frame: pl.DataFrame
    broken: list[tuple[RowRule, list[bool]]]
    good: pl.DataFrame
    bad: pl.DataFrame | None
    whole: bool


def detailed(spec: ContractSpec, frame: pl.DataFrame, partition: str | None) -> Detailed:
    """Judge each row by each rule; ContractError when a column is missing."""
    columns = column_rules(spec)
    for column, told in zip(spec.columns, columns, strict=True):
        if column.name in frame.columns:
            continue
        if not column.optional:
            raise ContractError(f"{column.name} missing")
        cells = [column.default] * frame.height
        frame = frame.with_columns(pl.Series(column.name, cells, dtype=told.dtype))
    fitted = {item.name: cast_column(frame[item.name], item.dtype) for item in columns}
    table = pl.DataFrame([fitted[item.name][1] for item in columns])
    found = [
        *(rows for item in columns for rows in _of_column(item, fitted[item.name], spec, partition, table)),
        *((query.rule, _breaking(table, query.passes)) for item in columns for query in item.queries),
        *((query.rule, _breaking(table, query.passes)) for query in expression_rules(spec)),
    ]  # fmt: skip
    broken = [(rule, rows.to_list()) for rule, rows in found if rows.any()]
    for item in columns:
        if item.unique:
            values = [(value,) for value in table[item.name]]
            known = [value is not None and value == value for (value,) in values]
            twice = _repeats(values, _rejected(broken, frame.height), known)
            broken += [(item.unique, twice)] if any(twice) else []
    keys = table.select(spec.key).rows() if spec.key else [(row,) for row in range(frame.height)]
    identified = [all(value is not None and value == value for value in key) for key in keys]
    repeated = _repeats(keys, _rejected(broken, frame.height), identified)
    if any(repeated):
        broken.append((key_rule(spec), repeated))
    rejected = _rejected(broken, frame.height)
    more = [name for name in frame.columns if name not in spec.names]
    rows = table.hstack(frame.select(more)) if spec.unknown_columns == "keep" else table
    good = rows.filter([not out for out in rejected])
    whole = all(known for known, out in zip(identified, rejected, strict=True) if not out)
    return Detailed(
        frame,
        broken,
        good.sort(spec.key, maintain_order=True) if spec.key else good,
        _quarantined(frame, broken, rejected),
        whole,
    )


def _of_column(
    column: ColumnRules,
    fitted: tuple[pl.Series, pl.Series],
    spec: ContractSpec,
    partition: str | None,
    table: pl.DataFrame,
) -> Iterator[tuple[RowRule, pl.Series]]:
    source, values = fitted
    yield column.type, values.is_null() & source.is_not_null()
    if not column.nullable:
        yield column.null, source.is_null()
        if column.is_float:
            yield column.nan, values.is_nan().fill_null(value=False)
    for bound in (column.lower, column.upper):
        if bound is not None:
            yield bound[1].rule, _breaking(table, bound[1].passes)
    if partition is not None and column.name == spec.partitioning.column:
        keys = partition_keys(values, spec.partitioning)
        yield column.partition, (keys != partition).fill_null(value=False)


def _breaking(table: pl.DataFrame, passes: pl.Expr) -> pl.Series:
    return table.with_columns(passes.not_().fill_null(value=False).alias("-"))["-"]


def _rejected(broken: list[tuple[RowRule, list[bool]]], height: int) -> list[bool]:
    out = [rows for rule, rows in broken if rule.on_fail == "quarantine"]
    return [any(rows[row] for rows in out) for row in range(height)]


def _repeats(
    keys: list[tuple[Any, ...]], rejected: list[bool], identified: list[bool]
) -> list[bool]:
    seen: set[tuple[Any, ...]] = set()
    found = []
    for key, out, known in zip(keys, rejected, identified, strict=True):
        counts = known and not out
        found.append(counts and key in seen)
        if counts:
            seen.add(key)
    return found


def _quarantined(
    frame: pl.DataFrame, broken: list[tuple[RowRule, list[bool]]], rejected: list[bool]
) -> pl.DataFrame | None:
    quarantining = [(rule.id, rows) for rule, rows in broken if rule.on_fail == "quarantine"]
    if not quarantining:
        return None
    reasons = [
        [name for name, rows in quarantining if rows[row]]
        for row, out in enumerate(rejected)
        if out
    ]
    told = pl.Series(REASONS, reasons, dtype=pl.List(pl.String))
    return frame.filter(rejected).with_columns(told)
