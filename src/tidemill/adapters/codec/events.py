"""Encode events and their parts as JSON, and decode them.

An event is stored as {"kind": class name, "v": format version, "event": fields}; fields that hold their
default are omitted, except in publications. An unknown kind or version was written by a newer Tidemill
and is rejected, never partly read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from math import isfinite
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from tidemill.core.errors import StorageError
from tidemill.ledger.binding import Binding, Product
from tidemill.ledger.delivery import Delivery
from tidemill.ledger.event import (
    EVENTS,
    Attempted,
    Computed,
    Delivered,
    EffectQueued,
    Event,
    Published,
)

T = TypeVar("T")

VERSION = 1


class _Written(msgspec.Struct):
    kind: str
    v: int
    event: Any


class _Read(msgspec.Struct):
    kind: str
    v: int
    event: msgspec.Raw


class _Bound(msgspec.Struct, gc=False):
    binding: Binding


class _Publication(msgspec.Struct, gc=False):
    v: int
    event: _Bound


class Address(NamedTuple):
    """The environment, run, stage and partition of an event; None for a part its kind doesn't have."""

    environment: str | None
    run: str | None
    stage: str | None
    partition: str | None


_ENCODER = msgspec.json.Encoder()
_READER = msgspec.json.Decoder(_Read)
# Building a decoder takes 0.1 ms, so each is built on first use. They aren't strict: JSON has no NaN
# or infinity, so such numbers are written as text.
_DECODERS: dict[type[Any], msgspec.json.Decoder[Any]] = {}
_BY_NAME: dict[str, type[Event]] = {kind.__name__: kind for kind in EVENTS}


def encode(value: Any) -> str:
    """Encode a record or a mapping as compact JSON."""
    return _text(value if _finite(value) else _spelled(msgspec.to_builtins(value)))


def decode(kind: type[T], text: str) -> T:
    """Decode the record that `encode` wrote; StorageError when the text doesn't fit `kind`."""
    try:
        value: T = _decoder(kind).decode(text)
    except msgspec.DecodeError as error:
        raise StorageError(
            f"a recorded {kind.__name__} can't be read ({error}): {text[:200]}; "
            "another program changed the ledger: restore it from a backup"
        ) from error
    return value


def encode_event(event: Event) -> str:
    """Encode an event with its kind and format version."""
    # Bindings are read by the thousand, and filling in defaults takes msgspec a third of that time.
    written = event if isinstance(event, Published | Computed) else sparse(event)
    fields = written if _finite(event) else _spelled(msgspec.to_builtins(written))
    return _text(_Written(kind=type(event).__name__, v=VERSION, event=fields))


def decode_event(text: str) -> Event:
    """Decode an event; StorageError when a newer Tidemill wrote it."""
    try:
        read = _READER.decode(text)
    except msgspec.DecodeError as error:
        raise StorageError(f"a recorded event can't be read ({error}): {text[:200]}") from error
    kind = _BY_NAME.get(read.kind)
    if kind is None or read.v > VERSION:
        raise StorageError(
            f"the ledger holds an event {read.kind} of version {read.v}, but this Tidemill knows "
            f"{'no such event' if kind is None else f'only versions up to {VERSION}'}: "
            "a newer one wrote it; pip install -U tidemill"
        )
    return decode(kind, bytes(read.event).decode())


def decode_binding(text: str) -> Binding:
    """Decode only the binding of a `Published` or `Computed` event.

    Bindings are read by the thousand, and this takes less than half as long as decoding the event.
    """
    try:
        read = _decoder(_Publication).decode(text)
        if read.v <= VERSION:
            return read.event.binding
    except msgspec.DecodeError:
        pass
    kind = type(decode_event(text)).__name__  # usually raises an error that explains the problem
    raise StorageError(
        f"a partition is bound to an event {kind}, which binds nothing; another program changed the "
        "ledger: restore it from a backup"
    )


def address(event: Event) -> Address:
    """The environment, run, stage and partition that an event concerns."""
    inner: Any = event
    if isinstance(event, Attempted):
        inner = event.attempt
    elif isinstance(event, EffectQueued):
        inner = event.effect
    bound = event.binding if isinstance(event, Published | Computed) else None
    run = bound.run if bound else getattr(event, "run", None)
    return Address(
        getattr(event, "environment", None),
        run,
        getattr(inner, "stage", None),
        getattr(inner, "partition", None),
    )


def _decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind, strict=False)
    return decoder


def _text(value: Any) -> str:
    try:
        return _ENCODER.encode(value).decode()
    except UnicodeEncodeError as error:
        raise StorageError(
            f"{error.object!r} can't be recorded: it isn't valid Unicode; if it is a file name, "
            "rename the file and run again"
        ) from None


def _finite(value: Any) -> bool:
    """Whether every measured figure (a model's baseline, its scores) is a number JSON can represent."""
    if isinstance(value, Published | Computed):
        value = value.binding
    elif isinstance(value, Delivered):
        value = value.delivery
    if isinstance(value, Binding):
        value = value.product
    if not isinstance(value, Product | Delivery):
        return True
    figures = [] if value.artifact is None else [value.artifact.baseline]
    if value.scores is not None:
        figures += value.scores.metrics.values()
        figures += [figure for part in value.scores.slices for figure in part.metrics.values()]
    return all(map(isfinite, figures))


def _spelled(value: Any) -> Any:
    """Replace every NaN and infinity in `value` by text."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item) for item in value]
    return value


_TWINS: dict[Any, type[msgspec.Struct]] = {}


def sparse(record: Any) -> msgspec.Struct:
    """Convert a record to a struct that omits fields with default values when encoded."""
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
    """The type of a sparse field: a sparse struct for a nested record, Any for other values."""
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
