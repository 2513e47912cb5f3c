"""The code part of a recipe's fingerprint: what a function does, as far as its code shows.

It covers the function and, transitively, every function, class, constant, default, closure value
and module attribute of the project that it uses: functions by their canonical text, everything else by
its current value. External code counts by name, packages by version as well, Tidemill by its public
names only. Names that can't be followed are reported, never guessed; hidden inputs are reported, too.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import field

from tidemill.analysis.code.hidden_inputs import HiddenInput, Unresolved
from tidemill.analysis.code.mutable_state import HeldState, MutableHolder, Variable
from tidemill.analysis.code.reference_walker import CodeWalker
from tidemill.analysis.code.state_changes import StateChange, state_changes
from tidemill.core.fingerprint import Part, fingerprint
from tidemill.core.lazy_dataclass import dataclass

# Bump it when the same code gets another digest: results recorded before are then not found.
FORMAT = 2
_ASSIGNS = "it assigns a variable of a module"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The digest of a function's code, and everything that the digest doesn't cover.

    `packages` are the third-party distributions that the code uses, with their versions, which are
    part of the digest. `state` is what the code uses that can change, `changes` is what it changes itself.
    Code of equal digests without `unresolved` names and hidden inputs behaves the same, unless it changes
    its state.
    """

    digest: str
    unresolved: tuple[Unresolved, ...] = ()
    hidden_inputs: tuple[HiddenInput, ...] = ()
    packages: tuple[tuple[str, str], ...] = ()
    mutable_holders: tuple[MutableHolder, ...] = field(default=(), compare=False, repr=False)
    # Every value that can change in place, and every variable of a module, by its key.
    state: Mapping[object, MutableHolder] = field(default_factory=dict, compare=False, repr=False)
    changes: tuple[StateChange, ...] = field(default=(), compare=False, repr=False)
    # What the code uses of modules outside of the project: `sklearn.pipeline.make_pipeline`.
    modules: tuple[str, ...] = field(default=(), compare=False, repr=False)
    # The project's functions and classes that the code consists of.
    entities: tuple[object, ...] = field(default=(), compare=False, repr=False)
    _held: list[HeldState] = field(default_factory=list, compare=False, repr=False)

    @property
    def held_state(self) -> HeldState:
        """A snapshot of the mutable state, as it was when this was first asked for."""
        if not self._held:
            self._held.append(HeldState([*self.held().values()], identify))
            self._held[0].take()
        return self._held[0]

    def held(self) -> Mapping[object, MutableHolder]:
        """The variables of modules that the code uses, and the outermost values that can change in place."""
        values: dict[object, MutableHolder] = {id(i.value): i for i in self.mutable_holders}
        variables = {
            key: item for key, item in self.state.items() if isinstance(item.value, Variable)
        }
        return {**values, **variables}


def identify(value: object) -> Part:
    """Identify a value in its current form."""
    return CodeWalker().visit().value(value)


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
    for number, (value, where) in enumerate(walker.queue):  # it grows while it is read
        parts.append(walker.entity_part(number, value, where))
    changes = tuple(state_changes(walker.bodies_that_run()))
    known = {item.where for item in walker.unresolved}
    for change in changes:
        if isinstance(change.value, Variable) and change.where not in known:
            walker.visit(change.where, change.name).refuse(_ASSIGNS)
    packages = tuple(sorted(walker.packages))
    names = [[item.name, item.reason] for item in walker.unresolved]
    return Code(
        digest=fingerprint("code", FORMAT, root, parts, packages, names),
        unresolved=tuple(walker.unresolved),
        hidden_inputs=(*walker.hidden_inputs, *(walker.path_methods if walker.uses_paths else ())),
        packages=packages,
        mutable_holders=tuple(walker.mutable_holders),
        state=walker.state,
        changes=changes,
        modules=tuple(walker.modules),
        entities=tuple(value for value, _ in walker.queue),
    )
