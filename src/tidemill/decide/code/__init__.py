"""The code part of a recipe's fingerprint: what a function does, as far as its code can tell.

It covers the function and, transitively, every function, class, constant, default, closure value
and module attribute of the project that it uses: functions by their canonical text (`code_names`),
all else by its value of now (`code_values`). What isn't the project's counts by name, packages by
version as well, Tidemill by its public names only. What can't be followed is named and never
guessed; what the code reaches for besides its inputs is named too.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from tidemill.decide.code.classes import class_part
from tidemill.decide.code.functions import function_part
from tidemill.decide.code.origin import origin_of_module, package_of, public_name
from tidemill.decide.code.state import Keeper, State, can_change
from tidemill.decide.code.touches import TouchKind, blind_reason, touch_kind
from tidemill.decide.code.values import value_part
from tidemill.domain.fingerprint import Part, fingerprint

# Bump it when the same code gets another digest: nothing recorded before is then found again.
FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """What can't be fingerprinted, why, and where it is used (`file.py:12`)."""

    name: str
    reason: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """What the code reaches for besides its inputs, and where (`file.py:12`)."""

    name: str
    kind: TouchKind
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A function's code as a digest, and what the digest can't vouch for.

    `packages` are the third-party distributions that the code uses, with their versions, which are
    part of the digest. Equal digests with nothing in `unresolved` and `touches` do the same, unless
    they change what the `keepers` hold.
    """

    digest: str
    unresolved: tuple[Unresolved, ...] = ()
    touches: tuple[Touch, ...] = ()
    packages: tuple[tuple[str, str], ...] = ()
    keepers: tuple[Keeper, ...] = field(default=(), compare=False, repr=False)

    @property
    def state(self) -> State:
        """What the keepers hold now."""
        return State(self.keepers, lambda value: _Walker(()).value(value))


def code_of(function: Callable[..., object], *, exclude: Container[str] = ()) -> Code:
    """The code part of a function's fingerprint.

    `exclude` holds names, as they are written in the code (`CLIENT`, `lib.fetch`), that count by
    name only: somebody else answers for what they stand for.
    """
    walker = _Walker(exclude)
    return _walked(walker, function, getattr(function, "__qualname__", repr(function)))


def code_of_value(value: object, name: str, where: str) -> Code:
    """The same of a value that no code names: a parameter or an option, called `name`.

    `where` it was declared (`file.py:12`).
    """
    return _walked(_Walker((), where=where, named=True), value, name)


def _walked(walker: _Walker, value: object, name: str) -> Code:
    root = walker.value(value, name)
    parts: list[Part] = []
    for value, where in walker.queue:  # it grows while it is read
        parts.append(walker.entity(value, where))
    packages = tuple(sorted(walker.packages))
    names = [[item.name, item.reason] for item in walker.unresolved]
    return Code(
        digest=fingerprint("code", FORMAT, root, parts, packages, names),
        unresolved=tuple(walker.unresolved),
        touches=tuple(walker.touches),
        packages=packages,
        keepers=tuple(walker.keepers),
    )


class _Walker:
    """Follows code breadth first; whatever may lead back to itself is numbered and done once."""

    def __init__(self, exclude: Container[str], *, where: str = "", named: bool = False) -> None:
        self.exclude = exclude
        # Whether the name of what it begins with counts.
        self._named = named
        self.queue: list[tuple[Any, str]] = []
        self.packages: dict[tuple[str, str], None] = {}
        self.unresolved: dict[Unresolved, None] = {}
        self.touches: dict[Touch, None] = {}
        self.keepers: list[Keeper] = []
        self.where = where
        self.seeded = False
        self.typed = False
        self.label = ""
        self._numbers: dict[int, int] = {}
        self._open: dict[int, int] = {}
        self._kept = 0

    def entity(self, value: Any, where: str) -> Part:
        """A function, class or sentinel, by what it uses."""
        self.where = where
        self.keepers.append(Keeper(value, getattr(value, "__qualname__", ""), where))
        if isinstance(value, FunctionType):
            named = self._named or value is not self.queue[0][0]
            return function_part(value, self, named=named)
        self.label = getattr(value, "__qualname__", "")
        return class_part(value, self) if isinstance(value, type) else "sentinel"

    def value(self, value: Any, label: str = "") -> Part:
        """What identifies any value; one that contains itself refers to where it began."""
        key = id(value)
        if key in self._open:
            return ["again", self._open[key]]
        before = self.label
        self.label = label or before
        self._open[key] = len(self._open)
        # What such a value holds counts with it.
        kept = can_change(value)
        if kept and not self._kept:
            self.keepers.append(Keeper(value, self.label, self.where))
        self._kept += kept
        try:
            return value_part(value, self)
        finally:
            del self._open[key]
            self._kept -= kept
            self.label = before

    def later(self, value: Any) -> Part:
        """The number of what is followed once; the queue keeps it alive, so its id is its own."""
        number = self._numbers.setdefault(id(value), len(self.queue))
        if number == len(self.queue):
            self.queue.append((value, self.where))
        return ["follow", number]

    def named(self, name: str) -> Part:
        """What isn't the project's; its package counts, and so does what it reaches for."""
        self.package(name)
        if self.typed:
            return ["named", public_name(name)]
        reason = blind_reason(name)
        if reason is not None:
            return self.refuse(reason)
        kind = touch_kind(name, seeded=self.seeded)
        if kind is not None:
            self.touch(kind)
        return ["named", public_name(name)]

    def package(self, name: str) -> None:
        """Count the package that a module belongs to, if it belongs to one."""
        top = name.partition(".")[0]
        if origin_of_module(top) == "package":
            package = package_of(top)
            self.packages[package] = None
            if not package[1]:
                self.refuse(f"the version of the package {top!r} can't be found out")

    def touch(self, kind: TouchKind) -> None:
        """Name what the code reaches for."""
        self.touches[Touch(name=self.label, kind=kind, where=self.where)] = None

    def refuse(self, reason: str) -> Part:
        """Name what can't be fingerprinted."""
        self.unresolved[Unresolved(name=self.label, reason=reason, where=self.where)] = None
        return ["unresolved", self.label]
