"""Represent the type of a column as data: a name and its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass

Args: TypeAlias = "tuple[str | int | DType | None, ...]"

# The types that hold every value of a type without loss.
_WIDER = {
    "Int8": ("Int16", "Int32", "Int64", "Int128", "Float16", "Float32", "Float64"),
    "Int16": ("Int32", "Int64", "Int128", "Float32", "Float64"),
    "Int32": ("Int64", "Int128", "Float64"),
    "Int64": ("Int128",),
    "UInt8": (
        *("UInt16", "UInt32", "UInt64", "UInt128", "Int16", "Int32", "Int64", "Int128"),
        *("Float16", "Float32", "Float64"),
    ),
    "UInt16": ("UInt32", "UInt64", "UInt128", "Int32", "Int64", "Int128", "Float32", "Float64"),
    "UInt32": ("UInt64", "UInt128", "Int64", "Int128", "Float64"),
    "UInt64": ("UInt128", "Int128"),
    "Float16": ("Float32", "Float64"),
    "Float32": ("Float64",),
}


@dataclass(frozen=True, slots=True)
class DType:
    """A column's type: `Int64`, `Datetime('us', 'UTC')`, `Enum('EWR', 'JFK')`, `List(Int64)`."""

    name: str
    args: Args = ()

    def __str__(self) -> str:
        inner = ", ".join(str(arg) if isinstance(arg, DType) else repr(arg) for arg in self.args)
        return f"{self.name}({inner})" if self.args else self.name

    def includes(self, other: DType) -> bool:
        """Whether every value of `other` is also a value of this type."""
        if self == other or other.name == "Null" or self.name in _WIDER.get(other.name, ()):
            return True
        if self.name == "String":
            return other.name in {"Enum", "Categorical"}
        if self.name != other.name:
            return False
        return _HOLDS_ARGS.get(self.name, _never)(self.args, other.args)

    @property
    def is_number(self) -> bool:
        return self.name.startswith(("Int", "UInt", "Float", "Decimal"))

    @property
    def integer_range(self) -> tuple[int, int] | None:
        """The least and the greatest value of a type of integers; None for other types."""
        if not self.name.startswith(("Int", "UInt")):
            return None
        bits = int(self.name.lstrip("UInt"))
        if self.name.startswith("U"):
            return 0, (1 << bits) - 1
        return -(1 << bits - 1), (1 << bits - 1) - 1

    @property
    def is_time(self) -> bool:
        return self.name in {"Date", "Datetime"}

    @property
    def is_nested(self) -> bool:
        return self.name in {"List", "Array", "Struct", "Object"}


def _wider_decimal(mine: Args, theirs: Args) -> bool:
    digits, scale, other_digits, other_scale = (int(str(arg)) for arg in (*mine, *theirs))
    return scale >= other_scale and digits - scale >= other_digits - other_scale


def _more_categories(mine: Args, theirs: Args) -> bool:
    return set(theirs) <= set(mine)


def _wider_items(mine: Args, theirs: Args) -> bool:
    item, other = mine[0], theirs[0]
    return isinstance(item, DType) and isinstance(other, DType) and item.includes(other)


def _wider_fields(mine: Args, theirs: Args) -> bool:
    """Structs are comparable if they have the same field names in the same order."""
    if mine[::2] != theirs[::2]:
        return False
    pairs = zip(mine[1::2], theirs[1::2], strict=True)
    return all(
        isinstance(field, DType) and isinstance(other, DType) and field.includes(other)
        for field, other in pairs
    )


def _wider_array(mine: Args, theirs: Args) -> bool:
    return mine[1] == theirs[1] and _wider_items(mine, theirs)


def _never(mine: Args, theirs: Args) -> bool:
    return False


# For two types of the same name: whether the arguments of the first include those of the second.
_HOLDS_ARGS: Mapping[str, Callable[[Args, Args], bool]] = {
    "Decimal": _wider_decimal,
    "Enum": _more_categories,
    "List": _wider_items,
    "Array": _wider_array,
    "Struct": _wider_fields,
}
