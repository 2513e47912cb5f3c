"""Read infer requests and named rows exactly, with a message for whatever is wrong with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.errors import BadRequest, BrokenRows, PayloadTooLarge
from tidemill.serving.rows import RequestLimits, RowFinding, WantedOutput
from tidemill.serving.strict_json import Number, kind_of, parse_json, plain, require_object
from tidemill.serving.tensors import BINARY_SIZE, BYTES, DATATYPES, accepted_datatypes, read_tensor

# Among how many fields of a row, and of which length, one is looked for that may be meant.
_FEW, _LONG = 8, 64
# The most numbers and objects of a request beside those of its rows.
_MOST_OTHERS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """An input of an infer request: parsed JSON values, an array, or a list of bytes."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    values: Any
    is_binary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LooseRequest:
    """An infer request whose columns aren't checked yet."""

    count: int
    columns: tuple[Tensor | None, ...]
    id: str | None
    outputs: tuple[WantedOutput, ...] | None
    parameters: Mapping[str, Any]


def read_infer_body(
    body: bytes,
    spec: ContractSpec,
    columns: Sequence[Column],
    limits: RequestLimits,
    *,
    json_length: int | None = None,
) -> LooseRequest:
    """Read an infer request; `json_length` is the length of its JSON if binary data follows.

    A column without a tensor is None, which only optional ones may be. Raises BadRequest, PayloadTooLarge.
    """
    head, tail = _split(body, json_length)
    most = _most_values(columns, limits)
    document = require_object(parse_json(head, depth=limits.depth, most=most), "the body")
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise BadRequest("the body needs a list 'inputs' with a tensor per column")
    tensors = _tensors(inputs, tail)
    placed, count = _place(tensors, spec, columns)
    if count > limits.rows:
        raise PayloadTooLarge.of_rows(count, limits.rows)
    request_id = document.get("id")
    if request_id is not None and (
        not isinstance(request_id, str) or isinstance(request_id, Number)
    ):
        raise BadRequest(f"'id' is {kind_of(request_id)}, not text")
    return LooseRequest(
        count=count,
        columns=placed,
        id=None if request_id is None else request_id.encode(errors="replace").decode(),
        outputs=_outputs(document.get("outputs")),
        parameters=_parameters(document.get("parameters"), "the request"),
    )


def _most_values(columns: Sequence[Column], limits: RequestLimits) -> int:
    """Return how many numbers and objects a request may have; a nested column has any number of them."""
    if any(column.dtype.is_nested for column in columns):
        return limits.bytes
    return (limits.rows + 1) * (len(columns) + 1) + _MOST_OTHERS


def _split(body: bytes, json_length: int | None) -> tuple[bytes, bytes]:
    if json_length is None:
        return body, b""
    if not 0 < json_length <= len(body):
        raise BadRequest(
            f"Inference-Header-Content-Length is {json_length:,}, but the body has {len(body):,} bytes"
        )
    return body[:json_length], body[json_length:]


def _tensors(inputs: Sequence[Any], tail: bytes) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    at = 0
    for number, given in enumerate(inputs):
        item = require_object(given, f"inputs[{number}]")
        tensor, used = _tensor(item, number, tail[at:] if at else tail)
        at += used
        if tensor.name in found:
            raise BadRequest(f"there are two inputs {tensor.name!r}")
        found[tensor.name] = tensor
    if at != len(tail):
        raise BadRequest(
            f"the body has {len(tail):,} bytes of binary data, but the inputs describe {at:,}: set "
            f"{BINARY_SIZE!r} of each binary input"
        )
    return found


