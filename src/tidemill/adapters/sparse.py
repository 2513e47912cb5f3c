"""Records without the fields that hold their default, for the codec.

msgspec leaves defaults out of its own structs only. So each kind of record has a twin that is one, made
from its fields when the first record of the kind is written. What is left out is read as the record's
default: to change a default changes what recorded events mean.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

_TWINS: dict[Any, type[msgspec.Struct]] = {}


def sparse(record: Any) -> msgspec.Struct:
    """The record, to be encoded without what is as it is by default."""
    return msgspec.convert(record, _twin(type(record)), from_attributes=True)


def _twin(kind: Any) -> type[msgspec.Struct]:
    twin = _TWINS.get(kind)
    if twin is None:
        hints = get_type_hints(kind)
        parts = [(item.name, _part(hints[item.name]), _default(item)) for item in fields(kind)]
        twin = msgspec.defstruct(kind.__name__, parts, omit_defaults=True, kw_only=True)
        _TWINS[kind] = twin
    return twin


def _part(hint: Any) -> Any:
    """The type of a twin's field: a twin where the record has records, and any value as it is."""
    if is_dataclass(hint):
        return _twin(hint)
    twin: Any = next((_twin(kind) for kind in get_args(hint) if is_dataclass(kind)), None)
    if twin is None:
        return Any
    sequence: Any = tuple
    return sequence[twin, ...] if get_origin(hint) is tuple else twin | None


def _default(item: Field[Any]) -> Any:
    if item.default_factory is not MISSING:
        return msgspec.field(default_factory=item.default_factory)
    return msgspec.NODEFAULT if item.default is MISSING else item.default
