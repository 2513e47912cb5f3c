"""Encode events and their parts as JSON, and decode them.

An event is stored as {"kind": class name, "v": format version, "event": fields}; fields that hold their
default are omitted, except in publications. An unknown kind or version was written by a newer Tidemill
and is rejected, never partly read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from math import isfinite
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import msgspec

from tidemill.analysis.query.summary import QuerySummary
from tidemill.core.errors import StorageError
from tidemill.core.lazy_dataclass import field_types
from tidemill.ledger.binding import Binding, Product
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import (
    EVENTS,
    Attempted,
    Computed,
    EffectDone,
    EffectQueued,
    Event,
    Published,
    RecipeChanged,
    Settled,
    SourceSeen,
)

T = TypeVar("T")

FORMAT_VERSION = 1


class _WrittenEvent(msgspec.Struct):
    kind: str
    v: int
    event: Any


class _StoredEvent(msgspec.Struct):
    kind: str
    v: int
    event: msgspec.Raw


class _BindingOnly(msgspec.Struct, gc=False):
    binding: Binding


class _StoredBinding(msgspec.Struct, gc=False):
    v: int
    event: _BindingOnly


class _MakersOnly(msgspec.Struct, gc=False):
    run: str
    origins: tuple[str, ...] = ()


class _BindingMakers(msgspec.Struct, gc=False):
    binding: _MakersOnly


class _StoredMakers(msgspec.Struct, gc=False):
    v: int
    event: _BindingMakers


# Parts of a stored event that are read by the thousand.
Part = TypeVar("Part", _StoredBinding, _StoredMakers)


class EventScope(NamedTuple):
    """The environment, run, stage and partition of an event; None for a part its kind doesn't have."""

    environment: str | None
    run: str | None
    stage: str | None
    partition: str | None


_ENCODER = msgspec.json.Encoder()
_EVENT_DECODER = msgspec.json.Decoder(_StoredEvent)
# Building a decoder takes 0.1 ms, so each is built on first use. They aren't strict: JSON has no NaN
# or infinity, so such numbers are written as text.
_DECODERS: dict[type[Any], msgspec.json.Decoder[Any]] = {}
_TYPES_BY_NAME: dict[str, type[Event]] = {kind.__name__: kind for kind in EVENTS}


def encode(value: Any) -> str:
    """Encode a record or a mapping as compact JSON."""
    return _to_json(value if _is_finite(value) else _spell_nonfinite(msgspec.to_builtins(value)))


def decode(kind: type[T], text: str) -> T:
    """Decode the record that `encode` wrote; StorageError when the text doesn't fit `kind`."""
    try:
        value: T = _decoder_of(kind).decode(text)
    except msgspec.DecodeError as error:
        raise StorageError(
            f"a recorded {kind.__name__} can't be read ({error}): {text[:200]}; "
            "another program changed the ledger: restore it from a backup"
        ) from error
    return value


def encode_sparse(record: Any) -> str:
    """Encode a record as compact JSON without fields that hold their default."""
    written = without_defaults(record)
    return _to_json(
        written if _is_finite(record) else _spell_nonfinite(msgspec.to_builtins(written))
    )


def encode_event(event: Event, *, is_sparse: bool = False) -> str:
    """Encode an event with its kind and format version; publications with defaults unless `is_sparse`."""
    # Bindings are read by the thousand, and filling in defaults takes msgspec a third of that time.
    is_whole = isinstance(event, Published | Computed) and not is_sparse
    written = event if is_whole else without_defaults(event)
    fields = written if _is_finite(event) else _spell_nonfinite(msgspec.to_builtins(written))
    return _to_json(_WrittenEvent(kind=type(event).__name__, v=FORMAT_VERSION, event=fields))


def decode_event(text: str) -> Event:
    """Decode an event; StorageError when a newer Tidemill wrote it."""
    try:
        read = _EVENT_DECODER.decode(text)
    except msgspec.DecodeError as error:
        raise StorageError(f"a recorded event can't be read ({error}): {text[:200]}") from error
    kind = _TYPES_BY_NAME.get(read.kind)
    if kind is None or read.v > FORMAT_VERSION:
        raise StorageError(
            f"the ledger holds an event {read.kind} of version {read.v}, but this Tidemill knows "
            f"{'no such event' if kind is None else f'only versions up to {FORMAT_VERSION}'}: "
            "a newer one wrote it; pip install -U tidemill"
        )
    return decode(kind, bytes(read.event).decode())


def decode_binding(text: str) -> Binding:
    """Decode only the binding of a `Published` or `Computed` event.

    Bindings are read by the thousand, and this takes less than half as long as decoding the event.
    """
    return _decode_part(_StoredBinding, text).event.binding


