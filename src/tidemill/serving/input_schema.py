"""Decode and validate the rows of requests by the contract of what a model reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import polars as pl

from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import did_you_mean
from tidemill.serving.array_bodies import BinaryDecoder, MatrixDecoder, are_matrix_columns
from tidemill.serving.arrow_stream import read_arrow_stream
from tidemill.serving.cells import cell_series, default_cells
from tidemill.serving.column_forms import column_form
from tidemill.serving.csv_bodies import read_csv_body
from tidemill.serving.errors import BadRequest
from tidemill.serving.json_values import shown_value
from tidemill.serving.loose_bodies import (
    LooseRequest,
    Tensor,
    absent_field,
    read_infer_body,
    read_rows_body,
)
from tidemill.serving.oip import JSON
from tidemill.serving.predictions import CSV
from tidemill.serving.row_check import Absent, CheckedRows, RowCheck, ValueAt
from tidemill.serving.row_rules import RowRules, typed_series
from tidemill.serving.rows import InferRequest, RequestLimits, RequestRows
from tidemill.serving.strict_json import plain
from tidemill.serving.tensors import BYTES
from tidemill.serving.typed_bodies import OipDecoder, RowsDecoder, are_typed

_FEW_ROWS = 64
_PLAIN = ("Float64", "Int64", "Boolean", "String", "Enum", "Date")


class InputSchema:
    """The columns that a model reads, as a decoder of requests: a request is accepted if its contract is.

    `columns` are their names, in the order in which the rows have them; all columns of the contract by
    default. Rules of the contract that read other columns don't apply.
    """

    def __init__(
        self,
        spec: ContractSpec,
        columns: Sequence[str] = (),
        *,
        limits: RequestLimits | None = None,
    ) -> None:
        self.spec = spec
        self.names = tuple(columns) or spec.names
        self.columns = tuple(map(spec.column, self.names))
        self.limits = limits or RequestLimits()
        forms = [column_form(column) for column in self.columns]
        is_typed = are_typed(forms)
        self._oip = OipDecoder(forms, self.limits) if is_typed else None
        self._rows = RowsDecoder(forms, self.limits) if is_typed else None
        self._binary = BinaryDecoder(forms, self.limits)
        # Numbers of JSON would have to be rounded to 32 bits one by one.
        is_narrow = any(column.dtype.name == "Float32" for column in self.columns)
        is_matrix = are_matrix_columns(self.columns) and not is_narrow
        self._matrix = MatrixDecoder(self.columns, self.limits) if is_matrix else None
        self._rules = RowRules(spec, self.names)
        # Compiled before a request needs them, which takes a millisecond each.
        self._json_check = RowCheck(spec, self.names, "json")
        self._csv_check = RowCheck(spec, self.names, "csv")
        self._typed_check = RowCheck(spec, self.names)

    @property
    def title(self) -> str:
        """The name and the version of the contract."""
        return self.spec.title

    def decode_oip(
        self, body: bytes, *, json_length: int | None = None, partial: bool = False
    ) -> InferRequest:
        """Decode the body of an infer request; `json_length` is the header of its binary data.

        With `partial`, which the request's own parameters may also ask for, rows that the contract refuses
        are left out and reported. Raises RequestError for everything else that isn't accepted.
        """
        found = self.decode_oip_typed(body, json_length=json_length)
        if found is not None:
            return found
        return self.decode_oip_exactly(body, json_length=json_length, partial=partial)

    def decode_oip_typed(
        self, body: bytes, *, json_length: int | None = None
    ) -> InferRequest | None:
        """Decode an infer request in microseconds; None if it must be decoded exactly."""
        if json_length is not None:
            found = self._binary.decode(body, json_length)
        else:
            found = None if self._oip is None else self._oip.decode(body)
            if found is None and self._matrix is not None:
                found = self._matrix.decode(body)
        if found is None or (self._rules and not self._rules.accept(found.rows)):
            return None
        return found

    def decode_oip_exactly(
        self, body: bytes, *, json_length: int | None = None, partial: bool = False
    ) -> InferRequest:
        """Decode an infer request with the contract's checker; large ones belong into a thread."""
        found = read_infer_body(body, self.spec, self.columns, self.limits, json_length=json_length)
        checked = self._checked(
            self._tensor_frame(found),
            _value_of_tensors(found, self.columns),
            partial=partial or found.parameters.get("partial") is True,
        )
        return InferRequest(
            rows=checked.rows,
            id=found.id,
            outputs=found.outputs,
            binary_output=found.parameters.get("binary_data_output") is True,
            parameters=found.parameters,
            rejected=checked.rejected,
        )

    def decode_rows(self, body: bytes, *, partial: bool = False) -> InferRequest:
        """Decode named rows: a JSON list of objects, or one object.

        Raises RequestError for what isn't accepted; see `decode_oip` for `partial`.
        """
        found = self.decode_rows_typed(body)
        return self.decode_rows_exactly(body, partial=partial) if found is None else found

    def decode_rows_typed(self, body: bytes) -> InferRequest | None:
        """Decode named rows in microseconds; None if they must be decoded exactly."""
        found = None if self._rows is None else self._rows.decode(body)
        if found is None or (self._rules and not self._rules.accept(found)):
            return None
        return InferRequest(rows=found)

    def decode_rows_exactly(self, body: bytes, *, partial: bool = False) -> InferRequest:
        """Decode named rows with the contract's checker; many rows belong into a thread."""
        rows = read_rows_body(body, self.spec, self.columns, self.limits)
        frame = self._row_frame(rows)

        def value_at(row: int, name: str) -> Any:
            if name not in rows[row]:
                return Absent(absent_field(rows[row], self.spec.column(name), self.spec.names))
            return plain(rows[row][name])

        checked = self._checked(frame, value_at, partial=partial)
        return InferRequest(rows=checked.rows, rejected=checked.rejected)

    def decode_predict(self, body: bytes, media: str, *, partial: bool = False) -> InferRequest:
        """Decode named rows of a media type of `predictions`; see `decode_rows`."""
        if media == JSON:
            return self.decode_rows(body, partial=partial)
        if media == CSV:
            return self.decode_csv(body, partial=partial)
        return self.decode_arrow(body, partial=partial)

    def decode_csv(self, body: bytes, *, partial: bool = False) -> InferRequest:
        """Decode the rows of a CSV body with a header; its text is read as an ingest reads it."""
        frame = read_csv_body(body, self.columns, self.limits)
        return self._decode_frame(frame, self._csv_check, partial=partial)

    def decode_arrow(self, body: bytes, *, partial: bool = False) -> InferRequest:
        """Decode the rows of an Arrow IPC stream; types are cast as those of a stage's output."""
        frame = read_arrow_stream(body, self.limits)
        return self._decode_frame(frame, self._typed_check, partial=partial)

    def _decode_frame(self, frame: pl.DataFrame, check: RowCheck, *, partial: bool) -> InferRequest:
        self._require_columns(frame)
        missing = [column for column in self.columns if column.name not in frame.columns]
        frame = frame.with_columns(
            self._default(column.name, frame.height) for column in missing
        ).select(self.names)

        def value_at(row: int, name: str) -> Any:
            return shown_value(frame[row, name])

        checked = check.check(frame, value_at, partial=partial, shown=self.limits.findings)
        return InferRequest(rows=checked.rows, rejected=checked.rejected)

    def _require_columns(self, frame: pl.DataFrame) -> None:
        """Raise BadRequest if columns are missing or unknown."""
        for column in self.columns:
            if column.name not in frame.columns and not column.optional:
                raise BadRequest(
                    f"column {column.name!r} is missing ({did_you_mean(column.name, frame.columns)})"
                )
        if self.spec.unknown_columns != "fail":
            return
        for name in frame.columns:
            if name not in self.spec.names:
                shown = plain(name)
                hint = did_you_mean(shown, self.names)
                raise BadRequest(f"{self.spec.name} has no column {shown!r} ({hint})")

    def frame(self, rows: RequestRows) -> pl.DataFrame:
        """Return rows as a Polars frame in the types of the contract."""
        if isinstance(rows.frame, pl.DataFrame):
            return rows.frame
        if rows.count <= _FEW_ROWS and self._is_plain and rows.has_lists:
            return pl.DataFrame(list(zip(*rows.columns, strict=True)), self._types, orient="row")
        return pl.DataFrame(
            [
                typed_series(column.name, values, self._types[column.name])
                for column, values in zip(self.columns, rows.columns, strict=True)
            ]
        )

    @cached_property
    def _is_plain(self) -> bool:
        """Whether Polars makes these types from the values of few rows, in half of the time."""
        return all(column.dtype.name in _PLAIN for column in self.columns)

    @cached_property
    def _types(self) -> Mapping[str, pl.DataType]:
        return {column.name: polars_type(column.dtype) for column in self.columns}

    def _checked(self, frame: pl.DataFrame, value_at: ValueAt, *, partial: bool) -> CheckedRows:
        return self._json_check.check(frame, value_at, partial=partial, shown=self.limits.findings)

    def _tensor_frame(self, found: LooseRequest) -> pl.DataFrame:
        return pl.DataFrame(
            [
                self._default(column.name, found.count)
                if tensor is None
                else _tensor_series(column, tensor)
                for column, tensor in zip(self.columns, found.columns, strict=True)
            ]
        )

    def _row_frame(self, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        return pl.DataFrame([self._row_series(column, rows) for column in self.columns])

    def _row_series(self, column: Column, rows: Sequence[Mapping[str, Any]]) -> pl.Series:
        name = column.name
        if not column.optional or all(name in row for row in rows):
            return cell_series(column, [row.get(name) for row in rows])
        # Values that some rows leave out are filled in one by one: no row depends on others.
        given = cell_series(column, [row.get(name) for row in rows])
        if not any(name in row for row in rows):
            return self._default(name, len(rows))
        return _merged(column, given, [name in row for row in rows])

    def _default(self, name: str, count: int) -> pl.Series:
        column = self.spec.column(name)
        value = pl.Series(name, [column.default], dtype=self._types[name])
        return value.new_from_index(0, count)


def _merged(column: Column, given: pl.Series, present: Sequence[bool]) -> pl.Series:
    """Fill the default where a row leaves the value out."""
    filling = default_cells(column, given)
    return given.zip_with(pl.Series(present), filling.new_from_index(0, given.len()))


def _tensor_series(column: Column, tensor: Tensor) -> pl.Series:
    if not tensor.is_binary:
        return cell_series(column, tensor.values)
    if tensor.datatype != BYTES or column.dtype.name == "Binary":
        return pl.Series(column.name, tensor.values)
    try:
        texts = [item.decode() for item in tensor.values]
    except UnicodeDecodeError:
        raise BadRequest(f"input {column.name!r} has text that isn't UTF-8") from None
    return pl.Series(column.name, texts, dtype=pl.String)


def _value_of_tensors(found: LooseRequest, columns: Sequence[Column]) -> ValueAt:
    tensors = {column.name: tensor for column, tensor in zip(columns, found.columns, strict=True)}
    texts = {column.name for column in columns if column.dtype.name != "Binary"}

    def value_at(row: int, name: str) -> Any:
        tensor = tensors[name]
        if tensor is None:
            return None
        value = tensor.values[row]
        if not tensor.is_binary:
            return plain(value)
        if isinstance(value, bytes) and name in texts:
            return shown_value(value.decode())
        return shown_value(value.item() if hasattr(value, "item") else value)

    return value_at