def _tensor(item: Mapping[str, Any], number: int, tail: bytes) -> tuple[Tensor, int]:
    """Return a tensor, and how many bytes of the binary data it uses."""
    name = item.get("name")
    if not isinstance(name, str) or isinstance(name, Number) or not name:
        raise BadRequest(f"inputs[{number}] needs a 'name'")
    shape = _shape(name, item.get("shape"))
    datatype = item.get("datatype")
    if datatype not in DATATYPES:
        listed = ", ".join(DATATYPES)
        raise BadRequest(f"input {name!r} has datatype {plain(datatype)!r}, not one of {listed}")
    size = _parameters(item.get("parameters"), f"input {name!r}").get(BINARY_SIZE)
    count = _product(shape)
    if size is None:
        values = _flat(name, item.get("data"), shape)
        if len(values) != count:
            raise BadRequest(
                f"input {name!r} has {len(values):,} values, but shape {list(shape)} has {count:,}"
            )
        return Tensor(name=name, shape=shape, datatype=str(datatype), values=values), 0
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= len(tail):
        raise BadRequest(
            f"input {name!r} has {BINARY_SIZE} {size!r}, but {len(tail):,} bytes of binary data are left"
        )
    if "data" in item:
        raise BadRequest(f"input {name!r} has both 'data' and {BINARY_SIZE!r}: send one of them")
    values = read_tensor(name, str(datatype), count, tail[:size])
    tensor = Tensor(name=name, shape=shape, datatype=str(datatype), values=values, is_binary=True)
    return tensor, size


def _shape(name: str, given: Any) -> tuple[int, ...]:
    if not isinstance(given, list) or not given or len(given) > 8:
        raise BadRequest(f"input {name!r} needs a 'shape', such as [1]")
    if not all(isinstance(item, Number) and item.isdecimal() and len(item) < 10 for item in given):
        raise BadRequest(f"input {name!r} has shape {plain(given)}, which isn't a list of sizes")
    return tuple(map(int, given))


