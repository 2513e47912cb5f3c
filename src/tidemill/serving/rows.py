"""The rows of a request, decoded and accepted by the contract, and what else the request asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct, field

# What a caller may set beside the inputs: {"partial": true}.
Parameters: TypeAlias = Mapping[str, str | int | float | bool]


class RequestRows(Struct, frozen=True):
    """Rows as columns, in the order of the input schema; there is at least one row.

    A column is a list of Python values, with None for null, or an array of floats if it came as an array.
    `frame` holds the same columns as a Polars frame in the contract's types, if there is one already, and
    `numbers` as one array of floats, columns x rows, with NaN for null and for text, if they came as arrays.
    """

    count: int
    columns: tuple[Sequence[Any], ...]
    frame: Any = None
    numbers: Any = None

    @property
    def has_lists(self) -> bool:
        """Whether no column is an array."""
        return all(isinstance(values, list | tuple) for values in self.columns)

    def first(self, width: int) -> RequestRows:
        """Return the rows with their first columns only."""
        frame = None if self.frame is None else self.frame[:, :width]
        numbers = None if self.numbers is None else self.numbers[:width]
        return RequestRows(self.count, self.columns[:width], frame, numbers)

    def take(self, places: Sequence[int]) -> RequestRows:
        """Return the rows at these places."""
        frame = None if self.frame is None else self.frame[list(places)]
        numbers = None if self.numbers is None else self.numbers[:, list(places)]
        columns = tuple([column[at] for at in places] for column in self.columns)
        return RequestRows(len(places), columns, frame, numbers)


class RowFinding(Struct, frozen=True, kw_only=True):
    """A value that breaks a rule: its row (from 0), its field, the rule, and the value as it came.

    `field` is None for a rule over several columns; `value` maps them to their values then.
    """

    row: int
    field: str | None
    rule: str
    value: Any
    message: str

    def __str__(self) -> str:
        got = "" if self.value is None else f", got {self.value!r}"
        return f"row {self.row}: {self.rule}: {self.message}{got}"

    def document(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {
            "row": self.row,
            "field": self.field,
            "rule": self.rule,
            "value": self.value,
            "message": self.message,
        }


class Rejected(Struct, frozen=True, kw_only=True):
    """The rows that `partial=true` leaves out: `kept` are the numbers of those that are answered.

    `rows` counts those of the request. `findings` are the first ones, `count` counts all.
    """

    rows: int
    kept: tuple[int, ...]
    findings: tuple[RowFinding, ...]
    count: int


class WantedOutput(Struct, frozen=True):
    """An output that a request names, and whether it wants it as binary data."""

    name: str
    binary: bool = False


class InferRequest(Struct, frozen=True, kw_only=True):
    """A decoded request for predictions.

    `outputs` is None if the request names none; then `binary_output` says whether all are binary.
    """

    rows: RequestRows
    id: str | None = None
    outputs: tuple[WantedOutput, ...] | None = None
    binary_output: bool = False
    parameters: Parameters = field(default_factory=dict)
    rejected: Rejected | None = None


class RequestLimits(Struct, frozen=True, kw_only=True):
    """The largest request that is read: bytes (also after decompression), rows, levels of nesting.

    `findings` is the number of findings that an answer lists.
    """

    bytes: int = 10 * 1024 * 1024
    rows: int = 100_000
    depth: int = 32
    findings: int = 20
