"""Decode infer requests whose numbers come as arrays: binary tensors, or one matrix of all columns.

As in `typed_bodies`, None means that the request must be decoded exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from types import GenericAlias
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, Struct, UnsetType

from tidemill.contracts.column import Column
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.column_forms import ColumnForm, Undecided
from tidemill.serving.errors import BadRequest
from tidemill.serving.number_columns import NumberColumns, are_number_columns
from tidemill.serving.rows import InferRequest, RequestLimits, RequestRows
from tidemill.serving.tensors import BINARY_SIZE, BYTES, read_tensor
from tidemill.serving.typed_bodies import (
    REFUSED,
    OutputForm,
    ParametersForm,
    colons_of,
    infer_request,
    may_decode,
    request_colons,
)

# Heads that are remembered, and the longest of them in bytes.
_KEPT_HEADS = 64
_LONGEST_HEAD = 16_384
# The types that a 64-bit float holds without loss, a 32-bit one, and integers.
_SINGLE = ("FP32", "INT8", "INT16", "UINT8", "UINT16")
_NARROW = ("FP64", "FP32", "INT8", "INT16", "INT32", "UINT8", "UINT16", "UINT32")
_WHOLE = (*_NARROW[2:], "INT64", "UINT64")


class _Tensor(Struct, gc=False):
    name: str
    shape: list[int]
    datatype: str
    parameters: ParametersForm = None
    data: Any = UNSET


class _Body(Struct, gc=False):
    inputs: list[_Tensor]
    id: str | None = None
    parameters: ParametersForm = None
    outputs: list[OutputForm] | None = None


class _NumberMatrix(Struct, gc=False):
    shape: list[int]
    data: list[float | None]
    name: str = ""
    datatype: str = ""


class _MatrixBody(Struct, gc=False):
    inputs: list[_NumberMatrix]
    id: str | None = None
    parameters: ParametersForm = None
    outputs: list[OutputForm] | None = None


_decode_head: Callable[[bytes], Any] = msgspec.json.Decoder(_Body).decode
_decode_matrix: Callable[[bytes], Any] = msgspec.json.Decoder(_MatrixBody).decode


def are_matrix_columns(columns: Sequence[Column]) -> bool:
    """Whether one matrix may hold all of these columns, and can be decoded here."""
    return (
        len(columns) > 1
        and all(column.dtype.is_number for column in columns)
        and are_number_columns(columns)
    )


class MatrixDecoder:
    """Decodes requests with one JSON tensor of all columns, which are all numbers."""

    def __init__(self, columns: Sequence[Column], limits: RequestLimits) -> None:
        self._numbers = NumberColumns(columns)
        self._width = len(columns)
        self._limits = limits
        self._whole = [at for at, c in enumerate(columns) if not c.dtype.name.startswith("Float")]

    def decode(self, body: bytes) -> InferRequest | None:
        """Return the request; None if it must be decoded exactly."""
        if not may_decode(body):
            return None
        try:
            found = _decode_matrix(body)
        except REFUSED:
            return None
        if len(found.inputs) != 1:
            return None
        (tensor,) = found.inputs
        width = self._width
        count = len(tensor.data) // width
        if tensor.shape != [count, width] or count * width != len(tensor.data):
            return None
        more = body.count(b":") - 5
        if more and more != tensor.name.count(":") + request_colons(found):
            return None
        if not 0 < count <= self._limits.rows or tensor.datatype not in _NARROW + _WHOLE:
            return None
        # Null becomes NaN, which JSON can't have.
        numbers = np.array(tensor.data, dtype=np.float64).reshape(count, width).T
        if not self._numbers.accept(numbers, nan_is_null=True):
            return None
        self._numbers.clear_signs(numbers)
        columns = [tensor.data[at::width] for at in range(width)]
        for at in self._whole:
            columns[at] = [None if value is None else int(value) for value in columns[at]]
        return infer_request(found, RequestRows(count, tuple(columns), numbers=numbers))


@dataclass(frozen=True, slots=True)
class _Layout:
    """The head of a request, the number of its rows, where each tensor begins in the data, and its end.

    `runs` are neighbouring columns of numbers that come in one data type; none for a matrix.
    """

    found: Any
    count: int
    starts: list[int]
    runs: list[list[int]]


class BinaryDecoder:
    """Decodes requests whose tensors are all binary: one per column, or one matrix of numbers."""

    def __init__(self, forms: Sequence[ColumnForm], limits: RequestLimits) -> None:
        columns = [form.column for form in forms]
        self._forms = forms
        self._names = [column.name for column in columns]
        self._limits = limits
        self._width = len(forms)
        self._least_colons = 1 + 5 * self._width + sum(name.count(":") for name in self._names)
        self._text_places = [at for at, form in enumerate(forms) if form.holds_text]
        plain = [column for column in columns if are_number_columns([column])]
        self.is_possible = len(plain) + len(self._text_places) == len(forms)
        self._is_matrix = are_matrix_columns(columns)
        self._number_places = [at for at, form in enumerate(forms) if not form.holds_text]
        self._number_runs = _neighbours(columns, self._number_places)
        self._fitting = [_fitting(column) for column in columns]
        self._numbers = NumberColumns(plain) if plain and self.is_possible else None
        self._layouts: dict[bytes, _Layout] = {}

    def decode(self, body: bytes, json_length: int) -> InferRequest | None:
        """Return the request; None if it must be decoded exactly."""
        head = body[:json_length]
        layout = self._layouts.get(head) or self._read_head(head)
        if layout is None or json_length + layout.starts[-1] != len(body):
            return None
        try:
            rows = self._rows(layout, body[json_length:])
        except (Undecided, BadRequest, UnicodeDecodeError):
            return None
        return None if rows is None else infer_request(layout.found, rows)

    def _read_head(self, head: bytes) -> _Layout | None:
        """Read where the tensors are, and remember it: the next request often has the same head."""
        if not self.is_possible or not may_decode(head):
            return None
        try:
            found = _decode_head(head)
        except REFUSED:
            return None
        colons = head.count(b":")
        # A tensor has at least a name, a shape, a data type, and parameters with its size.
        if not found.inputs or (colons != self._least_colons and colons != _head_colons(found)):
            return None
        try:
            layout = self._layout(found)
        except Undecided:
            return None
        if layout is not None and len(head) <= _LONGEST_HEAD:
            if len(self._layouts) >= _KEPT_HEADS:
                self._layouts.clear()
            self._layouts[head] = layout
        return layout

    def _layout(self, found: Any) -> _Layout | None:
        tensors: list[_Tensor] = found.inputs
        starts = [0, *accumulate(map(_size, tensors))]
        if [tensor.name for tensor in tensors] != self._names:
            return self._matrix_layout(found, starts)
        count = tensors[0].shape[0] if tensors[0].shape else 0
        shapes = ([count], [count, 1])
        if not self._may_have(count) or any(tensor.shape not in shapes for tensor in tensors):
            return None
        if not all(tensors[at].datatype in self._fitting[at] for at in self._number_places):
            return None
        if any(tensors[at].datatype != BYTES for at in self._text_places):
            return None
        return _Layout(found, count, starts, list(self._runs(tensors)))

    def _matrix_layout(self, found: Any, starts: list[int]) -> _Layout | None:
        tensor, width = found.inputs[0], self._width
        if len(found.inputs) != 1 or not self._is_matrix or len(tensor.shape) != 2:
            return None
        count = tensor.shape[0]
        if not self._may_have(count) or tensor.shape[1] != width:
            return None
        if not all(tensor.datatype in fitting for fitting in self._fitting):
            return None
        return _Layout(found, count, starts, [])

    def _may_have(self, count: int) -> bool:
        return 0 < count <= self._limits.rows

    def _rows(self, layout: _Layout, data: bytes) -> RequestRows | None:
        """Return the rows of one tensor per column, or of a matrix."""
        count, tensors, starts = layout.count, layout.found.inputs, layout.starts
        columns: list[Any] = [None] * self._width
        numbers = None
        if self._numbers is not None:
            read = self._read_numbers if layout.runs else self._read_matrix
            found = read(layout, data)
            if not self._numbers.accept(found):
                return None
            self._numbers.clear_signs(found)
            numbers = self._among_texts(found, count)
            for at in self._number_places:
                columns[at] = numbers[at]
        for at in self._text_places:
            part = data[starts[at] : starts[at + 1]]
            columns[at] = _texts(self._forms[at], tensors[at].name, count, part)
        return RequestRows(count, tuple(columns), numbers=numbers)

    def _among_texts(self, numbers: Any, count: int) -> Any:
        """The numbers in an array of all columns, with NaN for texts."""
        if not self._text_places:
            return numbers
        found = np.empty((self._width, count))
        found[self._number_places] = numbers
        found[self._text_places] = np.nan
        return found

    def _read_matrix(self, layout: _Layout, data: bytes) -> Any:
        (tensor,) = layout.found.inputs
        items = read_tensor(tensor.name, tensor.datatype, layout.count * self._width, data)
        return items.reshape(layout.count, self._width).T.astype(np.float64)

    def _read_numbers(self, layout: _Layout, data: bytes) -> Any:
        """Return the columns of numbers as one array; neighbours of one type are read at once."""
        count, starts, tensors = layout.count, layout.starts, layout.found.inputs
        found = np.empty((len(self._number_places), count))
        row = 0
        for run in layout.runs:
            tensor, size = tensors[run[0]], len(run)
            part = data[starts[run[0]] : starts[run[-1] + 1]]
            items = read_tensor(tensor.name, tensor.datatype, size * count, part)
            found[row : row + size] = items.reshape(size, count)
            row += size
        return found

    def _runs(self, tensors: Sequence[_Tensor]) -> Iterator[list[int]]:
        """Yield the places of neighbouring columns of numbers that come in one data type."""
        for run in self._number_runs:
            if len({tensors[at].datatype for at in run}) == 1:
                yield run
            else:
                yield from ([at] for at in run)


def _size(tensor: _Tensor) -> int:
    """Return the number of bytes of a tensor; Undecided if it isn't a plain binary one."""
    size = (tensor.parameters or {}).get(BINARY_SIZE)
    if type(size) is not int or size < 0 or not isinstance(tensor.data, UnsetType):
        raise Undecided
    return size


