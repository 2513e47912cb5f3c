"""The parts of an answered request: decoding by the contract, encoding for the model, writing the reply.

`python -m bench.serving_parts [PART...]` prints a table and writes results/serving_parts.json. The contract
has 20 columns: 17 floats with bounds, of which 6 are nullable, 2 integers and an Enum. Times are the least
CPU time per call of this thread, in microseconds; goals are ratios to a plain decode of the same bytes.
"""

from __future__ import annotations

import json
import sys
import time
import timeit
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

import tidemill as tm
from bench.common import Row, drive
from tidemill.contracts.declaration import DeclaredContract
from tidemill.serving.answers import AnswerForm, ServedVersion
from tidemill.serving.errors import BrokenRows
from tidemill.serving.input_schema import InputSchema
from tidemill.serving.oip import InferReplies
from tidemill.serving.row_encoder import RowEncoder
from tidemill.serving.rows import InferRequest
from tidemill.serving.tensors import datatype_of, write_tensor
from tidemill.workflow.model import ColumnEncoding

PORTS = ("EWR", "JFK", "LGA")
COLUMNS: dict[str, Any] = {
    **{f"f{at}": tm.Float64(min=-100, max=100, nullable=at % 3 == 0) for at in range(17)},
    "hour": tm.Int64(min=0, max=23),
    "distance": tm.Int64(min=1),
    "origin": tm.Enum(PORTS),
}
RULE = {"far": tm.rule(pl.col("distance") > pl.col("f1"))}
REPEATS = 9


def contract(name: str, body: Mapping[str, Any]) -> InputSchema:
    made: Any = type(name, (DeclaredContract,), dict(body), version="1.0.0")
    return InputSchema(made.__tidemill_contract__)


SCHEMA = contract("Flights", COLUMNS)
RULED = contract("Ruled", {**COLUMNS, **RULE})
NUMBERS = contract("Numbers", {name: c for name, c in COLUMNS.items() if name != "origin"})


def rows_of(count: int) -> list[dict[str, Any]]:
    """Rows that the contract accepts."""
    draw = np.random.default_rng(count)
    return [
        {
            **{f"f{at}": round(float(draw.uniform(-100, 100)), 4) for at in range(17)},
            "hour": int(draw.integers(0, 24)),
            "distance": int(draw.integers(101, 5000)),
            "origin": str(draw.choice(PORTS)),
        }
        for _ in range(count)
    ]


def infer_body(schema: InputSchema, rows: list[dict[str, Any]]) -> bytes:
    inputs = [
        {
            "name": column.name,
            "shape": [len(rows)],
            "datatype": datatype_of(column.dtype),
            "data": [row[column.name] for row in rows],
        }
        for column in schema.columns
    ]
    return json.dumps({"inputs": inputs}, separators=(",", ":")).encode()


def binary_body(schema: InputSchema, rows: list[dict[str, Any]]) -> tuple[bytes, int]:
    inputs, tail = [], []
    for column in schema.columns:
        kind = datatype_of(column.dtype)
        data = write_tensor(kind, [row[column.name] for row in rows])
        shape, size = [len(rows)], {"binary_data_size": len(data)}
        inputs.append({"name": column.name, "shape": shape, "datatype": kind, "parameters": size})
        tail.append(data)
    head = json.dumps({"inputs": inputs}, separators=(",", ":")).encode()
    return head + b"".join(tail), len(head)


def matrix_body(rows: list[dict[str, Any]]) -> tuple[bytes, int]:
    names = NUMBERS.names
    data = np.array([[row[name] for name in names] for row in rows]).tobytes()
    size = {"binary_data_size": len(data)}
    tensor = {"name": "x", "shape": [len(rows), len(names)], "datatype": "FP64", "parameters": size}
    head = json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()
    return head + data, len(head)


def cost(call: Callable[[], object], seconds: float = 0.05) -> float:
    """Return the least CPU time of a call in microseconds."""
    timer = timeit.Timer(call, timer=time.thread_time)
    once = timer.timeit(3) / 3
    number = max(1, int(seconds / max(once, 1e-7)))
    return min(timer.repeat(REPEATS, number)) / number * 1e6


