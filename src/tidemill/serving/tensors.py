"""The data types of the Open Inference Protocol: by column type, and as binary data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tidemill.contracts.dtype import DType
from tidemill.serving.errors import BadRequest

_NUMPY: Mapping[str, str] = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
BYTES = "BYTES"
# The parameter of a tensor with the number of its bytes.
BINARY_SIZE = "binary_data_size"
DATATYPES = (*_NUMPY, BYTES)
NUMBERS = tuple(name for name in _NUMPY if name != "BOOL")
_LENGTH = 4
_OWN: Mapping[str, str] = {
    "Boolean": "BOOL",
    "Float16": "FP32",
    "Float32": "FP32",
    "Float64": "FP64",
    "Decimal": "FP64",
    "Duration": "FP64",
    "Int128": "INT64",
    "UInt128": "UINT64",
}


def datatype_of(dtype: DType) -> str:
    """Return the data type under which a column is listed in the metadata of a model."""
    if dtype.name in _OWN:
        return _OWN[dtype.name]
    return dtype.name.upper() if dtype.name.upper() in _NUMPY else BYTES


def accepted_datatypes(dtype: DType) -> tuple[str, ...]:
    """Return the data types in which a request may send a column; its values are checked anyway."""
    own = datatype_of(dtype)
    if own == BYTES:
        return (BYTES,)
    return (own, *(name for name in (*NUMBERS, "BOOL") if name != own))


def read_tensor(name: str, datatype: str, count: int, data: bytes) -> Any:
    """Return the items of binary data: an array of numbers, or a list of bytes.

    Raises BadRequest if the data has another size.
    """
    if datatype == BYTES:
        return _read_texts(name, count, data)
    kind = np.dtype(_NUMPY[datatype])
    if len(data) != count * kind.itemsize:
        raise BadRequest(
            f"input {name!r} has {len(data):,} bytes, but {count:,} items of {datatype} have "
            f"{count * kind.itemsize:,}"
        )
    if datatype == "BOOL":
        # Any other byte than 0 is true; as a Boolean it would be undefined.
        return np.frombuffer(data, "u1") != 0
    return np.frombuffer(data, kind)


def _read_texts(name: str, count: int, data: bytes) -> list[bytes]:
    size = len(data) // count if count else 0
    if size >= _LENGTH and size * count == len(data):
        lengths: Any = np.ndarray((count,), "<u4", data, 0, (size,))
        if (lengths == size - _LENGTH).all():
            # As names of categories often are.
            return [data[at : at + size - _LENGTH] for at in range(_LENGTH, len(data) + 1, size)]
    items: list[bytes] = []
    at = 0
    for _ in range(count):
        start = at + _LENGTH
        if start > len(data):
            break
        at = start + int.from_bytes(data[at:start], "little")
        if at > len(data):
            break
        items.append(data[start:at])
    if len(items) != count or at != len(data):
        raise BadRequest(
            f"input {name!r} has {len(data):,} bytes, which aren't {count:,} items of BYTES: each is its "
            "length as 4 bytes (little-endian), and its bytes"
        )
    return items


def write_tensor(datatype: str, values: Sequence[Any]) -> bytes:
    """Return values as binary data; null becomes NaN, or an empty text."""
    if datatype != BYTES:
        return np.asarray(values, dtype=np.dtype(_NUMPY[datatype])).tobytes()
    parts: list[bytes] = []
    for value in values:
        item = b"" if value is None else str(value).encode()
        parts += (len(item).to_bytes(_LENGTH, "little"), item)
    return b"".join(parts)
