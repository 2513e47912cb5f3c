"""What identifies a value: its type and its contents, never its text, address or memory layout.

What has no handler is refused, not guessed.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from types import MemberDescriptorType
from typing import Any

from tidemill.analysis.code.array_values import numpy_part, polars_part
from tidemill.analysis.code.callables import CALLABLES, attributes_part
from tidemill.analysis.code.hidden_inputs import BY_SOURCE, sees_source
from tidemill.analysis.code.module_origin import importable, origin_of_class, public_name
from tidemill.analysis.code.walker_protocol import Follow
from tidemill.core.fingerprint import Part, fingerprint

# The flag of classes that are written in Python, or could be: their instances hide nothing.
_WRITTEN = 1 << 9
# Their values are told apart by type and value alone.
EXACT = (type(None), bool, int, float, str, bytes)


def value_part(value: Any, walk: Follow) -> Part:
    """What identifies a value, as a fingerprint's part."""
    kind = type(value)
    if kind is str and sees_source(value):
        return walk.refuse(BY_SOURCE)
    if kind in EXACT:
        return [kind.__name__, value]
    hook = getattr(value, "__tidemill_digest__", None)
    if isinstance(hook, str) or (callable(hook) and not _is_unbound(value, hook)):
        return ["digest", hook if isinstance(hook, str) else str(hook())]
    if isinstance(value, type):
        if origin_of_class(value) == "project":
            return walk.later(value)
        return walk.named(f"{value.__module__}.{value.__qualname__}")
    handler = _HANDLERS.get(f"{kind.__module__}.{kind.__qualname__}", _other)
    return [kind.__qualname__, handler(value, walk)]


def _is_unbound(value: Any, hook: Any) -> bool:
    """A method of instances, asked of their class, says nothing about the class."""
    return isinstance(value, type) and not hasattr(hook, "__self__")


def _other(value: Any, walk: Follow) -> Part:
    kind = type(value)
    if isinstance(value, enum.Enum):
        return [walk.value(kind), value.name, walk.value(value.value)]
    if dataclasses.is_dataclass(value):
        return _fields(value, [item.name for item in dataclasses.fields(value)], walk)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        added = attributes_part(value, (), walk)
        return [walk.value(kind), *map(walk.value, value), *([added] if added else ())]
    top = kind.__module__.partition(".")[0]
    found = _BY_PACKAGE[top](value, walk) if top in _BY_PACKAGE else None
    if found is not None:
        return found
    name = importable(value) if origin_of_class(kind) != "project" else None
    return _refused(value, walk) if name is None else walk.named(name)


def _fields(value: Any, names: list[str], walk: Follow) -> Part:
    kind = type(value)
    parts: list[Part] = [walk.value(kind)]
    if any(not base.__flags__ & _WRITTEN for base in kind.__mro__[:-1]):
        return walk.refuse(
            f"{kind.__qualname__} is a dataclass that has contents besides its fields"
        )
    for name in names:
        if not hasattr(value, name):
            return walk.refuse(f"its field {name!r} isn't set")
        parts.append([name, walk.value(getattr(value, name))])
    slots = [name for name in _slots(kind) if name not in names and hasattr(value, name)]
    parts += [[name, walk.value(getattr(value, name))] for name in slots]
    return [*parts, attributes_part(value, names, walk)]


def _slots(kind: type) -> list[str]:
    """The slots of a class and its bases; that of a private name is found by its full name."""
    return [
        name
        for base in kind.__mro__
        for name, item in vars(base).items()
        if isinstance(item, MemberDescriptorType)
    ]


def _refused(value: Any, walk: Follow) -> Part:
    kind = type(value)
    named = public_name(f"{kind.__module__}.{kind.__qualname__}")
    return walk.refuse(
        f"a value of type {named} can't be fingerprinted; make it a "
        "frozen dataclass or a constant, or give its class a __tidemill_digest__"
    )


def _items(value: Any, walk: Follow) -> Part:
    return [walk.value(item) for item in value]


def _mapping(value: Mapping[Any, Any], walk: Follow) -> Part:
    return [[walk.value(key), walk.value(item)] for key, item in value.items()]


def _defaults(value: Any, walk: Follow) -> Part:
    return [walk.value(value.default_factory), _mapping(value, walk)]


def _set(value: Any, walk: Follow) -> Part:
    """Sorted twice: before, so that what is followed is numbered alike in every process."""
    parts = [walk.value(item) for item in sorted(value, key=_place)]
    return sorted(parts, key=lambda part: fingerprint("element", part))


