"""Arrays are accepted without the checker only if it accepts them as the same values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import tidemill as tm
from tests.support.contracts import declare
from tests.support.thoroughness import examples, thorough
from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.serving.errors import BadRequest, BrokenRows, RequestError
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.row_encoder import RowEncoder
from tidemill.serving.rows import RequestLimits
from tidemill.serving.tensors import BINARY_SIZE as SIZE
from tidemill.serving.tensors import read_tensor, write_tensor
from tidemill.workflow.model import ColumnEncoding

_maker = st.sampled_from(
    [tm.Float64, tm.Float64, tm.Float32, tm.Int64, tm.Int8, tm.UInt64, tm.Int128]
)
_bound = st.sampled_from([None, None, 0, -3, 5, 0.1])
_number = st.one_of(
    st.integers(-4, 6),
    st.floats(allow_infinity=True, allow_nan=True),
    st.sampled_from([0.1, float("nan"), -0.0, 2.0**53, 127, 128, 255, -1, 3e38, 1e39]),
)
_KINDS = {"FP64": "f8", "FP32": "f4", "INT64": "i8", "INT8": "i1", "UINT64": "u8", "BOOL": "?"}


@st.composite
def number_columns(draw: st.DrawFn) -> ContractSpec:
    columns = []
    for at in range(draw(st.integers(1, 4))):
        maker = draw(_maker)
        low, high = draw(_bound), draw(st.sampled_from([None, 6, 100]))
        is_float = maker in (tm.Float64, tm.Float32)
        low = low if is_float or low is None else int(low)
        kinds = draw(st.sampled_from([("min", "max"), ("min_exclusive", "max_exclusive")]))
        terms: dict[str, Any] = dict(zip(kinds, (low, high), strict=True))
        column = maker(nullable=draw(st.booleans()), **terms)
        columns.append(replace(column, name=f"c{at}"))
    if draw(st.integers(0, 4)) == 0:
        columns.append(replace(tm.Bool(), name="flag"))
    return ContractSpec(name="X", version="1.0.0", columns=tuple(columns))


def body_of(tensors: Sequence[tuple[str, str, list[int], bytes]]) -> tuple[bytes, int]:
    inputs = [
        {
            "name": name,
            "datatype": kind,
            "shape": shape,
            "parameters": {"binary_data_size": len(data)},
        }
        for name, kind, shape, data in tensors
    ]
    head = json.dumps({"inputs": inputs}).encode()
    return head + b"".join(data for *_, data in tensors), len(head)


def array_bytes(kind: str, values: Sequence[Any]) -> bytes:
    """Numbers as binary data of a kind; those that it doesn't hold become others."""
    with np.errstate(all="ignore"):
        return np.array(values, "f8").astype(_KINDS[kind]).tobytes()


def assert_as_exact(schema: InputSchema, body: bytes, length: int | None) -> bool:
    found = schema.decode_oip_typed(body, json_length=length)
    if found is None:
        return False
    exact = schema.decode_oip_exactly(body, json_length=length)
    assert_frame_equal(schema.frame(found.rows), schema.frame(exact.rows))
    encoder = RowEncoder(schema.columns)
    assert encoder.matrix(found.rows).tobytes() == encoder.matrix(exact.rows).tobytes()
    assert (
        np.array(encoder.row(found.rows)).tobytes() == np.array(encoder.row(exact.rows)).tobytes()
    )
    return True


@thorough
@given(st.data())
@settings(max_examples=examples(100, 600), deadline=None)
def test_binary_tensors_are_decoded_as_exactly(data: st.DataObject) -> None:
    spec = data.draw(number_columns())
    count = data.draw(st.integers(1, 3))
    tensors = []
    for column in spec.columns:
        kind = data.draw(st.sampled_from([*_KINDS]))
        values = data.draw(st.lists(_number, min_size=count, max_size=count))
        tensors.append((column.name, kind, [count], array_bytes(kind, values)))
    assert_as_exact(InputSchema(spec), *body_of(tensors))


