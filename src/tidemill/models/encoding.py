"""Encode the columns that a model reads as numbers, the same way in training and in every prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl

from tidemill.contracts.column import Column
from tidemill.contracts.spec import Reads
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.models.given_frames import given_frame
from tidemill.workflow.annotations import Parent
from tidemill.workflow.model import ColumnEncoding, EncodingKind

# Encodings are recorded with the model, so there must not be one per row.
MAX_CATEGORIES = 10_000
_CATEGORICAL = ("String", "Enum", "Categorical")
_KINDS: Mapping[str, EncodingKind] = {
    "Boolean": "boolean",
    "Date": "date",
    "Datetime": "datetime",
    "Duration": "duration",
    "Time": "time",
    **dict.fromkeys(_CATEGORICAL, "category"),
}
_UNSEEN = ("missing", "fail")


@dataclass(frozen=True, slots=True)
class Encoder:
    """Encodes rows as a float array, one column per input: `encoder.transform(table)`.

    `reads` are the columns that it encodes, in order; `encodings` say how.
    """

    reads: Reads
    encodings: tuple[ColumnEncoding, ...]

    @property
    def categorical(self) -> list[int]:
        """The positions of columns with codes of categories, for LightGBM's `categorical_feature`."""
        return [at for at, known in enumerate(self.encodings) if known.kind == "category"]

    def transform(self, table: pl.DataFrame | pl.LazyFrame) -> Any:
        """Return the rows as a two-dimensional NumPy array of float64, rows x columns.

        Raises UsageError for a missing column, one of another kind of type, and, with `unseen="fail"`, for
        a category that the training rows don't have.
        """
        frame = given_frame(table, "encoder")
        return encode_columns(frame.select(self._present(frame)).collect(), self.encodings)

    def _present(self, frame: pl.LazyFrame) -> list[str]:
        return require_columns(frame.collect_schema().names(), self.reads.columns, "the encoder")


def encoder(
    table: pl.DataFrame | pl.LazyFrame,
    *,
    inputs: Reads,
    unseen: Literal["missing", "fail"] = "missing",
    parent: Parent | None = None,
) -> Encoder:
    """Learn from the training rows how each input column becomes numbers.

    An Enum becomes the position of its value in the contract, a String or Categorical the position among
    the sorted values of `table`, a Boolean 0 or 1, a Date days, a Datetime seconds since 1970 (UTC if it has
    a time zone), a Duration and a Time seconds; null becomes NaN. A category that `table` doesn't have
    becomes NaN in predictions, or is refused with `unseen="fail"`. Pass the encoder to `tm.fitted` as
    `inputs`. A training that continues a `parent` keeps the numbers of its categories: new ones follow.
    Raises UsageError for a nested column, and for one with more than 10,000 categories.
    """
    if unseen not in _UNSEEN:
        raise UsageError(f"encoder(unseen={unseen!r}) is not one of {', '.join(_UNSEEN)}")
    frame = given_frame(table, "encoder")
    names = require_columns(frame.collect_schema().names(), inputs.columns, "the encoder")
    columns = [inputs.contract.column(name) for name in names]
    kinds = {column.name: encoding_kind(column) for column in columns}
    open_ended = [c.name for c in columns if kinds[c.name] == "category" and c.dtype.name != "Enum"]
    found = frame.select(
        pl.col(name).cast(pl.String).drop_nulls().unique().sort().implode() for name in open_ended
    ).collect()
    before = {each.name: each.categories for each in (parent.encodings if parent else ())}
    encodings = []
    for column in columns:
        name = column.name
        if name in open_ended:
            known = tuple(dict.fromkeys((*before.get(name, ()), *found[name][0].to_list())))
        else:
            known = _declared_categories(column)
        if len(known) > MAX_CATEGORIES:
            raise UsageError(
                f"{name!r} has {len(known):,} different values, and an encoder keeps at most "
                f"{MAX_CATEGORIES:,}: group the rare ones in a transform, or leave the column out"
            )
        encodings.append(
            ColumnEncoding(
                name=name, kind=kinds[name], categories=tuple(map(str, known)), unseen=unseen
            )
        )
    return Encoder(inputs, tuple(encodings))


