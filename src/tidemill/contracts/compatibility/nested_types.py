"""Compare nested types field by field, with a path and a direction for each change.

A field of a struct is like a column of a table: removing it loosens, because its readers lose it, and
adding it tightens.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.contracts.compatibility.directions import (
    BOTH,
    LOOSENS,
    NEUTRAL,
    TIGHTENS,
    ChangeEffect,
    judge_type,
)
from tidemill.contracts.dtype import DType

_NESTED = ("Struct", "List", "Array")
_ORDER = ChangeEffect(direction=NEUTRAL.direction, felt=True, note="affects readers by position")


def has_fields(old: DType, new: DType) -> bool:
    """Whether two types have the same nesting down to a struct, so that its fields can be compared."""
    if old.name != new.name or old.name not in _NESTED:
        return False
    return old.name == "Struct" or has_fields(_item(old), _item(new))


def nested_changes(old: DType, new: DType, path: str = "") -> Iterator[tuple[str, ChangeEffect]]:
    """Yield each change between two types: its description and its direction."""
    if old == new:
        return
    if old.name != new.name or old.name not in _NESTED:
        yield f"type of {path} {old} -> {new}", judge_type(old, new)
    elif old.name == "Struct":
        yield from _fields(old, new, path)
    else:
        if old.args[1:] != new.args[1:]:
            yield f"length of {path or 'each'} {old.args[1]} -> {new.args[1]}", BOTH
        yield from nested_changes(_item(old), _item(new), f"{path}[]")


def _fields(old: DType, new: DType, path: str) -> Iterator[tuple[str, ChangeEffect]]:
    before, after = _by_name(old), _by_name(new)
    for name, dtype in before.items():
        if name in after:
            yield from nested_changes(dtype, after[name], f"{path}.{name}")
        else:
            yield f"field {path}.{name} removed", LOOSENS
    for name, dtype in after.items():
        if name not in before:
            yield f"field {path}.{name} added: {dtype}", TIGHTENS
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        yield f"fields {path or 'of it'} in another order", _ORDER


def _by_name(dtype: DType) -> dict[str, DType]:
    pairs = zip(dtype.args[::2], dtype.args[1::2], strict=True)
    return {str(name): inner for name, inner in pairs if isinstance(inner, DType)}


def _item(dtype: DType) -> DType:
    inner = dtype.args[0]
    assert isinstance(inner, DType)
    return inner