@thorough
@given(st.data())
@settings(max_examples=examples(100, 600), deadline=None)
def test_a_matrix_is_decoded_as_exactly(data: st.DataObject) -> None:
    spec = data.draw(number_columns())
    width, count = len(spec.columns), data.draw(st.integers(1, 3))
    kind = data.draw(st.sampled_from(["FP64", "FP32", "INT64"]))
    values = data.draw(st.lists(_number, min_size=width * count, max_size=width * count))
    schema = InputSchema(spec)
    tensor = ("any", kind, [count, width], array_bytes(kind, values))
    assert_as_exact(schema, *body_of([tensor]))
    listed = [None if value != value or abs(value) == float("inf") else value for value in values]
    document = {"name": "a:b", "shape": [count, width], "datatype": kind, "data": listed}
    assert_as_exact(schema, json.dumps({"inputs": [document], "id": "x"}).encode(), None)


SPEC = declare(
    {"a": tm.Float64(max=9), "b": tm.Int64(nullable=True), "c": tm.Bool(), "d": tm.String()}
)
SCHEMA = InputSchema(SPEC, limits=RequestLimits(rows=3))
GOOD = [
    ("a", "FP64", [2], array_bytes("FP64", [1.5, 2])),
    ("b", "INT64", [2, 1], array_bytes("INT64", [1, 2])),
    ("c", "BOOL", [2], array_bytes("BOOL", [1, 0])),
    ("d", "BYTES", [2], write_tensor("BYTES", ["größe", ""])),
]


def test_numbers_and_texts_are_decoded_without_the_checker() -> None:
    assert assert_as_exact(InputSchema(SPEC, ["a", "b", "c"]), *body_of(GOOD[:3]))
    body, length = body_of(GOOD)
    found = SCHEMA.decode_oip_typed(body, json_length=length)
    assert found is not None
    assert found.rows.columns[3] == ["größe", ""]
    exact = SCHEMA.decode_oip_exactly(body, json_length=length)
    assert_frame_equal(SCHEMA.frame(found.rows), SCHEMA.frame(exact.rows))


def changed(at: int, tensor: tuple[str, str, list[int], bytes]) -> tuple[bytes, int]:
    return body_of([*GOOD[:at], tensor, *GOOD[at + 1 :]])


@pytest.mark.parametrize(
    "given",
    [
        changed(0, ("a", "FP64", [2], array_bytes("FP64", [1.5, 10]))),
        changed(0, ("a", "INT64", [2], array_bytes("INT64", [1, 2]))),
        changed(0, ("a", "FP64", [3], array_bytes("FP64", [1, 2, 3]))),
        changed(1, ("b", "FP64", [2], array_bytes("FP64", [1.5, 2]))),
        changed(3, ("d", "BYTES", [2], write_tensor("BYTES", ["\ufdd0", ""]))),
        changed(3, ("d", "BYTES", [2], b"\x01\0\0\0\xff" + bytes(4))),
        changed(3, ("d", "FP64", [2], bytes(16))),
        (body_of(GOOD)[0] + b"x", body_of(GOOD)[1]),
        (body_of(GOOD)[0], 10),
        body_of(GOOD[::-1]),
        body_of([]),
        body_of([("a", "FP64", [4, 1], bytes(32)), *GOOD[1:]]),
    ],
)
def test_other_binary_requests_are_left_to_exact_decoding(given: tuple[bytes, int]) -> None:
    body, length = given
    assert SCHEMA.decode_oip_typed(body, json_length=length) is None


def test_data_beside_binary_data_and_repeated_keys_are_left_to_exact_decoding() -> None:
    body, length = body_of(GOOD)
    for old, new in (
        (b'"name": "a"', b'"name": "a", "data": [1]'),
        (b'"name": "a"', b'"name": "a", "name": "a"'),
        (b'"name": "a"', b'"name": "\\u003a"'),
        (b'"binary_data_size": 16', b'"binary_data_size": 1.5'),
    ):
        head = body[:length].replace(old, new, 1)
        assert SCHEMA.decode_oip_typed(head + body[length:], json_length=len(head)) is None
        with pytest.raises(RequestError):
            SCHEMA.decode_oip(head + body[length:], json_length=len(head))


def test_text_that_is_not_utf8_is_refused() -> None:
    body, length = changed(3, ("d", "BYTES", [2], b"\x01\0\0\0\xff" + bytes(4)))
    with pytest.raises(BadRequest, match="input 'd' has text that isn't UTF-8"):
        SCHEMA.decode_oip(body, json_length=length)