def encoding_kind(column: Column) -> EncodingKind:
    """How values of a column's type become numbers; UsageError for types that can't."""
    dtype = column.dtype
    kind = "number" if dtype.is_number else _KINDS.get(dtype.name)
    if kind is None:
        raise UsageError(
            f"{column.name!r} is {dtype}, which has no encoding as a number: make one of it in a transform"
        )
    return kind


def require_columns(names: Sequence[str], wanted: Sequence[str], taker: str) -> list[str]:
    """Return the wanted columns; UsageError if `names` lack one of them."""
    missing = [name for name in wanted if name not in names]
    if missing:
        raise UsageError(
            f"{taker} reads {', '.join(missing)}, which the frame doesn't have "
            f"({did_you_mean(missing[0], names)})"
        )
    return list(wanted)


def encode_columns(table: pl.DataFrame, encodings: Sequence[ColumnEncoding]) -> Any:
    """Encode the columns of a table as a two-dimensional float array, in the order of `encodings`."""
    require_encodable(table.schema, encodings)
    for known in encodings:
        if known.unseen == "fail":
            _refuse_unseen(known, table[known.name])
    numbers = table.select(_encoded(known, table.schema[known.name]) for known in encodings)
    return np.ascontiguousarray(numbers.to_numpy(), dtype=np.float64)


def _encoded(known: ColumnEncoding, dtype: pl.DataType) -> pl.Expr:
    """The expression that encodes a column as Float64, null as null."""
    value = pl.col(known.name)
    if dtype == pl.Null:
        return value.cast(pl.Float64)
    match known.kind:
        case "category":
            codes = [float(code) for code in range(len(known.categories))]
            return value.cast(pl.String).replace_strict(
                pl.Series(known.categories, dtype=pl.String),
                pl.Series(codes, dtype=pl.Float64),
                default=None,
                return_dtype=pl.Float64,
            )
        case "date":
            return value.to_physical().cast(pl.Float64)
        # Polars divides one row, but multiplies more rows by the reciprocal: the last bit would differ.
        case "datetime" | "duration":
            return value.dt.cast_time_unit("us").to_physical().cast(pl.Float64) * 1e-6
        case "time":
            return value.to_physical().cast(pl.Float64) * 1e-9
        case _:
            return value.cast(pl.Float64)


_FITS: Mapping[EncodingKind, tuple[type[pl.DataType], ...]] = {
    "category": (pl.String, pl.Categorical, pl.Enum),
    "date": (pl.Date,),
    "datetime": (pl.Datetime,),
    "duration": (pl.Duration,),
    "time": (pl.Time,),
}


def require_encodable(
    schema: Mapping[str, pl.DataType], encodings: Sequence[ColumnEncoding]
) -> None:
    """Raise UsageError for columns of another kind of type than in training; missing ones don't count."""
    for known in encodings:
        dtype = schema.get(known.name, pl.Null())
        if dtype == pl.Null:
            continue
        fits = _FITS.get(known.kind)
        numeric = dtype.is_numeric() or dtype == pl.Boolean
        if not (numeric if fits is None else isinstance(dtype, fits)):
            raise UsageError(
                f"{known.name!r} is {dtype}, but it was encoded as a {known.kind} in training: cast it"
            )


def _refuse_unseen(known: ColumnEncoding, values: pl.Series) -> None:
    if known.kind != "category":
        return
    text = values.cast(pl.String)
    strange = text.filter(text.is_not_null() & ~text.is_in(list(known.categories))).unique().sort()
    if len(strange):
        shown = ", ".join(map(repr, strange.head(3).to_list()))
        more = f" and {len(strange) - 3} more" if len(strange) > 3 else ""
        raise UsageError(
            f"{known.name!r} has {shown}{more}, which the training rows don't have: train on rows with these "
            'categories, or let the encoder treat them as missing (unseen="missing")'
        )


def _declared_categories(column: Column) -> tuple[str, ...]:
    return tuple(map(str, column.dtype.args)) if column.dtype.name == "Enum" else ()
