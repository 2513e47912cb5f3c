"""Random contracts, and request bodies that almost satisfy them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

from hypothesis import strategies as st

import tidemill as tm
from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.serving.tensors import datatype_of

WORDS = ["EWR", "JFK", "größe", "a:b", "", "-999", "x y", 'q"q', "\ufdd0x"]
NAMES = ["hour", "größe", "a:b", "x.y", 'quo"te', "name", "rows", "column0"]
PATTERNS = [None, "^[A-Z]{3}$", r"^\d+$", "a|b", "^(?:x|y)+", r"\p{L}", "[^a-z]"]
_numbers = st.one_of(
    st.integers(-5, 30),
    st.sampled_from([0, -999, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.5, 1.0, 0.1, 1e300, 1e-320, 3.4028236e38, 16777217.0]),
    # Halfway between two 32-bit floats.
    st.sampled_from([1.00000005960464477539, 1.000000178813934326171875]),
)
_times = st.sampled_from(
    [
        "2013-03-07", "2013-02-30", "0099-01-01", "13-03-07", " 2013-03-07", "2013-3-7",
        "2013-03-07T05:00:00", "2013-03-07T05:00:00.123456", "2013-03-07T05:00:00.1234567",
        "2013-03-07 05:00:00", "2013-03-07T05:00", "2013-03-07T05:00:60", "2013-03-07T24:00:00",
        "2013-03-07T05:00:00Z", "2013-03-07T05:00:00+02:00", "2013-03-07T05:00:00.5-11:30",
        "2013-03-07T05:00:00+0200", "2013-03-10T02:30:00-05:00", "1969-12-31T23:59:59.999999Z",
        "05:00:00", "05:00", "23:59:59.999999", "23:59:59.9999999", "25:00:00",
    ]
)  # fmt: skip
VALUES = st.one_of(
    _numbers,
    st.booleans(),
    st.none(),
    st.sampled_from(WORDS),
    _times,
    st.text(max_size=4),
    st.sampled_from(["1", "1.0", "true", "NaN", "inf", "1e3"]),
)
_EVERY = {"nullable": st.booleans(), "on_fail": st.sampled_from(["fail", "quarantine", "warn"])}
_bounds = st.fixed_dictionaries(
    {},
    optional={
        "min": st.sampled_from([0, -5, 0.1]),
        "max_exclusive": st.sampled_from([23, 7, 2**40, 0.7]),
    },
)
_MAKERS: dict[str, Any] = {
    "Int64": tm.Int64,
    "Int8": tm.Int8,
    "UInt64": tm.UInt64,
    "Int128": tm.Int128,
    "Float64": tm.Float64,
    "Float32": tm.Float32,
}
_ZONES = [None, "UTC", "America/New_York"]


_TYPES = (*_MAKERS, "Bool", "String", "Categorical", "Enum", "Date", "Datetime", "Time", "Decimal")


@st.composite
def columns(draw: st.DrawFn) -> Column:
    """A column with rules, of a type that JSON may hold."""
    more: dict[str, Any] = draw(st.fixed_dictionaries(_EVERY))
    if draw(st.integers(0, 5)) == 0:
        more["null_values"] = draw(st.sampled_from([["-999"], ["EWR", "0"], ["NaN"]]))
    kind = draw(st.sampled_from(_TYPES))
    if kind in _MAKERS:
        bounds = draw(_bounds)
        if not kind.startswith("Float"):
            bounds = {name: math.floor(bound) for name, bound in bounds.items()}
        isin = draw(st.sampled_from([None, None, None, [1, 5, 7]]))
        return _MAKERS[kind](**bounds, isin=isin, **more)  # type: ignore[no-any-return]
    if kind == "Datetime":
        zone = draw(st.sampled_from(_ZONES))
        least = draw(st.sampled_from([None, datetime(2013, 3, 7, 4, tzinfo=UTC if zone else None)]))
        return tm.Datetime(draw(st.sampled_from(["ms", "us", "ns"])), zone, min=least, **more)
    return draw(st.sampled_from(_OTHERS[kind]))(**more)  # type: ignore[no-any-return]


_OTHERS: dict[str, list[Any]] = {
    "Bool": [tm.Bool],
    "String": [
        *(partial(tm.String, regex=pattern) for pattern in PATTERNS),
        partial(tm.String, min_length=1),
        partial(tm.String, max_length=3, regex="a"),
        partial(tm.String, isin=["EWR", "größe", "a:b"]),
    ],
    "Categorical": [tm.Categorical],
    "Enum": [partial(tm.Enum, ["EWR", "JFK"]), partial(tm.Enum, ["a:b", "größe", "-999"])],
    "Date": [
        tm.Date,
        partial(tm.Date, min=date(2013, 3, 7)),
        partial(tm.Date, min=date(2013, 3, 8)),
    ],
    "Time": [tm.Time],
    "Decimal": [partial(tm.Decimal, 6, 2)],
}


@st.composite
def contracts(draw: st.DrawFn, most: int = 4) -> ContractSpec:
    """A contract of a few random columns."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=most, unique=True))
    made = tuple(replace(draw(columns()), name=name) for name in names)
    return ContractSpec(name="Random", version="1.0.0", columns=made, place="here")


def fitting(column: Column) -> st.SearchStrategy[Any]:
    """JSON values that a column often accepts."""
    match column.dtype.name:
        case "Boolean":
            return st.booleans()
        case "Enum":
            return st.sampled_from(column.dtype.args)
        case "String" | "Categorical":
            return st.sampled_from(WORDS)
        case "Date" | "Datetime" | "Time":
            return _times
        case name if name.startswith(("Int", "UInt")):
            return st.integers(0, 30)
    return _numbers


@st.composite
def row_values(draw: st.DrawFn, spec: ContractSpec) -> list[dict[str, Any]]:
    """One to three rows, most of whose values fit."""
    rows: list[dict[str, Any]] = [{} for _ in range(draw(st.integers(1, 3)))]
    for row in rows:
        for column in spec.columns:
            is_odd = draw(st.integers(0, 7)) == 0
            row[column.name] = draw(VALUES if is_odd else fitting(column))
    return rows


@st.composite
def written(draw: st.DrawFn, value: Any) -> bytes:
    """A value as JSON in UTF-8, written in one of several ways."""
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :")]))
    ascii_only = draw(st.booleans())
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only)
    if draw(st.integers(0, 9)) == 0:
        text = text.replace("a:b", "a\\u003ab")
    return text.encode(errors="surrogatepass")


def infer_document(spec: ContractSpec, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as the body of an infer request."""
    inputs = [
        {
            "name": column.name,
            "shape": [len(rows)],
            "datatype": datatype_of(column.dtype),
            "data": [row[column.name] for row in rows],
        }
        for column in spec.columns
    ]
    return {"inputs": inputs}
