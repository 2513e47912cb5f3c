"""Identify a value by its type and contents, never by its text, address or memory layout.

A value without a handler is refused, not guessed.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from types import MemberDescriptorType
from typing import Any

from tidemill.analysis.code.array_values import numpy_part, polars_part
from tidemill.analysis.code.callables import CALLABLES, attributes_part
from tidemill.analysis.code.hidden_inputs import BY_SOURCE, reads_source
from tidemill.analysis.code.module_origin import exported_name, origin_of_class, public_name
from tidemill.analysis.code.walker_protocol import Visitor
from tidemill.core.fingerprint import Part, fingerprint

# The flag of classes that are written in Python, or could be: their instances have no hidden contents.
_WRITTEN = 1 << 9
# Types whose values are identified by type and value alone.
EXACT = (type(None), bool, int, float, str, bytes)


def value_part(value: Any, visitor: Visitor) -> Part:
    """Identify a value, as a part of a fingerprint."""
    kind = type(value)
    if kind is str and reads_source(value):
        return visitor.refuse(BY_SOURCE)
    if kind in EXACT:
        return [kind.__name__, value]
    hook = getattr(value, "__tidemill_digest__", None)
    if isinstance(hook, str) or (callable(hook) and not _is_unbound_hook(value, hook)):
        return ["digest", hook if isinstance(hook, str) else str(hook())]
    if isinstance(value, type):
        if origin_of_class(value) == "project":
            return visitor.enqueue(value)
        return visitor.external(f"{value.__module__}.{value.__qualname__}")
    handler = _HANDLERS.get(f"{kind.__module__}.{kind.__qualname__}", _other_value)
    return [kind.__qualname__, handler(value, visitor)]


def _is_unbound_hook(value: Any, hook: Any) -> bool:
    """Whether a hook is a method for instances that was looked up on their class."""
    return isinstance(value, type) and not hasattr(hook, "__self__")


def _other_value(value: Any, visitor: Visitor) -> Part:
    kind = type(value)
    if isinstance(value, enum.Enum):
        return [visitor.value(kind), value.name, visitor.value(value.value)]
    if dataclasses.is_dataclass(value):
        return _fields(value, [item.name for item in dataclasses.fields(value)], visitor)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        added = attributes_part(value, (), visitor)
        return [visitor.value(kind), *map(visitor.value, value), *([added] if added else ())]
    top = kind.__module__.partition(".")[0]
    found = _BY_PACKAGE[top](value, visitor) if top in _BY_PACKAGE else None
    if found is not None:
        return found
    name = exported_name(value) if origin_of_class(kind) != "project" else None
    return _refuse(value, visitor) if name is None else visitor.external(name)


def _fields(value: Any, names: list[str], visitor: Visitor) -> Part:
    kind = type(value)
    parts: list[Part] = [visitor.value(kind)]
    if any(not base.__flags__ & _WRITTEN for base in kind.__mro__[:-1]):
        return visitor.refuse(
            f"{kind.__qualname__} is a dataclass that has contents besides its fields"
        )
    for name in names:
        if not hasattr(value, name):
            return visitor.refuse(f"its field {name!r} isn't set")
        parts.append([name, visitor.value(getattr(value, name))])
    slots = [name for name in _slots(kind) if name not in names and hasattr(value, name)]
    parts += [[name, visitor.value(getattr(value, name))] for name in slots]
    return [*parts, attributes_part(value, names, visitor)]


def _slots(kind: type) -> list[str]:
    """The slots of a class and its bases; private names are mangled."""
    return [
        name
        for base in kind.__mro__
        for name, item in vars(base).items()
        if isinstance(item, MemberDescriptorType)
    ]


def _refuse(value: Any, visitor: Visitor) -> Part:
    kind = type(value)
    named = public_name(f"{kind.__module__}.{kind.__qualname__}")
    return visitor.refuse(
        f"a value of type {named} can't be fingerprinted; make it a "
        "frozen dataclass or a constant, or give its class a __tidemill_digest__"
    )


def _items(value: Any, visitor: Visitor) -> Part:
    return [visitor.value(item) for item in value]


def _mapping(value: Mapping[Any, Any], visitor: Visitor) -> Part:
    return [[visitor.value(key), visitor.value(item)] for key, item in value.items()]


def _defaults(value: Any, visitor: Visitor) -> Part:
    return [visitor.value(value.default_factory), _mapping(value, visitor)]


def _set(value: Any, visitor: Visitor) -> Part:
    """Sort the elements before, for the same visiting order in every process, and their parts after."""
    parts = [visitor.value(item) for item in sorted(value, key=_sort_key)]
    return sorted(parts, key=lambda part: fingerprint("element", part))


def _sort_key(value: Any) -> str:
    """The sort key of an element of a set; elements with equal keys are in any order."""
    kind = type(value)
    if kind in EXACT:
        return f"{kind.__name__} {value!r}"
    if isinstance(value, enum.Enum):
        return f"{kind.__qualname__} {value.name}"
    if isinstance(value, tuple):
        return f"tuple {[_sort_key(item) for item in value]}"
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(_sort_key, value))}"
    name = public_name(f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}")
    line = getattr(getattr(value, "__code__", None), "co_firstlineno", 0)
    return f"{kind.__qualname__} {name} {line:09}"


def _text(value: Any, visitor: Visitor) -> Part:
    return repr(value)


def _moment(value: Any, visitor: Visitor) -> Part:
    """A time or a datetime, and its time zone as a separate value."""
    return [repr(value.replace(tzinfo=None)), visitor.value(value.tzinfo)]


def _zone(value: Any, visitor: Visitor) -> Part:
    return _refuse(value, visitor) if value.key is None else str(value.key)


def _pattern(value: Any, visitor: Visitor) -> Part:
    return [visitor.value(value.pattern), value.flags]


def _path(value: Any, visitor: Visitor) -> Part:
    if hasattr(value, "stat"):  # not a PurePath
        visitor.external("pathlib.Path")  # a method of it may read a file
    return str(value.as_posix())


def _random(value: Any, visitor: Visitor) -> Part:
    return visitor.external("random.instance")


def _environment(value: Any, visitor: Visitor) -> Part:
    return visitor.external("os.environ")


def _logger(value: Any, visitor: Visitor) -> Part:
    return str(value.name)


def _no_contents(value: Any, visitor: Visitor) -> Part:
    return None


def _typing_value(value: Any, visitor: Visitor) -> Part:
    """Generic aliases by their arguments, other aliases by their value; the rest by name."""
    if hasattr(value, "__args__"):
        parts = [visitor.value(getattr(value, "__origin__", None)), _items(value.__args__, visitor)]
        metadata = getattr(value, "__metadata__", None)
        return parts if metadata is None else [*parts, _items(metadata, visitor)]
    for name in ("__supertype__", "__value__"):  # NewType, `type A = B`
        if hasattr(value, name):
            return [repr(value), visitor.value(getattr(value, name))]
    return repr(value)


_BY_PACKAGE: dict[str, Callable[[Any, Visitor], Part | None]] = {
    "numpy": numpy_part,
    "polars": polars_part,
    "typing": _typing_value,
}
_PATHS = ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")
_BY_TEXT = (
    *("builtins.complex", "builtins.range", "builtins.bytearray", "builtins.ellipsis"),
    *("builtins.NotImplementedType", "datetime.date", "datetime.timedelta", "datetime.timezone"),
    *("decimal.Decimal", "fractions.Fraction", "uuid.UUID"),
    *("ipaddress.IPv4Address", "ipaddress.IPv6Address"),
    *("ipaddress.IPv4Network", "ipaddress.IPv6Network"),
)
_HANDLERS: dict[str, Callable[[Any, Visitor], Part]] = {
    **CALLABLES,
    **dict.fromkeys(_BY_TEXT, _text),
    **{f"{module}.{name}": _path for module in ("pathlib", "pathlib._local") for name in _PATHS},
    "builtins.tuple": _items,
    "builtins.list": _items,
    "builtins.dict": _mapping,
    "builtins.set": _set,
    "builtins.frozenset": _set,
    "builtins.mappingproxy": _mapping,
    "builtins.slice": lambda value, visitor: _items((value.start, value.stop, value.step), visitor),
    "builtins.object": lambda value, visitor: visitor.enqueue(value),
    "types.SimpleNamespace": lambda value, visitor: _mapping(vars(value), visitor),
    "types.GenericAlias": lambda value, visitor: _typing_value(value, visitor),
    "types.UnionType": lambda value, visitor: _typing_value(value, visitor),
    "dataclasses.InitVar": lambda value, visitor: visitor.value(value.type),
    "collections.OrderedDict": _mapping,
    "collections.Counter": _mapping,
    "collections.defaultdict": _defaults,
    "collections.deque": lambda value, visitor: [value.maxlen, _items(value, visitor)],
    "datetime.datetime": _moment,
    "datetime.time": _moment,
    "zoneinfo.ZoneInfo": _zone,
    "re.Pattern": _pattern,
    "random.Random": _random,
    "random.SystemRandom": _random,
    "os._Environ": _environment,
    "logging.Logger": _logger,
    "logging.RootLogger": _logger,
    "_thread.lock": _no_contents,
    "_thread.RLock": _no_contents,
}
