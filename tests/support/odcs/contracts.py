"""Contracts of every kind, for what is promised of all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import strategies as st

from tidemill.contracts import column_types as tm
from tidemill.contracts.column import Column
from tidemill.contracts.column_validity import column_problems
from tidemill.contracts.declaration import RESERVED, DeclaredContract
from tidemill.contracts.spec import COMPATIBILITY, ContractSpec, rule
from tidemill.contracts.table_rules import Budget, Drift, Freshness, References, Rows, Unique

NEW_YORK = ZoneInfo("America/New_York")
TEXTS = st.text(max_size=12)
_NAMES = st.text(min_size=1, max_size=5)
INTEGERS = (
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Int128",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "UInt128",
)
FLOATS = ("Float16", "Float32", "Float64")
_DAYS = st.dates(date(1900, 1, 1), date(2100, 1, 1))
# Without a zone there is no hour that comes twice.
_NAIVE = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda m: m.replace(fold=0))
_DECIMALS = st.decimals(-1000, 1000, places=3)
# Two of them are given as bounds, in their order.
_BOUNDS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(INTEGERS, st.integers(-(2**70), 2**70)),
    **dict.fromkeys(FLOATS, st.floats(allow_nan=False) | st.integers(-5, 5)),
    "Decimal": _DECIMALS | st.integers(-9, 9),
    "Date": _DAYS,
    "Datetime": _NAIVE,
    "utc": _NAIVE.map(lambda moment: moment.replace(tzinfo=UTC)),
    "New York": st.builds(lambda m: m.replace(tzinfo=UTC).astimezone(NEW_YORK), _NAIVE),
}
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    **_BOUNDS,
    "Boolean": st.booleans(),
    **dict.fromkeys(("String", "Categorical", "Enum"), TEXTS),
    "Binary": st.binary(max_size=5),
    "Time": st.times().map(lambda moment: moment.replace(fold=0)),
    "Duration": st.timedeltas(timedelta(days=-99), timedelta(days=99)),
}
_PLAIN = [*INTEGERS, *FLOATS, "Bool", "String", "Binary", "Categorical", "Date", "Time"]


def _types(deeper: st.SearchStrategy[Column]) -> st.SearchStrategy[Column]:
    return st.one_of(
        st.builds(tm.List, deeper),
        st.builds(tm.Array, deeper, st.integers(0, 9)),
        st.builds(
            tm.Struct,
            st.dictionaries(st.text(min_size=1, max_size=5), deeper, min_size=1, max_size=3),
        ),
    )


FLAT: st.SearchStrategy[Column] = st.one_of(
    st.sampled_from(_PLAIN).map(lambda name: getattr(tm, name)()),
    st.builds(tm.Decimal, st.just(9), st.integers(0, 9)),
    st.builds(
        tm.Datetime,
        st.sampled_from(["ms", "us", "ns"]),
        st.sampled_from([None, "UTC", "America/New_York"]),
    ),
    st.builds(tm.Duration, st.sampled_from(["ms", "us", "ns"])),
    st.builds(tm.Enum, st.lists(TEXTS, min_size=1, max_size=4, unique=True)),
)
TYPES = st.recursive(FLAT, _types, max_leaves=4)


def _kind(column: Column) -> str:
    if column.dtype.name == "Datetime" and column.dtype.args[1]:
        return "utc" if column.dtype.args[1] == "UTC" else "New York"
    return column.dtype.name


@st.composite
def columns(draw: st.DrawFn) -> Column:
    """A column of any type that says any of what columns of its type can say."""
    plain = draw(TYPES)
    kind, name = _kind(plain), plain.dtype.name
    said: dict[str, Any] = {
        "nullable": draw(st.booleans()),
        "on_fail": draw(st.sampled_from(["fail", "quarantine", "warn"])),
        "unit": draw(TEXTS),
        "description": draw(TEXTS),
        "role": draw(st.sampled_from(["", "label", "id", "feature"])),
        "pii": draw(st.sampled_from(["", "pii", "email", "name of a person"])),
    }
    if not plain.dtype.is_nested:
        said["unique"] = draw(st.booleans())
    if kind in _BOUNDS and draw(st.booleans()):
        low, high = sorted([draw(_BOUNDS[kind]), draw(_BOUNDS[kind])])
        closed = [{"min": low}, {"max": high}, {"min": low, "max": high}, {"min_exclusive": low}]
        open_ = [{"min_exclusive": low, "max_exclusive": high}] if low < high else []
        said |= draw(st.sampled_from([*closed, *open_]))
    if name in ("String", "Binary", "List") and draw(st.booleans()):
        least, most = sorted([draw(st.integers(0, 9)), draw(st.integers(0, 9))])
        said |= {"min_length": least, "max_length": most}
    if name == "String" and draw(st.booleans()):
        said["regex"] = draw(st.sampled_from(["^[ab]", r"\d{2}$", r"\p{L}", "a|b", ""]))
    if kind in _VALUES and draw(st.booleans()):
        said["isin"] = tuple(draw(st.lists(_VALUES[kind] | st.none(), min_size=1, max_size=4)))
    if not draw(st.integers(0, 3)):
        said |= {"optional": True, "nullable": True}
    made = Column(dtype=plain.dtype, **said)
    if kind in _VALUES and made.optional:
        filled = replace(made, default=draw(_VALUES[kind]), name="x")
        return made if [*column_problems(filled)] else filled
    return made


_RULES = st.sampled_from(
    [
        pl.col("a").is_not_null(),
        pl.col("a").is_in([1, 2, 3]) & (pl.col("b") > date(2026, 1, 1)),
        (pl.col("a").len().over("b") < 4) | (pl.col("b") > 0.1),
        pl.col("a").str.contains("x") == pl.lit(value=True),
        pl.all() > Decimal("1.50"),
        pl.col("b") > datetime(2026, 1, 1, tzinfo=UTC),
    ]
)


def _free(name: str) -> bool:
    """Whether a class body can have an attribute of this name, and a table a column."""
    is_pattern = name == "*" or (name.startswith("^") and name.endswith("$"))
    return not (name in RESERVED or name.startswith("__") or "\0" in name or is_pattern)


FREE = st.text(min_size=1, max_size=8).filter(_free)


@st.composite
def contracts(draw: st.DrawFn, named: st.SearchStrategy[str] = FREE) -> ContractSpec:
    """A contract that says any of what contracts can say, in any combination."""
    names: list[str] = draw(st.lists(named, min_size=1, max_size=4, unique=True))
    body: dict[str, Any] = {name: draw(columns()) for name in names}
    flat = [n for n in names if not (body[n].dtype.is_nested or body[n].nullable)]
    cut = [n for n in flat if body[n].dtype.is_time and not body[n].optional]
    if draw(st.booleans()) and cut:
        by = draw(st.sampled_from(["1d", "1mo", "value"]))
        body[cut[0]] = _partitioned(body[cut[0]], by)
    for place in range(draw(st.integers(0, 2))):
        on_fail: Any = draw(st.sampled_from(["fail", "quarantine", "warn"]))
        said = draw(TEXTS)
        body[f"rule_{place}"] = rule(draw(_RULES), on_fail=on_fail, description=said)
    if draw(st.booleans()):
        body["how many"] = draw(rows())
    if draw(st.booleans()):
        body["bad"] = Budget(max_bad=draw(st.floats(0, 1)))
    for place in range(draw(st.integers(0, 3))):
        body[f"wide_{place}"] = draw(wide_rules(body, names))
    body["__doc__"] = draw(TEXTS)
    declared: type[DeclaredContract] = type(
        "C",
        (DeclaredContract,),
        body,
        version=draw(st.sampled_from(["0.1.0", "1.0.0", "12.3.4"])),
        key=draw(st.lists(st.sampled_from(flat), unique=True)) if flat else (),
        unknown_columns=draw(st.sampled_from(["keep", "drop", "fail"])),
        compatibility=draw(st.sampled_from(COMPATIBILITY)),
    )
    return declared.__tidemill_contract__


@st.composite
def wide_rules(draw: st.DrawFn, body: dict[str, Any], names: list[str]) -> object:
    """A rule that looks beyond the partition and fits the columns of `body`; None if none does."""
    flat = [name for name in names if not body[name].dtype.is_nested]
    if not flat:
        return None
    said: dict[str, Any] = {
        "on_fail": draw(st.sampled_from(["fail", "warn"])),
        "description": draw(TEXTS),
    }
    some = tuple(draw(st.lists(st.sampled_from(flat), min_size=1, max_size=2, unique=True)))
    kinds = ["unique", "references"]
    kinds += ["drift"] if any(body[name].partition for name in names) else []
    kinds += ["freshness"] if body[some[0]].dtype.is_time else []
    match draw(st.sampled_from(kinds)):
        case "unique":
            return Unique(*some, **said)
        case "drift":
            limit, last = draw(st.floats(0, 9)), draw(st.integers(1, 9))
            return Drift(*some, limit=limit, vs_last=last, **said)
        case "freshness":
            return Freshness(
                some[0], within=draw(st.sampled_from(["26h", "3d", "8w", "1mo"])), **said
            )
    to = [f"{draw(st.sampled_from(['to', 'no name ']))}{place}" for place in range(len(some))]
    there = {new: Column(dtype=body[name].dtype) for name, new in zip(some, to, strict=True)}
    other: type[DeclaredContract] = type(
        draw(st.sampled_from(["Other", "odd one"])), (DeclaredContract,), there
    )
    return References(some, other, to, stage=draw(st.sampled_from(["", "others"])), **said)


def _partitioned(column: Column, by: str) -> Column:
    return replace(column, partition=tm.Date(partition=by).partition)


@st.composite
def rows(draw: st.DrawFn) -> Rows:
    """How many rows there are: any bounds, any comparison, or nothing at all."""
    least, most = sorted([draw(st.integers(0, 10**12)), draw(st.integers(0, 10**12))])
    ends = [{"min": least}, {"max": most}, {"min": least, "max": most}, {"min": 3, "max": 3}]
    said: dict[str, Any] = draw(st.sampled_from([{}, *ends]))
    if draw(st.booleans()):
        said = {**said, "vs_last": draw(st.integers(1, 30)), "within": draw(st.floats(0, 1))}
    return Rows(**said, on_fail=draw(st.sampled_from(["fail", "warn"])))
