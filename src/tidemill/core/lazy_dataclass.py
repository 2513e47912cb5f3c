"""Dataclasses whose constructors are compiled when they are called often.

The standard library compiles up to six methods of a dataclass when its class is made. For the hundreds of
classes of this package, of which a command uses a few, that takes half of the time in which it starts. Here
the standard library makes only the fields and slots. Other methods do what those of the standard library do;
the constructor is compiled once it was called some times, which takes as long as dozens of calls, or once
something looks at it.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeAlias, get_type_hints

__all__ = ["dataclass", "field_types"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        *,
        frozen: bool = False,
        slots: bool = False,
        kw_only: bool = False,
        eq: bool = True,
        repr: bool = True,
    ) -> Callable[[type], type]:
        """Make a class a dataclass, as the standard library does with the same options."""

        def decorate(cls: type) -> type:
            options = {"frozen": frozen, "slots": slots, "kw_only": kw_only}
            if _is_unusual(cls):
                return dataclasses.dataclass(eq=eq, repr=repr, **options)(cls)
            return _made(cls, has_eq=eq, has_repr=repr, **options)

        return decorate


@cache
def field_types(cls: type) -> dict[str, Any]:
    """The types of the fields of a dataclass, which its annotations spell."""
    return get_type_hints(cls)


_MISSING = dataclasses.MISSING
# After so many calls a constructor is compiled.
_FEW = 8


class _Made:
    """The default of a parameter whose value a factory makes."""

    def __repr__(self) -> str:
        return "<factory>"


# The parameters by place, those without a default, all, and what makes the values of fields.
_Parameters: TypeAlias = tuple[list[str], set[str], set[str], dict[str, "Callable[[], Any] | None"]]

# Names in a constructor are those of fields, but for these.
_USED: dict[str, Any] = {"__made__": _Made(), "__set__": object.__setattr__}


# Annotations that the standard library takes for something else than a field.
_SPECIAL = re.compile("ClassVar|KW_ONLY").search
# What a class may define itself, and the standard library then doesn't, or refuses.
_OWN = {"__setattr__", "__delattr__", "__getstate__", "__setstate__"}


def _is_unusual(cls: type) -> bool:
    """Whether a class needs more of the standard library: fields of a base, abstract methods, `InitVar`."""
    hints = inspect.get_annotations(cls)
    return bool(
        any(map(dataclasses.is_dataclass, cls.__mro__[1:]))
        or getattr(cls, "__abstractmethods__", None)
        or _OWN & {*cls.__dict__}
        or "self" in hints
        or any("InitVar" in str(hint) for hint in hints.values())
    )


def _made(
    cls: type, *, frozen: bool, slots: bool, kw_only: bool, has_eq: bool, has_repr: bool
) -> Any:
    own = {*cls.__dict__}
    has_hash = "__hash__" in own and not (cls.__dict__["__hash__"] is None and "__eq__" in own)
    # Without any text the standard library would write one, for which it inspects the class.
    said, cls.__doc__ = cls.__doc__, cls.__doc__ or "-"
    hints = inspect.get_annotations(cls)
    if not _SPECIAL(" ".join(map(str, hints.values()))):
        # The standard library would look into the text of each hint, which takes a third of the time.
        cls.__annotations__ = dict.fromkeys(hints, object)
    made: Any = dataclasses.dataclass(
        init=False, repr=False, eq=False, slots=slots, kw_only=kw_only
    )(cls)
    made.__doc__, made.__annotations__ = said, hints
    for field in dataclasses.fields(made):
        field.type = hints[field.name]
    params = made.__dataclass_params__
    params.init, params.repr, params.eq, params.frozen = True, has_repr, has_eq, frozen
    if "__init__" not in own:
        _refuse_order(made)
        made.__init__ = _Constructor(made)
    if has_repr and "__repr__" not in own:
        made.__repr__ = _repr_of(made)
    if has_eq and "__eq__" not in own:
        made.__eq__ = _equality(made)
    if has_eq and not has_hash:
        made.__hash__ = _hash(made) if frozen else None
    if frozen:
        _freeze(made)
        if slots:
            made.__getstate__, made.__setstate__ = _values_of, _set_values
    return made


def _refuse_order(cls: Any) -> None:
    """Raise TypeError for a positional parameter without a default after one with a default."""
    before = False
    for field in dataclasses.fields(cls):
        if not field.init or field.kw_only:
            continue
        if before and _is_needed(field):
            raise TypeError(f"non-default argument {field.name!r} follows default argument")
        before = not _is_needed(field)


class _Constructor:
    """Stands for the constructor of a dataclass until that is called often, or something asks for it."""

    def __init__(self, cls: type) -> None:
        self._cls, self._calls = cls, 0

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        self._calls += 1
        if instance is not None and self._calls <= _FEW:
            return partial(_initialize, self._cls, instance)
        method: Any = _constructor(self._cls)
        # Who replaced it in the meantime keeps what is there.
        if self._cls.__dict__.get("__init__") is self:
            setattr(self._cls, "__init__", method)  # noqa: B010 - type checkers refuse the other form
        return method.__get__(instance, owner)


def _initialize(cls: Any, self: Any, /, *args: object, **values: object) -> None:
    """Do what the constructor of a dataclass does, and leave calls that don't fit to it."""
    places, needed, known, makers = _parameters(cls)
    given = dict(zip(places, args, strict=False)) | values
    if len(given) < len(args) + len(values) or not needed <= given.keys() <= known:
        _constructor(cls)(self, *args, **values)
        return
    assign = object.__setattr__ if cls.__dataclass_params__.frozen else setattr
    for name, make in makers.items():
        if name in given:
            assign(self, name, given[name])
        elif make is not None:
            assign(self, name, make())
    if hasattr(cls, "__post_init__"):
        self.__post_init__()


