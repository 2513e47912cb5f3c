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

from tidemill.analysis.code.hidden_inputs import (
    Touch,
    Unresolved,
)
from tidemill.analysis.code.mutable_state import Keeper, State
from tidemill.analysis.code.reference_walker import CodeWalker
from tidemill.core.fingerprint import Part, fingerprint

# Bump it when the same code gets another digest: nothing recorded before is then found again.
FORMAT = 2


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
        return State(self.keepers, lambda value: CodeWalker().visit().value(value))


def code_of(function: Callable[..., object], *, exclude: Container[str] = ()) -> Code:
    """The code part of a function's fingerprint.

    `exclude` holds names, as they are written in the code (`CLIENT`, `lib.fetch`), that count by
    name only: somebody else answers for what they stand for.
    """
    walker = CodeWalker(exclude)
    root = walker.visit().value(function, getattr(function, "__qualname__", repr(function)))
    return _code(walker, root)


def code_of_value(value: object, name: str, where: str) -> Code:
    """The same of a value that no code names: a parameter or an option, called `name`.

    `where` it was declared (`file.py:12`).
    """
    walker = CodeWalker(named=True)
    return _code(walker, walker.visit(where).value(value, name))


def _code(walker: CodeWalker, root: Part) -> Code:
    """Visit everything that `root` leads to, and fingerprint it."""
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