def row(name: str, value: float, plain: float | None = None, goal: float | None = None) -> Row:
    if plain is None:
        return Row(name=name, value=value, unit="us")
    return Row(
        name=name,
        value=value / plain,
        unit="x",
        goal=goal,
        baseline=f"{value:.1f} us against {plain:.1f} us for a plain decode of its JSON",
    )


def typed(found: InferRequest | None) -> InferRequest:
    """Return a request that was decoded without the checker."""
    if found is None:
        raise RuntimeError("the body was left to exact decoding")
    return found


def decode() -> list[Row]:
    """JSON and binary requests against untyped decodes of the same JSON rows."""
    plain = msgspec.json.Decoder().decode
    found: list[Row] = []
    for count in (1, 100):
        rows = rows_of(count)
        body, named = infer_body(SCHEMA, rows), json.dumps(rows).encode()
        binary, length = binary_body(SCHEMA, rows)
        matrix, head = matrix_body(rows)
        typed(SCHEMA.decode_oip_typed(body))
        typed(SCHEMA.decode_rows_typed(named))
        typed(SCHEMA.decode_oip_typed(binary, json_length=length))
        typed(NUMBERS.decode_oip_typed(matrix, json_length=head))
        base, says = cost(partial(plain, body)), f"{count} row{'s' * (count > 1)}"
        found += [
            row(f"decode OIP JSON, {says}", cost(partial(SCHEMA.decode_oip, body)), base, 2.5),
            row(
                f"decode named rows, {says}",
                cost(partial(SCHEMA.decode_rows, named)),
                cost(partial(plain, named)),
                6.0 if count == 1 else 1.5,
            ),
            row(
                f"decode 20 binary tensors, {says}",
                cost(partial(SCHEMA.decode_oip, binary, json_length=length)),
                base,
                None if count == 1 else 2.0,
            ),
            row(
                f"decode a binary matrix, {says}",
                cost(partial(NUMBERS.decode_oip, matrix, json_length=head)),
                base,
                None if count == 1 else 0.5,
            ),
        ]
    return found


def encode() -> list[Row]:
    """Floats for the model, and replies."""
    origin = ColumnEncoding(name="origin", kind="category", categories=PORTS)
    encodings = [ColumnEncoding(name=name, kind="number") for name in SCHEMA.names[:-1]]
    encoder = RowEncoder(SCHEMA.columns, [*encodings, origin])
    form = AnswerForm()
    served = ServedVersion(
        model="delays", version="a1b2c3", contract="Flights 1.0.0", watermark="x"
    )
    replies = InferReplies(served, form)
    one = SCHEMA.decode_oip(infer_body(SCHEMA, rows_of(1)))
    many = SCHEMA.decode_oip(infer_body(SCHEMA, rows_of(100)))
    values = np.arange(100) / 7
    binary = InferRequest(rows=many.rows, binary_output=True)
    return [
        row("encode a row as a list", cost(partial(encoder.row, one.rows))),
        row("encode 100 rows as a matrix", cost(partial(encoder.matrix, many.rows))),
        row("reply JSON, 1 row", cost(lambda: replies.reply(form.one(1.5), one))),
        row("reply JSON, 100 rows", cost(lambda: replies.reply(form.many(values), many))),
        row("reply binary, 100 rows", cost(lambda: replies.reply(form.many(values), binary))),
    ]


def exact() -> list[Row]:
    """Requests that the contract's checker decides about: rules over columns, and refusals."""
    body = json.dumps(rows_of(1)).encode()
    bad = json.dumps([{**rows_of(1)[0], "hour": 99}]).encode()

    def refuse() -> None:
        try:
            SCHEMA.decode_rows(bad)
        except BrokenRows:
            return
        raise RuntimeError("a bad row was accepted")

    typed(RULED.decode_rows_typed(body))
    return [
        row("decode a row with a tm.rule", cost(partial(RULED.decode_rows, body))),
        row("decode a row exactly", cost(partial(SCHEMA.decode_rows_exactly, body))),
        row("refuse a row", cost(refuse)),
    ]


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    return {"decode": decode, "encode": encode, "exact": exact}


def main(chosen: list[str]) -> None:
    drive("serving_parts", chosen, parts_of)


if __name__ == "__main__":
    main(sys.argv[1:])