NUMBERS = InputSchema(declare({"a": tm.Float64(nullable=True), "b": tm.Int64(max=5)}))
MATRIX = {"name": "x", "shape": [2, 2], "datatype": "FP64", "data": [1.5, 2, None, 3]}


def matrix_body(**more: Any) -> bytes:
    return json.dumps({"inputs": [{**MATRIX, **more}]}).encode()


def test_null_in_a_matrix_is_null() -> None:
    found = NUMBERS.decode_oip_typed(matrix_body())
    assert found is not None
    assert found.rows.columns == ([1.5, None], [2, 3])


@pytest.mark.parametrize(
    "body",
    [
        matrix_body(shape=[2, 3]),
        matrix_body(data=[1, 2, 3]),
        matrix_body(data=[1, 6, 3, 4]),
        matrix_body(data=[1, None, 3, 4]),
        matrix_body(data=[1, 1.5, 3, 4]),
        matrix_body(datatype="BYTES"),
        matrix_body(parameters={"a": 1}),
        matrix_body(name="\ufdd0"),
        matrix_body(shape=[0, 2], data=[]),
        b'{"inputs": []}',
        b"[",
    ],
)
def test_other_matrices_are_left_to_exact_decoding(body: bytes) -> None:
    assert NUMBERS.decode_oip_typed(body) is None


def test_a_binary_matrix_must_fill_the_body() -> None:
    for shape, size in (([2, 2], 40), ([2, 3], 48), ([0, 2], 0), ([4], 32)):
        body, length = body_of([("x", "FP64", shape, bytes(size))])
        assert NUMBERS.decode_oip_typed(body, json_length=length) is None


def test_a_matrix_of_other_types_is_left_to_exact_decoding() -> None:
    body, length = body_of([("x", "BOOL", [1, 2], b"\x01\x01")])
    flags: list[Column] = [replace(tm.Bool(), name=name) for name in "ab"]
    schema = InputSchema(ContractSpec(name="X", version="1.0.0", columns=tuple(flags)))
    assert schema.decode_oip_typed(body, json_length=length) is None
    assert read_tensor("x", "BOOL", 2, b"\x01\x01").all()


def test_texts_alone_are_decoded_without_the_checker() -> None:
    schema = InputSchema(declare({"kind": tm.Enum(["a", "b"]), "day": tm.Date()}))
    for word, decoded in (("a", True), ("c", False)):
        days = write_tensor("BYTES", ["2013-03-07"])
        tensors = [
            ("kind", "BYTES", [1], write_tensor("BYTES", [word])),
            ("day", "BYTES", [1], days),
        ]
        body, length = body_of(tensors)
        assert (schema.decode_oip_typed(body, json_length=length) is not None) is decoded


@pytest.mark.parametrize(
    ("kind", "shown"), [(tm.Enum(["a"]), "'größe'"), (tm.Binary(max_length=2), "'7 bytes'")]
)
def test_findings_show_texts_of_binary_tensors(kind: Any, shown: str) -> None:
    schema = InputSchema(declare({"kind": kind}))
    body, length = body_of([("kind", "BYTES", [1], write_tensor("BYTES", ["größe"]))])
    with pytest.raises(BrokenRows, match=f"got {shown}"):
        schema.decode_oip_exactly(body, json_length=length)


def test_a_tensor_without_a_size_is_left_to_exact_decoding() -> None:
    head = b'{"id": "x", "inputs": [{"name": "a", "datatype": "FP64", "shape": [1]}]}'
    assert SCHEMA.decode_oip_typed(head, json_length=len(head)) is None


