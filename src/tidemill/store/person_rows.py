"""Find the rows of a person by a key, whatever the type of its column, and also in nested columns.

A number has one value, however it is written: 7 is the 7.0 of a float column. Text must be the same text:
"007" may be another person, so that such rows are only doubtful, and people decide.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import reduce
from operator import or_
from typing import Any

import polars as pl

from tidemill.core.lazy_dataclass import dataclass

# Whether each value of an expression, which has a type, is one of the values.
_Test = Callable[[pl.Expr, Any, Collection[str]], pl.Expr]

# Floats from here on stand for several whole numbers.
_INEXACT = {pl.Float32: 2**24, pl.Float64: 2**53}
_NEVER = pl.lit(value=False)


@dataclass(frozen=True, slots=True)
class PersonKey:
    """A key of a person: a `column`, or field of nested columns, and the `values` of it.

    Several values are the value itself and what stands for it, such as a hash. Null and NaN match nothing.
    """

    column: str
    values: tuple[str, ...]

    def columns(self, schema: Mapping[str, Any]) -> list[str]:
        """The columns that are the key, or have it in a field."""
        return [
            name for name, kind in schema.items() if name == self.column or self._is_inside(kind)
        ]

    def rows(self, schema: Mapping[str, Any]) -> pl.Expr:
        """Whether each row of a frame with this schema is the person's."""
        return self._any(schema, _equals)

    def doubtful(self, schema: Mapping[str, Any]) -> pl.Expr:
        """Whether each row may be the person's: its key is the number or the word in another notation."""
        return self._any(schema, _resembles) & ~self.rows(schema)

    def count(self, frame: pl.DataFrame) -> tuple[int, int]:
        """How many rows of a frame are the person's, and how many may be."""
        both = [self.rows(frame.schema).sum(), self.doubtful(frame.schema).sum().alias("doubtful")]
        if not self.columns(frame.schema):
            return 0, 0
        return frame.select(both).row(0)

    def _any(self, schema: Mapping[str, Any], test: _Test) -> pl.Expr:
        found = [
            self._within(pl.col(name), schema[name], test, is_key=name == self.column)
            for name in self.columns(schema)
        ]
        return _any_of(found)

    def _is_inside(self, kind: Any) -> bool:
        if isinstance(kind, pl.Struct):
            return any(
                field.name == self.column or self._is_inside(field.dtype) for field in kind.fields
            )
        return isinstance(kind, pl.List | pl.Array) and self._is_inside(kind.inner)

    def _within(self, value: pl.Expr, kind: Any, test: _Test, *, is_key: bool) -> pl.Expr:
        """Whether a value is the key, or has it in it."""
        if isinstance(kind, pl.Array):
            value, kind = value.arr.to_list(), pl.List(kind.inner)
        if isinstance(kind, pl.List):
            inner = self._within(pl.element(), kind.inner, test, is_key=is_key)
            return value.list.eval(inner).list.any().fill_null(value=False)
        if isinstance(kind, pl.Struct):
            return _any_of(
                [
                    self._within(
                        value.struct.field(field.name),
                        field.dtype,
                        test,
                        is_key=is_key or field.name == self.column,
                    )
                    for field in kind.fields
                    if is_key or field.name == self.column or self._is_inside(field.dtype)
                ]
            )
        return test(value, kind, self.values).fill_null(value=False) if is_key else _NEVER


def column_names(schema: Mapping[str, Any]) -> set[str]:
    """The names of the columns, and of all fields of nested ones."""
    found = {*schema}
    for kind in schema.values():
        while isinstance(kind, pl.List | pl.Array):
            kind = kind.inner
        if isinstance(kind, pl.Struct):
            found |= column_names({field.name: field.dtype for field in kind.fields})
    return found


def _any_of(found: Collection[pl.Expr]) -> pl.Expr:
    return reduce(or_, found, _NEVER)


def _equals(value: pl.Expr, kind: Any, values: Collection[str]) -> pl.Expr:
    if kind.is_numeric():
        return _any_of([_is_number(value, kind, number) for number in _numbers(values)])
    if kind.is_temporal():
        return _any_of([_is_moment(value, kind, text) for text in values])
    if kind == pl.Binary:
        return value.is_in([text.encode() for text in values])
    return value.cast(pl.String, strict=False).is_in(list(values))


def _resembles(value: pl.Expr, kind: Any, values: Collection[str]) -> pl.Expr:
    """Whether values may be meant by others: texts with the same number, or in other case; rounded floats."""
    if kind.is_float():
        found = [int(number) for number in _numbers(values) if abs(number) >= _INEXACT[type(kind)]]
        return _any_of([value == pl.lit(float(number)).cast(kind) for number in found])
    if kind.is_numeric() or kind.is_temporal() or kind == pl.Binary:
        return _NEVER
    text = value.cast(pl.String, strict=False).str.strip_chars()
    number = text.cast(pl.Float64, strict=False)
    return _any_of(
        [
            text.str.to_lowercase().is_in([each.strip().lower() for each in values]),
            *(number == float(each) for each in _numbers(values)),
        ]
    )


def _numbers(values: Collection[str]) -> list[Decimal]:
    found = []
    for value in values:
        try:
            number = Decimal(value)
        except InvalidOperation:
            continue
        if number.is_finite():
            found.append(number)
    return found


def _is_number(value: pl.Expr, kind: Any, number: Decimal) -> pl.Expr:
    is_whole = number == number.to_integral_value()
    if kind.is_integer():
        # A number that the type doesn't have is in no row.
        return value.cast(pl.Int128) == int(number) if is_whole and abs(number) < 2**120 else _NEVER
    if kind.is_float():
        if abs(number) >= _INEXACT[type(kind)]:
            return _NEVER
        return value == pl.lit(float(number)).cast(kind)
    plain = number.normalize()
    places = max(0, -int(plain.as_tuple().exponent))
    if places > kind.scale or abs(number) >= Decimal(10) ** (38 - kind.scale):
        return _NEVER
    return value == pl.lit(plain.quantize(Decimal(1).scaleb(-kind.scale)))


def _is_moment(value: pl.Expr, kind: Any, text: str) -> pl.Expr:
    if not isinstance(kind, pl.Date | pl.Datetime):
        return value.cast(pl.String, strict=False) == text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _NEVER
    if isinstance(kind, pl.Date):
        is_day = moment == datetime.combine(moment, datetime.min.time())
        return value == pl.lit(date(moment.year, moment.month, moment.day)) if is_day else _NEVER
    if kind.time_zone is None:
        return value == pl.lit(moment) if moment.tzinfo is None else _NEVER
    if moment.tzinfo is None:
        return value.dt.replace_time_zone(None) == pl.lit(moment)
    return value.dt.convert_time_zone("UTC") == pl.lit(moment).dt.convert_time_zone("UTC")
