"""The code part of a recipe's fingerprint: what a function does, as far as its code shows.

It covers the function and, transitively, every function, class, constant, default, closure value
and module attribute of the project that it uses: functions by their canonical text, everything else by
its current value. External code counts by name, packages by version as well, Tidemill by its public
names only. Names that can't be followed are reported, never guessed; hidden inputs are reported, too.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field

from tidemill.analysis.code.hidden_inputs import HiddenInput, Unresolved
from tidemill.analysis.code.mutable_state import HeldState, MutableHolder
from tidemill.analysis.code.reference_walker import CodeWalker
from tidemill.core.fingerprint import Part, fingerprint

# Bump it when the same code gets another digest: results recorded before are then not found.
FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The digest of a function's code, and everything that the digest doesn't cover.

    `packages` are the third-party distributions that the code uses, with their versions, which are
    part of the digest. Code of equal digests without `unresolved` names and hidden inputs behaves the
    same, unless it changes its mutable state.
    """

    digest: str
    unresolved: tuple[Unresolved, ...] = ()
    hidden_inputs: tuple[HiddenInput, ...] = ()
    packages: tuple[tuple[str, str], ...] = ()
    mutable_holders: tuple[MutableHolder, ...] = field(default=(), compare=False, repr=False)

    @property
    def held_state(self) -> HeldState:
        """A snapshot of the mutable state in its current form."""
        return HeldState(self.mutable_holders, lambda value: CodeWalker().visit().value(value))


def code_of(function: Callable[..., object], *, exclude: Container[str] = ()) -> Code:
    """Fingerprint the code of a function.

    `exclude` holds names, as written in the code (`CLIENT`, `lib.fetch`), that count by name only:
    the caller covers what they refer to.
    """
    walker = CodeWalker(exclude)
    root = walker.visit().value(function, getattr(function, "__qualname__", repr(function)))
    return _fingerprint_walk(walker, root)


def code_of_value(value: object, name: str, where: str) -> Code:
    """Fingerprint a value that no code names: a parameter or an option, called `name`.

    `where` is the line of its declaration (`file.py:12`).
    """
    walker = CodeWalker(named=True)
    return _fingerprint_walk(walker, walker.visit(where).value(value, name))


def _fingerprint_walk(walker: CodeWalker, root: Part) -> Code:
    """Visit everything that `root` leads to, and fingerprint it."""
    parts: list[Part] = []
    for value, where in walker.queue:  # it grows while it is read
        parts.append(walker.entity_part(value, where))
    packages = tuple(sorted(walker.packages))
    names = [[item.name, item.reason] for item in walker.unresolved]
    return Code(
        digest=fingerprint("code", FORMAT, root, parts, packages, names),
        unresolved=tuple(walker.unresolved),
        hidden_inputs=(*walker.hidden_inputs, *(walker.path_methods if walker.uses_paths else ())),
        packages=packages,
        mutable_holders=tuple(walker.mutable_holders),
    )