@pytest.mark.parametrize("width", [1, 2])
def test_integers_have_no_negative_zero(width: int) -> None:
    schema = InputSchema(declare({"a": tm.Int64(), "b": tm.Float64()}), ["a", "b"][:width])
    data = array_bytes("FP64", [-0.0])
    tensors = [(name, "FP64", [1], data) for name in "ab"[:width]]
    body, length = body_of(tensors)
    assert assert_as_exact(schema, body, length)
    if width == 2:
        assert assert_as_exact(schema, *body_of([("x", "FP64", [1, 2], data * 2)]))
        document = {"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [-0.0, -0.0]}
        assert assert_as_exact(schema, json.dumps({"inputs": [document]}).encode(), None)


KINDS = declare(
    {
        "kind": tm.Enum(["a", "bb", "größe"]),
        "x": tm.Float64(nullable=True, min=-3),
        "code": tm.String(regex="^[a-z]+$"),
        "n": tm.Int64(max=5),
    }
)
KIND_SCHEMA = InputSchema(KINDS)
ENCODER = RowEncoder(
    KIND_SCHEMA.columns,
    [
        ColumnEncoding(name="kind", kind="category", categories=("a", "bb")),
        ColumnEncoding(name="x", kind="number"),
        ColumnEncoding(name="code", kind="category", categories=("q", "r")),
        ColumnEncoding(name="n", kind="number"),
    ],
)


@given(st.data())
@settings(deadline=None)
def test_categories_among_numbers_are_decoded_and_encoded_as_exactly(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))

    def values(*among: Any) -> list[Any]:
        return data.draw(st.lists(st.sampled_from(among), min_size=count, max_size=count))

    kinds = values("a", "bb", *data.draw(st.sampled_from([["größe"], ["größe", "c"]])))
    tensors = [
        ("kind", "BYTES", [count], write_tensor("BYTES", kinds)),
        ("x", "FP64", [count], array_bytes("FP64", values(0.1, -0.0, 2.5, float("nan")))),
        ("code", "BYTES", [count], write_tensor("BYTES", values("q", "r", "qq", "rs"))),
        ("n", "INT32", [count], np.array(values(1, 5, -7), "<i4").tobytes()),
    ]
    body, length = body_of(tensors)
    found = KIND_SCHEMA.decode_oip_typed(body, json_length=length)
    assert (found is None) == ("c" in kinds)
    if found is None:
        return
    exact = KIND_SCHEMA.decode_oip_exactly(body, json_length=length)
    assert_frame_equal(KIND_SCHEMA.frame(found.rows), KIND_SCHEMA.frame(exact.rows))
    assert ENCODER.matrix(found.rows).tobytes() == ENCODER.matrix(exact.rows).tobytes()
    assert (
        np.array(ENCODER.row(found.rows)).tobytes() == np.array(ENCODER.row(exact.rows)).tobytes()
    )


def test_a_head_that_was_read_before_says_nothing_of_the_data() -> None:
    schema = InputSchema(SPEC, ["a", "d"])
    head, length = body_of([("a", "FP64", [1], bytes(8)), ("d", "BYTES", [1], bytes(5))])
    head = head[:length]
    for number, text in ((1.5, b"x"), (2.5, b"y"), (1.5, b"z")):
        data = array_bytes("FP64", [number]) + write_tensor("BYTES", [text.decode()])
        found = schema.decode_oip_typed(head + data, json_length=length)
        assert found is not None
        assert [list(column) for column in found.rows.columns] == [[number], [text.decode()]]
    good = array_bytes("FP64", [1.5]) + write_tensor("BYTES", ["x"])
    bad = array_bytes("FP64", [10.0]) + write_tensor("BYTES", ["x"])
    for data in (bad, good[:-1], good + b"x", b"", good[:8] + b"\2" + good[9:]):
        assert schema.decode_oip_typed(head + data, json_length=length) is None


def test_few_heads_are_remembered() -> None:
    schema = InputSchema(SPEC, ["a"])
    decoder, data = schema._binary, array_bytes("FP64", [1.5])
    for number in (*range(100), "x" * 20_000):
        tensor = {"name": "a", "shape": [1], "datatype": "FP64", "parameters": {SIZE: len(data)}}
        head = json.dumps({"id": str(number), "inputs": [tensor]}).encode()
        for _ in range(2):
            found = schema.decode_oip_typed(head + data, json_length=len(head))
            assert found is not None
            assert found.id == str(number)
        assert len(decoder._layouts) <= 64
    assert head not in decoder._layouts


def test_numbers_without_encodings_are_not_taken_for_texts() -> None:
    body, length = body_of(GOOD)
    found = SCHEMA.decode_oip_typed(body, json_length=length)
    assert found is not None
    with pytest.raises(ValueError, match="could not convert"):
        RowEncoder(SCHEMA.columns).matrix(found.rows)
