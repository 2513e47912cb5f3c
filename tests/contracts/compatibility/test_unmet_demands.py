"""Compare the guarantees of a contract with frames that it allows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.thoroughness import examples, thorough
from tidemill.contracts import column_types as tm
from tidemill.contracts.checks.checker import checker_of
from tidemill.contracts.column import Column
from tidemill.contracts.compatibility.unmet_demands import unmet_demands
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.contracts.table_rules import Budget, Freshness, Rows, Unique
from tidemill.core.errors import ContractError


def contract(body: dict[str, Any], **options: Any) -> ContractSpec:
    made: type[DeclaredContract] = type("Orders", (DeclaredContract,), body, **options)
    return made.__tidemill_contract__


def told(wanted: dict[str, Any], given: dict[str, Any], **options: Any) -> list[str]:
    asks, gives = options.get("asks", {}), options.get("gives", {})
    found = unmet_demands(contract(wanted, **asks), contract(given, **gives))
    return [f"{each.name}: {each.asked}; {each.given}" for each in found]


POSITIVE, LARGE = rule(pl.col("x") > 0), rule(pl.col("x") > 9)
# What is asked of x, what is given, and what isn't met.
COLUMNS: list[tuple[Column, Column, list[str]]] = [
    (tm.Int64(), tm.Int32(), []),
    (tm.Int32(), tm.Int64(), ["x.type: Int32; Int64"]),
    (tm.Float64(), tm.Int32(nullable=True), ["x.null: never null; it may be null"]),
    (tm.Int64(min=0), tm.Int64(min=0), []),
    (tm.Int64(min=0), tm.Int64(min=-1), ["x.min: min 0; min -1"]),
    (tm.Int64(min=0), tm.UInt8(), []),
    (tm.Int64(max=255), tm.UInt8(), []),
    (tm.Int64(max=254), tm.UInt8(), ["x.max: max 254; no max"]),
    # Whole numbers above 0 are those from 1 on; others aren't.
    (tm.Int64(min=1), tm.Int64(min_exclusive=0), []),
    (replace(tm.Int64(), max=0.5), tm.Int64(max_exclusive=1), []),
    (tm.Float64(min=1), tm.Float64(min_exclusive=0), ["x.min: min 1; min 0 (exclusive)"]),
    (tm.Float64(min_exclusive=0), tm.Float64(min=0), ["x.min: min 0 (exclusive); min 0"]),
    (tm.Float64(min_exclusive=0), tm.Float64(min=0.1), []),
    (tm.Float64(min=float("-inf"), max=float("inf")), tm.Float64(), []),
    (replace(tm.Int64(), min=float("-inf"), max=float("inf")), tm.Int64(), []),
    # In few digits, 0.1 is a little more.
    (tm.Float64(max=0.1), tm.Float32(max=0.1), ["x.max: max 0.1; max 0.1"]),
    (tm.Float32(max=0.1), tm.Float32(max=0.1), []),
    (tm.Date(min=date(2026, 1, 2)), tm.Date(min_exclusive=date(2026, 1, 1)), []),
    (tm.Date(max=date(2026, 1, 2)), tm.Date(max_exclusive=date(2026, 1, 3)), []),
    (
        tm.Date(max=date(2026, 1, 2)),
        tm.Date(max=date(2026, 1, 3)),
        ["x.max: max 2026-01-02; max 2026-01-03"],
    ),
    (tm.Int64(min=0, max=3), tm.Int64(isin=[0, 3]), []),
    (tm.Int64(min=1, max=3), tm.Int64(isin=[0, 3], min=1), []),
    (tm.Int64(max=2), tm.Int64(isin=[0, 3]), ["x.max: max 2; no max"]),
    (tm.Int64(isin=[0, 1, 2]), tm.Int64(min=0, max=2), []),
    (tm.Int64(isin=[0, 1]), tm.Int64(min=0, max=2), ["x.isin: isin (0, 1); no isin"]),
    (tm.Float64(isin=[0, 1]), tm.Float64(min=0, max=1), ["x.isin: isin (0, 1); no isin"]),
    (tm.String(isin=["a", "b"]), tm.Enum(["a"]), []),
    (tm.String(max_length=1), tm.Enum(["a", "bc"]), ["x.max_length: max_length 1; no max_length"]),
    (tm.Bool(isin=[True]), tm.Bool(), ["x.isin: isin (True); no isin"]),
    (tm.String(min_length=0), tm.String(), []),
    (
        tm.String(min_length=2),
        tm.String(min_length=1),
        ["x.min_length: min_length 2; min_length 1"],
    ),
    (tm.String(max_length=2), tm.String(max_length=1), []),
    (tm.String(regex="a"), tm.String(regex="a"), []),
    (tm.String(regex="a"), tm.String(regex="b"), ["x.regex: regex a; regex b"]),
    (tm.Int64(unique=True), tm.Int64(), ["x.unique: unique; it may repeat"]),
    (tm.Int64(unique=True), tm.Int64(unique=True), []),
    # What only warns promises nothing, and what would only warn asks for nothing.
    (
        tm.Int64(min=0, unique=True),
        tm.Int64(min=0, unique=True, on_fail="warn"),
        [
            "x.null: never null; it may be null, but violations only warn",
            "x.min: min 0; min 0, but violations only warn",
            "x.unique: unique; it may repeat, but violations only warn",
        ],
    ),
    (tm.Int64(min=0, on_fail="warn"), tm.Int64(nullable=True), []),
]


@pytest.mark.parametrize(("wanted", "has", "expected"), COLUMNS)
def test_columns(wanted: Column, has: Column, expected: list[str]) -> None:
    assert told({"x": wanted}, {"x": has}) == expected


X = {"x": tm.Int64()}
XY = {"x": tm.Int64(), "y": tm.Int64()}
# What is asked, what is given, by the body of the class and its arguments.
TABLES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any], list[str]]] = [
    ({"y": tm.Int64()}, {}, X, {}, ["y.exists: a column; none"]),
    (X, {"key": ("x",)}, X, {}, ["key: key (x); key none"]),
    (X, {"key": ("x",)}, XY, {"key": ("x", "y")}, ["key: key (x); key (x, y)"]),
    (XY, {"key": ("x", "y")}, XY, {"key": ("x",)}, []),
    (XY, {"key": ("x", "y")}, X, {"key": ("x",)}, [
        "y.exists: a column; none", "key: key (x, y); key (x)",
    ]),
    (X, {"key": ("x",)}, {"x": tm.Int64(unique=True)}, {}, []),
    # Rows without a value are told apart by nothing.
    (XY, {"key": ("x", "y")}, {"x": tm.Int64(), "y": tm.Int64(unique=True, nullable=True)}, {}, [
        "y.null: never null; it may be null", "key: key (x, y); key none",
    ]),
    (XY, {"key": ("x", "y")}, XY | {"u": Unique("x")}, {}, []),
    (XY, {"key": ("x", "y")}, XY | {"u": Unique("x", on_fail="warn")}, {}, [
        "key: key (x, y); key none",
    ]),
    ({"x": tm.Int64(unique=True)}, {}, X, {"key": ("x",)}, []),
    ({"x": tm.Int64(unique=True)}, {}, X | {"u": Unique("x")}, {}, []),
    # A key is never without values, whatever else only warns.
    (X, {}, {"x": tm.Int64(on_fail="warn")}, {"key": ("x",)}, []),
    (X | {"r": POSITIVE}, {}, X | {"q": POSITIVE}, {}, []),
    (X | {"r": POSITIVE}, {}, X | {"r": LARGE}, {}, [
        f"r: {POSITIVE.expr}; another rule of that name",
    ]),
    (X | {"r": POSITIVE}, {}, X, {}, [f"r: {POSITIVE.expr}; no such rule"]),
    (X | {"r": POSITIVE}, {}, X | {"r": rule(pl.col("x") > 0, on_fail="warn")}, {}, [
        f"r: {POSITIVE.expr}; it only warns",
    ]),
    (X | {"r": rule(pl.col("x") > 0, on_fail="warn")}, {}, X, {}, []),
    (X | {"u": Unique("x")}, {}, X | {"v": Unique("x", description="why")}, {}, []),
    (X | {"u": Unique("x")}, {}, X | {"u": Unique("x", on_fail="warn")}, {}, [
        "u: x comes once in the whole table; it only warns",
    ]),
    ({"x": tm.Date(), "f": Freshness("x", within="1d", on_fail="fail")}, {}, {"x": tm.Date()}, {}, [
        "f: the newest x is at most 1d old; no such rule",
    ]),
    (X | {"n": Rows(min=1, on_fail="fail")}, {}, X | {"n": Rows(min=2, on_fail="fail")}, {}, []),
    (X | {"n": Rows(min=1)}, {}, X, {}, []),
    (X | {"n": Rows(min=1, on_fail="fail")}, {}, X, {}, ["rows: min 1; none"]),
    (X | {"n": Rows(max=1, on_fail="fail")}, {}, X | {"n": Rows(max=1)}, {}, [
        "rows: max 1; max 1, but violations only warn",
    ]),
    (X | {"b": Budget(max_bad=0.1)}, {}, X | {"b": Budget(max_bad=0.1)}, {}, []),
    (X | {"b": Budget(max_bad=0.1)}, {}, X | {"b": Budget(max_bad=0.2)}, {}, [
        "budget: max_bad 0.1; max_bad 0.2",
    ]),
    (X | {"b": Budget(max_bad=0.1)}, {}, X, {}, ["budget: max_bad 0.1; max_bad 0.5"]),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "asks", "has", "gives", "expected"), TABLES)
def test_tables(
    wanted: dict[str, Any],
    asks: dict[str, Any],
    has: dict[str, Any],
    gives: dict[str, Any],
    expected: list[str],
) -> None:
    assert told(wanted, has, asks=asks, gives=gives) == expected


# Every value of a small world, so that all frames of two rows can be tried.
INTEGERS = [-2, -1, 0, 1, 2]
HALVES = [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5]
WORDS = ["", "a", "b", "aa", "ab"]


def columns(kind: str) -> st.SearchStrategy[Column]:
    def some(values: list[Any]) -> st.SearchStrategy[Any]:
        return st.none() | st.sampled_from(values)

    shared: dict[str, Any] = {
        "nullable": st.booleans(),
        "unique": st.booleans(),
        "on_fail": st.sampled_from(["fail", "quarantine", "quarantine", "warn"]),
    }
    match kind:
        case "Int8":
            bounds = dict.fromkeys(("min", "max", "min_exclusive", "max_exclusive"), some(HALVES))
            subset = st.none() | st.lists(st.sampled_from(INTEGERS), min_size=1, unique=True)
            return st.builds(tm.Int8, **shared, **bounds, isin=subset)
        case "Float64":
            bounds = dict.fromkeys(("min", "max", "min_exclusive", "max_exclusive"), some(INTEGERS))
            subset = st.none() | st.lists(st.sampled_from(HALVES), min_size=1, unique=True)
            return st.builds(tm.Float64, **shared, **bounds, isin=subset)
        case "Enum":
            names = st.lists(st.sampled_from(WORDS), min_size=1, unique=True)
            return st.builds(tm.Enum, names, **shared)
    lengths = dict.fromkeys(("min_length", "max_length"), some([0, 1, 2]))
    subset = st.none() | st.lists(st.sampled_from(WORDS), min_size=1, unique=True)
    return st.builds(tm.String, **shared, **lengths, isin=subset)


WORLD: dict[str, tuple[list[Any], Any]] = {
    # Beyond the bounds that are drawn lie values, too.
    "Int8": ([*INTEGERS, -128, 127, None], pl.Int8),
    "Float64": ([*HALVES, -2.0, 2.0, 0.25, -9.0, 9.0, float("nan"), None], pl.Float64),
    "String": ([*WORDS, "abc", None], pl.String),
    "Enum": ([*WORDS, None], pl.String),
}


def published(spec: ContractSpec, frame: pl.DataFrame) -> bool:
    """Whether all rows of a frame may stand in the table."""
    judged = checker_of(spec).check(frame, partition="")
    failed = any(finding.severity == "fail" for finding in judged.findings)
    return not failed and judged.good.height == frame.height


@thorough
@settings(max_examples=examples(40))
@given(
    data=st.data(),
    kind=st.sampled_from(["Int8", "Float64", "String", "Enum"]),
    other=st.sampled_from(["Int8", "Float64", "String", "Enum"]),
)
def test_a_promise_holds_exactly_when_every_frame_that_passes_keeps_it(
    data: st.DataObject, kind: str, other: str
) -> None:
    try:
        gives = contract({"x": data.draw(columns(kind))})
        wants = contract({"x": data.draw(columns(other))})
    except ContractError:
        # It contradicts itself.
        return
    [wanted], [has] = wants.columns, gives.columns
    missed = list(unmet_demands(wants, gives))
    if not wanted.dtype.includes(has.dtype):
        assert [each.term for each in missed] == ["type"]
        return
    values, dtype = WORLD[kind]
    broken = allowed = False
    for pair in product(values, repeat=2):
        frame = pl.DataFrame({"x": pl.Series(pair, dtype=dtype)})
        judged = checker_of(gives).check(frame, partition="")
        if any(finding.severity == "fail" for finding in judged.findings):
            continue
        broken = broken or not published(wants, judged.good)
        allowed = allowed or judged.good["x"].count() > 0
    # Of a column that allows no value at all, anything is true; that needn't be seen.
    if broken or allowed or not missed:
        assert bool(missed) == (broken and wanted.on_fail != "warn")