def decode_makers(text: str) -> tuple[str, ...]:
    """Decode only whose work such a binding is (see `Binding.makers`), in a third of the time again."""
    binding = _decode_part(_StoredMakers, text).event.binding
    return binding.origins or (binding.run,)


def _decode_part(kind: type[Part], text: str) -> Part:
    try:
        read = _decoder_of(kind).decode(text)
        if read.v <= FORMAT_VERSION:
            return read
    except msgspec.DecodeError:
        pass
    found = type(decode_event(text)).__name__  # usually raises an error that explains the problem
    raise StorageError(
        f"a partition is bound to an event {found}, which binds nothing; another program changed the "
        "ledger: restore it from a backup"
    )


def event_scope(event: Event) -> EventScope:
    """The environment, run, stage and partition that an event concerns."""
    inner: Any = event
    if isinstance(event, Attempted):
        inner = event.attempt
    elif isinstance(event, EffectQueued):
        inner = event.effect
    bound = event.binding if isinstance(event, Published | Computed) else None
    run = bound.run if bound else getattr(event, "run", None)
    return EventScope(
        getattr(event, "environment", None),
        run,
        getattr(inner, "stage", None),
        getattr(inner, "partition", None),
    )


def _decoder_of(kind: type[T]) -> msgspec.json.Decoder[T]:
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind, strict=False)
    return decoder


def _to_json(value: Any) -> str:
    try:
        return _ENCODER.encode(value).decode()
    except UnicodeEncodeError as error:
        raise StorageError(
            f"{error.object!r} can't be recorded: it isn't valid Unicode; if it is a file name, "
            "rename the file and run again"
        ) from None


# Frequent records without floats, but for times, which are finite: they needn't be looked at.
_WITHOUT_FIGURES = frozenset(
    (SourceSeen, EffectQueued, Effect, EffectDone, Settled, RecipeChanged, QuerySummary)
)


def _is_finite(value: Any) -> bool:
    """Whether every measured figure is a number that JSON can represent."""
    return _all_finite(_measured_part(value))


def _measured_part(value: Any) -> Any:
    """The parts of a record that hold measured figures; frequent records are large, and hold few."""
    match value:
        case Published() | Computed():
            return _measured_part(value.binding.product)
        case Binding():
            return _measured_part(value.product)
        case Product():
            return (value.artifact, value.scores, value.trial)
        case Attempted():
            return value.attempt.evidence
    return value


def _all_finite(value: Any) -> bool:
    """Whether every float in a record, and in all that it holds, is a number that JSON can represent."""
    if value is None or isinstance(value, str | int):
        return True
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_all_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_all_finite, value))
    kind: Any = type(value)
    return kind in _WITHOUT_FIGURES or all(
        _all_finite(getattr(value, name)) for name in _field_names(kind)
    )


@cache
def _field_names(kind: Any) -> tuple[str, ...]:
    """The fields of a record; none of any other value."""
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


def _spell_nonfinite(value: Any) -> Any:
    """Replace every NaN and infinity in `value` by text."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _spell_nonfinite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spell_nonfinite(item) for item in value]
    return value


_SPARSE_STRUCTS: dict[Any, type[msgspec.Struct]] = {}


def without_defaults(record: Any) -> msgspec.Struct:
    """Convert a record to a struct that omits fields with default values when encoded."""
    return msgspec.convert(record, _sparse_struct(type(record)), from_attributes=True)


def _sparse_struct(kind: Any) -> type[msgspec.Struct]:
    twin = _SPARSE_STRUCTS.get(kind)
    if twin is None:
        hints = field_types(kind)
        parts = [
            (item.name, _sparse_field_type(hints[item.name], kind), _default_value(item))
            for item in fields(kind)
        ]
        twin = msgspec.defstruct(kind.__name__, parts, omit_defaults=True, kw_only=True)
        _SPARSE_STRUCTS[kind] = twin
    return twin


def _sparse_field_type(hint: Any, owner: Any) -> Any:
    """The type of a sparse field: a sparse struct for nested records, Any for mappings and other values.

    Records of the kind of their owner are written with their defaults.
    """
    if owner in get_args(hint):
        return Any
    if is_dataclass(hint):
        return _sparse_struct(hint)
    if get_origin(hint) in (dict, Mapping):
        return Any
    twin: Any = next((_sparse_struct(kind) for kind in get_args(hint) if is_dataclass(kind)), None)
    if twin is None:
        return Any
    sequence: Any = tuple
    return sequence[twin, ...] if get_origin(hint) is tuple else twin | None


def _default_value(item: Field[Any]) -> Any:
    if item.default_factory is not MISSING:
        return msgspec.field(default_factory=item.default_factory)
    return msgspec.NODEFAULT if item.default is MISSING else item.default