@cache
def _parameters(cls: Any) -> _Parameters:
    """What a constructor takes, and what makes the value of each field that it isn't given, in order."""
    fields, has_slots = dataclasses.fields(cls), "__slots__" in cls.__dict__
    taken = [field for field in fields if field.init]
    makers: dict[str, Callable[[], Any] | None] = {}
    for field in fields:
        makers[field.name] = None
        if field.default_factory is not _MISSING:
            makers[field.name] = field.default_factory
        elif field.default is not _MISSING and (field.init or has_slots):
            makers[field.name] = partial(_same, field.default)
    return (
        [field.name for field in taken if not field.kw_only],
        {field.name for field in taken if _is_needed(field)},
        {field.name for field in taken},
        makers,
    )


def _same(value: object) -> object:
    return value


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is _MISSING and field.default_factory is _MISSING


def _constructor(cls: Any) -> Callable[..., None]:
    """Compile the constructor of a dataclass."""
    params, fields = cls.__dataclass_params__, dataclasses.fields(cls)
    taken = [field for field in fields if field.init]
    given = [_parameter(field) for field in taken if not field.kw_only]
    named = [_parameter(field) for field in taken if field.kw_only]
    lines = [
        *_assignments(fields, frozen=params.frozen, slots="__slots__" in cls.__dict__),
        *(["self.__post_init__()"] if hasattr(cls, "__post_init__") else []),
    ]
    used = {**_USED}
    for field in fields:
        used[f"__default_{field.name}__"] = field.default
        used[f"__make_{field.name}__"] = field.default_factory
    head = ", ".join(["self", *given, *(["*", *named] if named else [])])
    body = "\n  ".join(lines or ["pass"])
    text = f"def make({', '.join(used)}):\n def __init__({head}):\n  {body}\n return __init__"
    found: dict[str, Any] = {}
    # The names of fields are identifiers, or the standard library had refused them.
    exec(text, vars(sys.modules[cls.__module__]), found)
    method: Callable[..., None] = found["make"](**used)
    method.__qualname__ = f"{cls.__qualname__}.__init__"
    method.__annotations__ = {field.name: field.type for field in taken} | {"return": None}
    return method


def _parameter(field: dataclasses.Field[Any]) -> str:
    if field.default is not _MISSING:
        return f"{field.name}=__default_{field.name}__"
    return field.name if field.default_factory is _MISSING else f"{field.name}=__made__"


def _assignments(
    fields: tuple[dataclasses.Field[Any], ...], *, frozen: bool, slots: bool
) -> Iterator[str]:
    for field in fields:
        name, makes = field.name, field.default_factory is not _MISSING
        value = f"__make_{name}__()" if makes else f"__default_{name}__"
        if field.init:
            value = f"{value} if {name} is __made__ else {name}" if makes else name
        elif not makes and (field.default is _MISSING or not slots):
            # What has no value yet, or has that of the class.
            continue
        yield f"__set__(self, {name!r}, {value})" if frozen else f"self.{name} = {value}"


def _repr_of(cls: Any) -> Callable[[object], str]:
    @recursive_repr()
    def method(self: object) -> str:
        names = [field.name for field in dataclasses.fields(cls) if field.repr]
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({shown})"

    return method


def _equality(cls: Any) -> Callable[[object, object], object]:
    read: Callable[[object], object] | None = None

    def method(self: object, other: object) -> object:
        nonlocal read
        if other.__class__ is not self.__class__:
            return NotImplemented
        if read is None:
            read = _getter(field.name for field in dataclasses.fields(cls) if field.compare)
        return read(self) == read(other)

    return method


def _hash(cls: Any) -> Callable[[object], int]:
    read: Callable[[object], object] | None = None

    def method(self: object) -> int:
        nonlocal read
        if read is None:
            read = _getter(
                field.name
                for field in dataclasses.fields(cls)
                if (field.compare if field.hash is None else field.hash)
            )
        return hash(read(self))

    return method


def _getter(names: Iterator[str]) -> Callable[[Any], object]:
    """What reads some fields as a tuple."""
    known = [*names]
    if len(known) == 1:
        read = attrgetter(*known)
        return lambda found: (read(found),)
    return attrgetter(*known) if known else lambda found: ()


def _freeze(cls: Any) -> None:
    """Refuse to set or delete the fields of a dataclass."""

    def holds(self: object, name: str) -> bool:
        return type(self) is cls or any(field.name == name for field in dataclasses.fields(cls))

    def set_attribute(self: object, name: str, value: object) -> None:
        if holds(self, name):
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def delete_attribute(self: object, name: str) -> None:
        if holds(self, name):
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    cls.__setattr__, cls.__delattr__ = set_attribute, delete_attribute


def _values_of(self: Any) -> list[object]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_values(self: Any, values: list[object]) -> None:
    for field, value in zip(dataclasses.fields(self), values, strict=True):
        object.__setattr__(self, field.name, value)