def _place(value: Any) -> str:
    """Where an element of a set comes; elements that share it may come in any order."""
    kind = type(value)
    if kind in EXACT:
        return f"{kind.__name__} {value!r}"
    if isinstance(value, enum.Enum):
        return f"{kind.__qualname__} {value.name}"
    if isinstance(value, tuple):
        return f"tuple {[_place(item) for item in value]}"
    if isinstance(value, frozenset):
        return f"frozenset {sorted(map(_place, value))}"
    name = public_name(f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}")
    line = getattr(getattr(value, "__code__", None), "co_firstlineno", 0)
    return f"{kind.__qualname__} {name} {line:09}"


def _text(value: Any, walk: Follow) -> Part:
    return repr(value)


def _moment(value: Any, walk: Follow) -> Part:
    """A time or a datetime; its zone is a value of its own."""
    return [repr(value.replace(tzinfo=None)), walk.value(value.tzinfo)]


def _zone(value: Any, walk: Follow) -> Part:
    return _refused(value, walk) if value.key is None else str(value.key)


def _pattern(value: Any, walk: Follow) -> Part:
    return [walk.value(value.pattern), value.flags]


def _path(value: Any, walk: Follow) -> Part:
    return str(value.as_posix())


def _random(value: Any, walk: Follow) -> Part:
    return walk.named("random.instance")


def _environment(value: Any, walk: Follow) -> Part:
    return walk.named("os.environ")


def _logger(value: Any, walk: Follow) -> Part:
    return str(value.name)


def _nothing(value: Any, walk: Follow) -> Part:
    return None


def _typing(value: Any, walk: Follow) -> Part:
    """Generic aliases by what they are made of, others by what they stand for; the rest has names."""
    if hasattr(value, "__args__"):
        parts = [walk.value(getattr(value, "__origin__", None)), _items(value.__args__, walk)]
        said = getattr(value, "__metadata__", None)
        return parts if said is None else [*parts, _items(said, walk)]
    for name in ("__supertype__", "__value__"):  # NewType, `type A = B`
        if hasattr(value, name):
            return [repr(value), walk.value(getattr(value, name))]
    return repr(value)


_BY_PACKAGE: dict[str, Callable[[Any, Follow], Part | None]] = {
    "numpy": numpy_part,
    "polars": polars_part,
    "typing": _typing,
}
_PATHS = ("PosixPath", "PurePosixPath", "WindowsPath", "PureWindowsPath")
_BY_TEXT = (
    *("builtins.complex", "builtins.range", "builtins.bytearray", "builtins.ellipsis"),
    *("builtins.NotImplementedType", "datetime.date", "datetime.timedelta", "datetime.timezone"),
    *("decimal.Decimal", "fractions.Fraction", "uuid.UUID"),
    *("ipaddress.IPv4Address", "ipaddress.IPv6Address"),
    *("ipaddress.IPv4Network", "ipaddress.IPv6Network"),
)
_HANDLERS: dict[str, Callable[[Any, Follow], Part]] = {
    **CALLABLES,
    **dict.fromkeys(_BY_TEXT, _text),
    **{f"{module}.{name}": _path for module in ("pathlib", "pathlib._local") for name in _PATHS},
    "builtins.tuple": _items,
    "builtins.list": _items,
    "builtins.dict": _mapping,
    "builtins.set": _set,
    "builtins.frozenset": _set,
    "builtins.mappingproxy": _mapping,
    "builtins.slice": lambda value, walk: _items((value.start, value.stop, value.step), walk),
    "builtins.object": lambda value, walk: walk.later(value),
    "types.SimpleNamespace": lambda value, walk: _mapping(vars(value), walk),
    "types.GenericAlias": lambda value, walk: _typing(value, walk),
    "types.UnionType": lambda value, walk: _typing(value, walk),
    "dataclasses.InitVar": lambda value, walk: walk.value(value.type),
    "collections.OrderedDict": _mapping,
    "collections.Counter": _mapping,
    "collections.defaultdict": _defaults,
    "collections.deque": lambda value, walk: [value.maxlen, _items(value, walk)],
    "datetime.datetime": _moment,
    "datetime.time": _moment,
    "zoneinfo.ZoneInfo": _zone,
    "re.Pattern": _pattern,
    "random.Random": _random,
    "random.SystemRandom": _random,
    "os._Environ": _environment,
    "logging.Logger": _logger,
    "logging.RootLogger": _logger,
    "_thread.lock": _nothing,
    "_thread.RLock": _nothing,
}
