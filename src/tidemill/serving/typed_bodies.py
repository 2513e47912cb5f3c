"""Decode JSON bodies into typed columns in one pass, without Polars.

A decoder returns None for a body that it doesn't accept, whatever the reason: the exact reading of
`loose_bodies` and the contract's checker decide then.

msgspec keeps the last of duplicate keys. A body has no duplicate key if it has as many colons as the decoded
keys and texts: a key has exactly one colon after it, and colons can't be missing from the body unless one is
written as an escape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, time
from functools import reduce
from operator import or_
from types import GenericAlias
from typing import Any, Literal

import msgspec
from msgspec import Struct

from tidemill.contracts.text_format import DAMAGED
from tidemill.serving.column_forms import ColumnForm, Undecided
from tidemill.serving.rows import InferRequest, Parameters, RequestLimits, RequestRows, WantedOutput
from tidemill.serving.tensors import accepted_datatypes

# The parameters of a request, a tensor or an output.
ParametersForm = dict[str, str | int | float | bool] | None
REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_DAMAGED = DAMAGED.encode()
# msgspec refuses names with such characters.
_NO_KEY = re.compile(r'["\\\x00-\x1f]')
_astuple = msgspec.structs.astuple


class OutputForm(Struct):
    """An output that a request names, as JSON has it."""

    name: str
    parameters: ParametersForm = None


def are_typed(forms: Sequence[ColumnForm]) -> bool:
    """Whether requests with these columns can be decoded here."""
    return all(
        form.json_type is not None and _NO_KEY.search(form.column.name) is None for form in forms
    )


class ColumnDecoder:
    """Turns decoded columns into rows; shared by both kinds of bodies."""

    def __init__(self, forms: Sequence[ColumnForm], limits: RequestLimits) -> None:
        self._converts = tuple(
            (at, form.convert) for at, form in enumerate(forms) if form.convert is not None
        )
        self._texts = tuple(at for at, form in enumerate(forms) if form.holds_text)
        self.limits = limits

    def colons(self, columns: Sequence[Sequence[Any]]) -> int:
        """Count the colons in the texts of columns, as they were decoded."""
        return sum(
            value.count(":") for at in self._texts for value in columns[at] if value is not None
        )

    def rows(self, count: int, columns: list[Any]) -> RequestRows | None:
        """Convert columns to the types of the contract; None if its checker must decide."""
        try:
            for at, convert in self._converts:
                columns[at] = convert(columns[at])
        except Undecided:
            return None
        return RequestRows(count, tuple(columns))


def may_decode(body: bytes) -> bool:
    """Whether a body has none of the notations that typed decoding would read differently."""
    if b"\\" in body:
        # An escape may spell a colon, or the mark of a damaged cell.
        if b"\\u003" in body or b"\\ufdd" in body.lower():
            return False
    elif body.isascii():
        return True
    return _DAMAGED not in body


class OipDecoder:
    """Decodes infer requests with one tensor per column, or one matrix of all columns."""

    def __init__(self, forms: Sequence[ColumnForm], limits: RequestLimits) -> None:
        self._columns = ColumnDecoder(forms, limits)
        self._limits = limits
        self._names = [form.column.name for form in forms]
        tensors = [_tensor_type(at, form) for at, form in enumerate(forms)]
        self._order = tensors
        self._forms = tuple(forms)
        self._width = len(tensors)
        self._fixed = 4 * self._width + 1 + sum(name.count(":") for name in self._names)
        self._decode = msgspec.json.Decoder(_body_type(reduce(or_, tensors))).decode

    def decode(self, body: bytes) -> InferRequest | None:
        if not may_decode(body):
            return None
        try:
            found: Any = self._decode(body)
        except REFUSED:
            return None
        inputs, fixed = found.inputs, self._fixed
        if list(map(type, inputs)) != self._order:
            inputs, missing = self._sorted(inputs)
            fixed -= sum(4 + name.count(":") for name in missing)
            if not inputs:
                return None
        shapes, _, columns, parameters = zip(*map(_astuple, inputs), strict=True)
        count = len(columns[0])
        shape = shapes[0]
        if not count or (shape != [count] and shape != [count, 1]):
            return None
        if shapes.count(shape) != self._width or set(map(len, columns)) != {count}:
            return None
        colons = body.count(b":") - fixed
        if colons and colons != self._more_colons(found, columns, parameters):
            return None
        if count > self._limits.rows:
            return None
        rows = self._columns.rows(count, list(columns))
        return None if rows is None else infer_request(found, rows)

    def _sorted(self, inputs: Sequence[Any]) -> tuple[list[Any], list[str]]:
        """Return the tensors in the order of the columns, and the names of optional ones that are missing.

        These are added, with their defaults. There are none if the checker must decide.
        """
        given = {type(tensor): tensor for tensor in inputs}
        if not inputs or len(given) != len(inputs):
            return [], []
        found, missing = [], []
        for kind, form in zip(self._order, self._forms, strict=True):
            tensor = given.get(kind)
            if tensor is None:
                if not form.column.optional:
                    return [], []
                shape, count = inputs[0].shape, len(inputs[0].data)
                own = accepted_datatypes(form.column.dtype)[0]
                tensor = kind(shape, own, [_written_default(form)] * count)
                missing.append(form.column.name)
            found.append(tensor)
        return found, missing

    def _more_colons(
        self, found: Any, columns: Sequence[Any], parameters: Sequence[ParametersForm]
    ) -> int:
        more = request_colons(found)
        for each in parameters:
            if each is not None:
                more += 1 + colons_of(each)
        return more + self._columns.colons(columns)


class RowsDecoder:
    """Decodes a list of objects with a key per column, or one such object."""

    def __init__(self, forms: Sequence[ColumnForm], limits: RequestLimits) -> None:
        self._columns = ColumnDecoder(forms, limits)
        self._limits = limits
        self._optional = tuple((at, form) for at, form in enumerate(forms) if _may_be_missing(form))
        names = [form.column.name for form in forms]
        self._fixed = len(names) + sum(name.count(":") for name in names)
        row = _row_type(forms)
        self._decode_list = msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]
        self._decode_one = msgspec.json.Decoder(row).decode

    def decode(self, body: bytes) -> RequestRows | None:
        if not may_decode(body):
            return None
        try:
            found = self._decode_list(body) if body[:1] == b"[" else [self._decode_one(body)]
        except REFUSED:
            return None
        count = len(found)
        if not 0 < count <= self._limits.rows:
            return None
        columns: list[Sequence[Any]] = list(zip(*map(_astuple, found), strict=True))
        colons = self._fixed * count
        for at, form in self._optional:
            if msgspec.UNSET in columns[at]:
                columns[at], missing = _with_defaults(columns[at], form)
                colons -= missing * (1 + form.column.name.count(":"))
        colons = body.count(b":") - colons
        if colons and colons != self._columns.colons(columns):
            return None
        return self._columns.rows(count, columns)


def _may_be_missing(form: ColumnForm) -> bool:
    """Whether a row may leave a column out: it gets the default, or null."""
    return form.column.optional or form.column.nullable


def _with_defaults(values: Sequence[Any], form: ColumnForm) -> tuple[Sequence[Any], int]:
    """Replace missing values by the default as a request would write it; return how many there are."""
    missing = values.count(msgspec.UNSET)
    default = _written_default(form)
    return [default if value is msgspec.UNSET else value for value in values], missing


def _written_default(form: ColumnForm) -> Any:
    """Return the default of an optional column, or null, as a request would write it."""
    default = form.column.default
    return default.isoformat() if isinstance(default, date | time) else default


def _row_type(forms: Sequence[ColumnForm]) -> type[Struct]:
    fields: list[Any] = []
    for at, form in enumerate(forms):
        if _may_be_missing(form):
            fields.append((f"column{at}", form.json_type | msgspec.UnsetType, msgspec.UNSET))
        else:
            fields.append((f"column{at}", form.json_type))
    names = {f"column{at}": form.column.name for at, form in enumerate(forms)}
    return msgspec.defstruct(
        "Row", fields, rename=names, forbid_unknown_fields=True, kw_only=True, gc=False
    )


def _tensor_type(at: int, form: ColumnForm) -> type[Struct]:
    datatypes: Any = Literal[accepted_datatypes(form.column.dtype)]
    fields: list[Any] = [
        ("shape", list[int]),
        ("datatype", datatypes),
        ("data", GenericAlias(list, (form.json_type,))),
        ("parameters", ParametersForm, None),
    ]
    return msgspec.defstruct(
        f"Tensor{at}", fields, tag_field="name", tag=form.column.name, gc=False
    )


def _body_type(tensor: Any) -> type[Struct]:
    fields: list[Any] = [
        ("inputs", list[tensor]),
        ("id", str | None, None),
        ("parameters", ParametersForm, None),
        ("outputs", list[OutputForm] | None, None),
    ]
    return msgspec.defstruct("InferBody", fields, gc=False)


def infer_request(found: Any, rows: RequestRows) -> InferRequest:
    """Return a decoded request with its rows."""
    if found.parameters is None and found.outputs is None:
        return InferRequest(rows=rows, id=found.id)
    parameters: Parameters = found.parameters or {}
    outputs = found.outputs
    return InferRequest(
        rows=rows,
        id=found.id,
        outputs=None if outputs is None else tuple(map(_wanted, outputs)),
        binary_output=parameters.get("binary_data_output") is True,
        parameters=parameters,
    )


def _wanted(output: OutputForm) -> WantedOutput:
    return WantedOutput(output.name, (output.parameters or {}).get("binary_data") is True)


def request_colons(found: Any) -> int:
    """Count the colons of what a request has beside its inputs."""
    more = 0
    if found.id is not None:
        more += 1 + found.id.count(":")
    if found.parameters is not None:
        more += 1 + colons_of(found.parameters)
    if found.outputs is not None:
        more += 1
        for output in found.outputs:
            more += 1 + output.name.count(":")
            if output.parameters is not None:
                more += 1 + colons_of(output.parameters)
    return more


def colons_of(parameters: Mapping[str, Any]) -> int:
    """Count the colons of parameters."""
    return sum(
        1 + name.count(":") + (value.count(":") if isinstance(value, str) else 0)
        for name, value in parameters.items()
    )