def _fitting(column: Column) -> tuple[str, ...]:
    """Return the data types whose numbers a float holds, as far as they may be values of a column.

    Greater integers than it holds are outside of the limits that are checked.
    """
    name = column.dtype.name
    if name == "Boolean":
        return ("BOOL",)
    if name == "Float32":
        return _SINGLE
    return _NARROW if name == "Float64" else _NARROW + _WHOLE


def _neighbours(columns: Sequence[Column], places: Sequence[int]) -> list[list[int]]:
    """Group the places of columns that follow each other and have one type."""
    runs: list[list[int]] = []
    for at in places:
        if runs and runs[-1][-1] == at - 1 and columns[at - 1].dtype == columns[at].dtype:
            runs[-1].append(at)
        else:
            runs.append([at])
    return runs


def _texts(form: ColumnForm, name: str, count: int, data: bytes) -> Sequence[Any]:
    """Return the values of a column of text; Undecided if the checker must decide."""
    # Neither the mark of a damaged cell, nor what else typed decoding of JSON rules out.
    if not may_decode(data):
        raise Undecided
    items = read_tensor(name, BYTES, count, data)
    distinct = list(set(items))
    if 2 * len(distinct) > count:
        return _values(form, [item.decode() for item in items])
    # As of most columns with categories: each value is decided once.
    values = dict(zip(distinct, _values(form, [item.decode() for item in distinct]), strict=True))
    return [values[item] for item in items]


def _values(form: ColumnForm, texts: list[str]) -> Sequence[Any]:
    try:
        values = msgspec.convert(texts, type=GenericAlias(list, (form.json_type,)))
    except msgspec.ValidationError:
        raise Undecided from None
    return values if form.convert is None else form.convert(values)


def _head_colons(found: Any) -> int:
    colons = 1 + request_colons(found)
    for tensor in found.inputs:
        colons += 3 + tensor.name.count(":") + tensor.datatype.count(":")
        if tensor.parameters is not None:
            colons += 1 + colons_of(tensor.parameters)
    return colons
