"""Requests: typed decoding accepts only what the contract accepts, and all else is a clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import tidemill as tm
from tests.support.arrow_streams import as_stream
from tests.support.contracts import declare, spec_of
from tests.support.requests import contracts, infer_document, row_values, written
from tests.support.thoroughness import examples, thorough
from tidemill.contracts.checks.checker import Checker
from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.finding import UNREAD_RULES as UNREAD
from tidemill.contracts.spec import ContractSpec
from tidemill.serving.errors import BadRequest, BrokenRows, PayloadTooLarge, RequestError
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.oip import JSON
from tidemill.serving.predictions import ARROW, CSV
from tidemill.serving.request_contract import request_contract
from tidemill.serving.row_rules import typed_series
from tidemill.serving.rows import RequestLimits, RequestRows
from tidemill.serving.tensors import write_tensor
from tidemill.sources.io.json_lines import read_json_lines


@st.composite
def requests(draw: st.DrawFn) -> tuple[ContractSpec, list[dict[str, Any]]]:
    spec = draw(contracts())
    return spec, draw(row_values(spec))


@thorough
@given(st.data())
@settings(max_examples=examples(100, 500), deadline=None)
def test_typed_decoding_accepts_only_what_the_contract_accepts_as_the_same_rows(
    data: st.DataObject,
) -> None:
    spec, rows = data.draw(requests())
    schema = InputSchema(spec)
    typed = schema.decode_rows_typed(body := data.draw(written(rows)))
    if typed is not None:
        exact = schema.decode_rows_exactly(body)
        assert_frame_equal(schema.frame(typed.rows), schema.frame(exact.rows))
    document = infer_document(spec, rows)
    found = schema.decode_oip_typed(body := data.draw(written(document)))
    if found is not None:
        exact = schema.decode_oip_exactly(body)
        assert_frame_equal(schema.frame(found.rows), schema.frame(exact.rows))


@thorough
@given(st.data())
@settings(max_examples=examples(40, 200), deadline=None)
def test_exact_decoding_accepts_what_an_ingest_of_json_lines_accepts(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    spec, rows = data.draw(requests())
    path: Path = tmp_path_factory.mktemp("rows") / "rows.ndjson"
    path.write_bytes(b"\n".join(json.dumps(row).encode() for row in rows))
    checked = Checker(request_contract(spec, spec.names, "json")).check(
        read_json_lines(path, {}).select(spec.names)
    )
    # A partition keeps such a row without the value; a request is refused.
    assume(not any(f.severity == "warn" and f.rule.endswith(UNREAD) for f in checked.findings))
    schema = InputSchema(spec)
    try:
        found = schema.decode_rows_exactly(json.dumps(rows).encode(), partial=True)
    except BrokenRows:
        assert checked.good.is_empty()
        return
    assert_frame_equal(schema.frame(found.rows), checked.good)


class Flights(tm.Contract, version="1.2.0", key=("date", "flight")):
    date = tm.Date(partition="1d")
    flight = tm.Int64(min=1)
    carrier = tm.String(regex="^[0-9A-Z]{2}$")
    origin = tm.Enum(["EWR", "JFK", "LGA"], on_fail="fail")
    wind = tm.Float64(nullable=True, min=0)
    rush = tm.Bool()
    at = tm.Datetime("us", "America/New_York")
    gate = tm.String(optional=True, default="A1")

    early = tm.rule(pl.col("flight") > pl.col("wind"), description="flight above wind")


SPEC = spec_of(Flights)
ROW = {
    "date": "2013-03-07",
    "flight": 7,
    "carrier": "UA",
    "origin": "JFK",
    "wind": None,
    "rush": True,
    "at": "2013-03-07T05:00:00-05:00",
}
FULL = {**ROW, "gate": "C"}
SCHEMA = InputSchema(SPEC)


def encoded(*rows: dict[str, Any]) -> bytes:
    return json.dumps(rows).encode()


def test_a_good_row_is_decoded_without_the_checker() -> None:
    found = SCHEMA.decode_rows_typed(encoded(ROW, {**ROW, "gate": "B2", "wind": 2.5}))
    assert found is not None
    assert found.rows.count == 2
    assert list(found.rows.columns[7]) == ["A1", "B2"]
    assert SCHEMA.decode_oip_typed(json.dumps(infer_document(SPEC, [FULL])).encode())


@pytest.mark.parametrize(
    ("change", "rule", "field", "value"),
    [
        ({"flight": 0}, "flight.min", "flight", 0),
        ({"flight": "x"}, "flight.type", "flight", "x"),
        ({"flight": None}, "flight.null", "flight", None),
        ({"carrier": "ua"}, "carrier.regex", "carrier", "ua"),
        ({"origin": "BOS"}, "origin.type", "origin", "BOS"),
        ({"wind": -0.5}, "wind.min", "wind", -0.5),
        ({"wind": 9}, "early", None, {"flight": 7, "wind": 9}),
        ({"date": "2013-02-30"}, "date.type", "date", "2013-02-30"),
        ({"rush": [1]}, "rush.type", "rush", "[1]"),
        ({"wnd": 1}, "unknown_columns", "wnd", 1),
    ],
)  # fmt: skip
def test_a_bad_row_is_reported_with_row_field_rule_and_value(
    change: dict[str, Any], rule: str, field: str | None, value: Any
) -> None:
    with pytest.raises(BrokenRows) as caught:
        SCHEMA.decode_rows(encoded(ROW, {**ROW, **change}))
    (finding,) = caught.value.document()["findings"]
    assert (finding["row"], finding["rule"], finding["field"]) == (1, rule, field)
    assert finding["value"] == value
    assert caught.value.status == 422
    assert "Flights 1.2.0" in caught.value.message


def test_partial_answers_the_good_rows() -> None:
    found = SCHEMA.decode_rows(
        encoded({**ROW, "flight": 0}, ROW, {**ROW, "wind": -1}), partial=True
    )
    assert found.rows.count == 1
    assert found.rejected is not None
    assert found.rejected.kept == (1,)
    assert [item.rule for item in found.rejected.findings] == ["flight.min", "wind.min"]
    assert found.rejected.count == 2


def test_partial_without_a_good_row_is_refused() -> None:
    with pytest.raises(BrokenRows):
        SCHEMA.decode_rows(encoded({**ROW, "flight": 0}), partial=True)


def test_findings_are_counted_beyond_those_that_are_shown() -> None:
    schema = InputSchema(SPEC, limits=RequestLimits(findings=3))
    with pytest.raises(BrokenRows) as caught:
        schema.decode_rows(encoded(*[{**ROW, "flight": 0, "wind": -1}] * 40))
    document = caught.value.document()
    assert (document["count"], len(document["findings"]), document["rejected"]) == (80, 3, 40)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is empty"),
        (b"[]", "no rows"),
        (b"[", "isn't JSON"),
        (b'"x"', "row 0 is text"),
        (b"[1]", "row 0 is a number"),
        (b"[NaN]", "NaN isn't JSON"),
        (b'{"a": Infinity}', "Infinity isn't JSON"),
        (b"\xff", "isn't UTF-8"),
        (b"[" * 5000, "more than 32 levels"),
        (b'{"a":' * 5000, "more than 32 levels"),
        (b"[" * 40 + b"]" * 40, "more than 32 levels"),
        (b'{"a": 1, "a": 2}', "'a' appears twice"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "appears twice"),
    ],
)
def test_a_body_that_is_no_rows_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        SCHEMA.decode_rows(body)


def test_too_many_rows_are_refused() -> None:
    schema = InputSchema(SPEC, limits=RequestLimits(rows=2))
    with pytest.raises(PayloadTooLarge, match="3 rows, but the server accepts 2"):
        schema.decode_rows(encoded(ROW, ROW, ROW))


def status_of(decode: Callable[[bytes], object], body: bytes) -> int:
    try:
        decode(body)
    except RequestError as error:
        json.dumps(error.document(), allow_nan=False).encode()
        return error.status
    return 200


VALID = (
    json.dumps([FULL, FULL]).encode(),
    json.dumps(infer_document(SPEC, [FULL, FULL]) | {"id": "x", "parameters": {"a": 1}}).encode(),
)


@thorough
@given(st.sampled_from(VALID), st.data())
@settings(max_examples=examples(150, 800), deadline=None)
def test_damaged_bodies_raise_nothing_but_typed_errors(body: bytes, data: st.DataObject) -> None:
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.integers(0, 3)):
            case 0:
                damaged[at] = data.draw(st.integers(0, 255))
            case 1:
                del damaged[at : at + data.draw(st.integers(1, 30))]
            case 2:
                other = data.draw(st.integers(0, len(damaged) - 1))
                damaged[at:at] = damaged[other : other + data.draw(st.integers(1, 60))]
            case _:
                damaged[at:at] = data.draw(
                    st.sampled_from([b"[", b"{", b'"', b"1", b"null", b"\\"])
                )
        if not damaged:
            break
    for decode in (SCHEMA.decode_rows, SCHEMA.decode_oip):
        assert status_of(decode, bytes(damaged)) in (200, 400, 413, 422)


@given(st.binary(max_size=200))
@settings(max_examples=examples(100), deadline=None)
def test_any_bytes_raise_nothing_but_typed_errors(body: bytes) -> None:
    for decode in (SCHEMA.decode_rows, SCHEMA.decode_oip):
        with pytest.raises(RequestError):
            decode(body)


@given(st.data())
@settings(max_examples=examples(80, 400), deadline=None)
def test_a_key_that_appears_twice_is_always_refused(data: st.DataObject) -> None:
    is_rows = data.draw(st.booleans())
    document: Any = [FULL] if is_rows else infer_document(SPEC, [FULL]) | {"id": "a:b"}
    text = json.dumps(document, separators=data.draw(st.sampled_from([(",", ":"), (", ", " : ")])))
    starts = [at for at, mark in enumerate(text) if mark == "{"]
    at = data.draw(st.sampled_from(starts))
    name = json.loads(text[at + 1 : text.index(":", at)].strip())
    key = json.dumps(name)
    if data.draw(st.booleans()):
        key = '"' + "".join(f"\\u{ord(mark):04x}" for mark in name) + '"'
    value = json.dumps({**FULL, "inputs": [], "name": "date", "id": "y"}[name])
    blank = data.draw(st.sampled_from(["", " ", "\n"]))
    doubled = f"{text[: at + 1]}{key}{blank}:{value},{text[at + 1 :]}"
    # A text with an escaped colon has one colon less in the body than in its value.
    doubled = doubled.replace("a:b", data.draw(st.sampled_from(["a:b", "a\\u003ab", "a\\u003Ab"])))
    typed = SCHEMA.decode_rows_typed if is_rows else SCHEMA.decode_oip_typed
    exact = SCHEMA.decode_rows_exactly if is_rows else SCHEMA.decode_oip_exactly
    assert typed(doubled.encode()) is None
    with pytest.raises(BadRequest, match="appears twice"):
        exact(doubled.encode())


def test_csv_and_arrow_rows_are_the_same_as_json_rows() -> None:
    frame = SCHEMA.frame(SCHEMA.decode_rows(encoded(FULL, {**FULL, "wind": 2.5})).rows)
    text = pl.DataFrame([FULL, {**FULL, "wind": 2.5}]).write_csv().encode()
    for body, media in (
        (text, CSV),
        (as_stream(frame), ARROW),
        (encoded(FULL, {**FULL, "wind": 2.5}), JSON),
    ):
        found = SCHEMA.decode_predict(body, media)
        assert_frame_equal(SCHEMA.frame(found.rows), frame)


def test_columns_of_csv_and_arrow_may_be_left_out_or_unknown() -> None:
    frame = SCHEMA.frame(SCHEMA.decode_rows(encoded(ROW)).rows)
    found = SCHEMA.decode_arrow(as_stream(frame.drop("gate")))
    assert found.rows.columns[7] == ["A1"]
    with pytest.raises(BadRequest, match="column 'wind' is missing"):
        SCHEMA.decode_arrow(as_stream(frame.drop("wind")))
    extra = as_stream(frame.with_columns(winds=1))
    with pytest.raises(BadRequest, match="has no column 'winds'"):
        SCHEMA.decode_arrow(extra)
    dropping = InputSchema(replace(SPEC, unknown_columns="drop"))
    assert dropping.decode_arrow(extra).rows.count == 1


def test_findings_of_arrow_rows_have_their_values() -> None:
    frame = SCHEMA.frame(SCHEMA.decode_rows(encoded(ROW, ROW)).rows)
    winds = pl.Series("wind", [None, 2], dtype=pl.Int8)
    bad = frame.with_columns(winds, date=pl.col("date").cast(pl.Datetime))
    assert SCHEMA.decode_arrow(as_stream(bad)).rows.count == 2
    bad = bad.with_columns(flight=pl.Series([1.5, 2.0]))
    with pytest.raises(BrokenRows) as caught:
        SCHEMA.decode_arrow(as_stream(bad))
    assert caught.value.document()["findings"][0]["value"] == 1.5


def test_some_rows_may_leave_out_a_column_with_a_default() -> None:
    # The integer 7.0 is left to the checker.
    found = SCHEMA.decode_rows(encoded({**ROW, "flight": 7.0}, {**ROW, "gate": "B2"}, FULL))
    assert found.rows.columns[7] == ["A1", "B2", "C"]
    found = SCHEMA.decode_rows(encoded({**ROW, "flight": 7.0}))
    assert found.rows.columns[7] == ["A1"]


def test_a_tensor_may_be_left_out_if_its_column_is_optional() -> None:
    document = infer_document(SPEC, [FULL])
    document["inputs"].pop()
    document["parameters"] = {"partial": True}
    assert SCHEMA.decode_oip(json.dumps(document).encode()).rows.columns[7] == ["A1"]


def test_tensors_with_bad_values_are_reported() -> None:
    document = infer_document(SPEC, [FULL, {**FULL, "wind": -2}])
    with pytest.raises(BrokenRows) as caught:
        SCHEMA.decode_oip(json.dumps(document).encode())
    (finding,) = caught.value.findings
    assert (finding.row, finding.rule, finding.value) == (1, "wind.min", -2)
    document["parameters"] = {"partial": True}
    assert SCHEMA.decode_oip(json.dumps(document).encode()).rows.count == 1


def test_findings_of_binary_tensors_have_their_values() -> None:
    schema = InputSchema(SPEC, ["flight", "gate"])
    assert schema.title == "Flights 1.2.0"
    values = [7, 0]
    data = write_tensor("INT64", values)
    inputs = [
        {
            "name": "flight",
            "shape": [2],
            "datatype": "INT64",
            "parameters": {"binary_data_size": len(data)},
        }
    ]
    head = json.dumps({"inputs": inputs}).encode()
    with pytest.raises(BrokenRows) as caught:
        schema.decode_oip(head + data, json_length=len(head))
    (finding,) = caught.value.findings
    assert (finding.rule, finding.value) == ("flight.min", 0)
    body = b'{"inputs": [{"name": "flight", "shape": [1], "datatype": "INT64", "data": [7.0]}]}'
    assert schema.decode_oip(body).rows.columns == ([7], ["A1"])


def test_a_rule_shows_the_values_of_its_columns_also_those_that_are_missing() -> None:
    spec = declare(
        {
            "a": tm.Int64(),
            "b": tm.Int64(optional=True, default=5),
            "less": tm.rule(pl.col("a") < pl.col("b")),
        }
    )
    body = b'{"inputs": [{"name": "a", "shape": [1], "datatype": "INT64", "data": [9]}]}'
    with pytest.raises(BrokenRows) as caught:
        InputSchema(spec).decode_oip(body)
    assert caught.value.findings[0].value == {"a": 9, "b": None}


def test_one_row_becomes_the_frame_that_its_columns_would_be() -> None:
    spec = declare({"n": tm.Int64(), "x": tm.Float64(nullable=True), "kind": tm.Enum(["a", "b"])})
    schema = InputSchema(spec)
    typed: dict[str, Any] = {"n": pl.Int64, "x": pl.Float64, "kind": pl.Enum(["a", "b"])}
    wanted = pl.DataFrame({"n": [2], "x": [None], "kind": ["b"]}, schema=typed)
    found = schema.decode_rows(encoded({"n": 2, "x": None, "kind": "b"}))
    assert_frame_equal(schema.frame(found.rows), wanted)
    # Numbers of binary tensors are arrays of floats, also those of integers.
    array: Any = np.array([2.0])
    rows = RequestRows(1, (array, [None], ["b"]))
    assert_frame_equal(schema.frame(rows), wanted)


_PLAIN = declare(
    {
        "x": tm.Float64(nullable=True),
        "n": tm.Int64(nullable=True),
        "yes": tm.Bool(nullable=True),
        "name": tm.String(nullable=True),
        "kind": tm.Enum(["a", "b"], nullable=True),
        "day": tm.Date(nullable=True),
    }
)
_CELLS: list[st.SearchStrategy[Any]] = [
    st.floats(),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    st.text(max_size=3),
    st.sampled_from(["a", "b"]),
    st.dates(),
]


@given(st.lists(st.tuples(*(st.none() | cells for cells in _CELLS)), min_size=1, max_size=70))
def test_rows_become_the_frame_that_their_columns_would_be(rows: list[tuple[Any, ...]]) -> None:
    columns = tuple(map(list, zip(*rows, strict=True)))
    wanted = pl.DataFrame(
        [
            typed_series(column.name, values, polars_type(column.dtype))
            for column, values in zip(_PLAIN.columns, columns, strict=True)
        ]
    )
    found = InputSchema(_PLAIN).frame(RequestRows(len(rows), columns))
    assert_frame_equal(found, wanted, check_exact=True)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"hight": 5, "width": 1}, "the row has no 'height' (did you mean 'hight'?)"),
        ({}, "the row has no 'height'"),
        ({"instances": []}, "the row has no 'height' (there is: instances)"),
        (
            {"Height (cm)": 5},
            "the row has no 'height': it has 'Height (cm)', which is the name in files",
        ),
        ({"height": None}, "values are missing"),
    ],
)
def test_a_field_that_a_row_lacks_isnt_a_missing_value(row: dict[str, Any], says: str) -> None:
    columns = {"height": tm.Float64(source="Height (cm)"), "width": tm.Int64(nullable=True)}
    spec = replace(declare(columns), unknown_columns="drop")
    with pytest.raises(BrokenRows) as caught:
        InputSchema(spec).decode_rows(json.dumps(row).encode())
    [finding] = caught.value.findings
    assert (finding.rule, finding.value, finding.message) == ("height.null", None, says)
    assert str(finding) == f"row 0: height.null: {says}"


def test_names_of_files_are_refused_with_those_of_requests() -> None:
    schema = InputSchema(declare({"height": tm.Float64(source="Height (cm)")}))
    with pytest.raises(
        BrokenRows, match=r"no column 'Height \(cm\)', which is the name of 'height' in files"
    ):
        schema.decode_rows(b'{"Height (cm)": 5}')