def _product(shape: Sequence[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _flat(name: str, data: Any, shape: Sequence[int]) -> list[Any]:
    """Return the values of a tensor, which may be nested as its shape."""
    if not isinstance(data, list):
        raise BadRequest(f"input {name!r} needs a list 'data'")
    for _ in shape[1:]:
        if not data or not all(isinstance(item, list) for item in data):
            break
        data = [item for row in data for item in row]
    return list(data)


def _parameters(given: Any, what: str) -> dict[str, Any]:
    if given is None:
        return {}
    found = require_object(given, f"'parameters' of {what}")
    parameters = {}
    for name, value in found.items():
        if not isinstance(value, str | bool):
            raise BadRequest(
                f"parameter {name!r} of {what} is {kind_of(value)}, not text, a number, true or false"
            )
        parameters[name] = plain(value) if isinstance(value, Number) else value
    return parameters


def _outputs(given: Any) -> tuple[WantedOutput, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list):
        raise BadRequest(f"'outputs' is {kind_of(given)}, not a list")
    found = []
    for number, item in enumerate(given):
        name = require_object(item, f"outputs[{number}]").get("name")
        if not isinstance(name, str) or isinstance(name, Number):
            raise BadRequest(f"outputs[{number}] needs a 'name'")
        parameters = _parameters(item.get("parameters"), f"output {name!r}")
        found.append(WantedOutput(name, parameters.get("binary_data") is True))
    return tuple(found)


def _place(
    tensors: Mapping[str, Tensor], spec: ContractSpec, columns: Sequence[Column]
) -> tuple[tuple[Tensor | None, ...], int]:
    """Return the tensors of the columns, and the number of rows."""
    matrix = _matrix(tensors, columns)
    if matrix is not None:
        return _split_matrix(matrix, columns), matrix.shape[0]
    names = [column.name for column in columns]
    for name in tensors:
        if name not in names and name not in spec.names and spec.unknown_columns == "fail":
            shown = plain(name)
            raise BadRequest(
                f"the model has no input {shown!r} ({did_you_mean(shown, names)}); its inputs are "
                f"{_listed(names)}"
            )
    placed = tuple(_tensor_of(column, tensors) for column in columns)
    counts = {tensor.name: tensor.shape[0] for tensor in placed if tensor is not None}
    if len(set(counts.values())) > 1:
        least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        raise BadRequest(
            f"input {least!r} has {counts[least]:,} rows, but input {most!r} has {counts[most]:,}"
        )
    count = next(iter(counts.values()), 0)
    if not count:
        raise BadRequest("the request has no rows")
    return placed, count


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")


def _tensor_of(column: Column, tensors: Mapping[str, Tensor]) -> Tensor | None:
    tensor = tensors.get(column.name)
    if tensor is None:
        if column.optional:
            return None
        raise BadRequest(f"input {column.name!r} is missing")
    if len(tensor.shape) > 2 or (len(tensor.shape) == 2 and tensor.shape[1] != 1):
        raise BadRequest(
            f"input {column.name!r} has shape {list(tensor.shape)}, but a column has [rows] or [rows, 1]"
        )
    accepted = accepted_datatypes(column.dtype)
    if tensor.datatype not in accepted:
        raise BadRequest(
            f"input {column.name!r} is {accepted[0]}, but the request sends {tensor.datatype}"
        )
    return tensor


def _matrix(tensors: Mapping[str, Tensor], columns: Sequence[Column]) -> Tensor | None:
    """Return the only tensor if it holds all columns; they must all be numbers."""
    if len(tensors) != 1 or len(columns) < 2:
        return None
    (tensor,) = tensors.values()
    if len(tensor.shape) != 2 or tensor.shape[1] != len(columns) or tensor.datatype == BYTES:
        return None
    return tensor if tensor.shape[0] and all(c.dtype.is_number for c in columns) else None


def _split_matrix(matrix: Tensor, columns: Sequence[Column]) -> tuple[Tensor, ...]:
    rows, width = matrix.shape
    return tuple(
        Tensor(
            name=column.name,
            shape=(rows,),
            datatype=matrix.datatype,
            values=matrix.values[at::width],
            is_binary=matrix.is_binary,
        )
        for at, column in enumerate(columns)
    )


def read_rows_body(
    body: bytes, spec: ContractSpec, columns: Sequence[Column], limits: RequestLimits
) -> list[Mapping[str, Any]]:
    """Read a list of objects, or one object, with the keys of a contract.

    Raises BadRequest, PayloadTooLarge, and BrokenRows for keys that the contract doesn't have.
    """
    most = _most_values(spec.columns, limits)
    document = parse_json(body, depth=limits.depth, most=most)
    given = document if isinstance(document, list) else [document]
    if not given:
        raise BadRequest("the request has no rows")
    if len(given) > limits.rows:
        raise PayloadTooLarge.of_rows(len(given), limits.rows)
    rows = [require_object(item, f"row {number}") for number, item in enumerate(given)]
    _refuse_unknown(rows, spec, columns, limits)
    return rows


def absent_field(row: Mapping[str, Any], column: Column, known: Collection[str]) -> str:
    """Say that a row lacks a field, and which of its other fields may be meant."""
    says = f"the row has no {column.name!r}"
    others = [plain(name) for name in islice((n for n in row if n not in known), _FEW)]
    if column.source in others:
        return f"{says}: it has {column.source!r}, which is the name in files"
    near = [name for name in others if len(name) <= _LONG]
    return f"{says} ({did_you_mean(column.name, near)})" if near else says


def _refuse_unknown(
    rows: Sequence[Mapping[str, Any]],
    spec: ContractSpec,
    columns: Sequence[Column],
    limits: RequestLimits,
) -> None:
    if spec.unknown_columns != "fail":
        return
    known = {*spec.names}
    names = [column.name for column in columns]
    unknown = [
        (number, name) for number, row in enumerate(rows) for name in row if name not in known
    ]
    if not unknown:
        return
    sources = {column.source: column.name for column in columns if column.source}

    def message(name: str) -> str:
        says = f"{spec.name} has no column {name!r}"
        if name in sources:
            return f"{says}, which is the name of {sources[name]!r} in files"
        return f"{says} ({did_you_mean(name, names)})"

    findings = [
        RowFinding(
            row=number,
            field=plain(name),
            rule="unknown_columns",
            value=plain(rows[number][name]),
            message=message(plain(name)),
        )
        for number, name in unknown[: limits.findings]
    ]
    raise BrokenRows(
        spec.title,
        rows=len(rows),
        rejected=len({number for number, _ in unknown}),
        findings=findings,
        count=len(unknown),
    )
