"""The canonical text of a function, and the names that it uses from outside.

Comments, docstrings, formatting, annotations, line numbers and the names of local variables don't count.
Names of parameters, of nested functions and classes, and of attributes in class bodies do: they are
visible outside. Where variables are looked up by name (`locals()`, SQL over frames), local variables
keep their names: an unnecessary run is better than a wrong reuse.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tidemill.analysis.code.bindings import BINDINGS, Definition, write_root
from tidemill.analysis.code.call_arguments import ADDRESS, Role
from tidemill.analysis.code.canonical_writer import CanonicalWriter
from tidemill.analysis.code.expressions import EXPRESSIONS
from tidemill.analysis.code.hidden_inputs import has_argument, is_seeded
from tidemill.analysis.code.scopes import Import, NameUse, Scope, Spelling, is_mangled
from tidemill.analysis.code.state_writes import StateCall, StateWrite, Target, targets_of
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass

_METHODS = {**BINDINGS, **EXPRESSIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A name from outside the function, and the attributes that are read from it.

    `seeded`: a call of it has an argument; `repeatable`: it has a seed. `optional`: the name may be bound
    elsewhere. `dynamic`: an attribute of it is looked up by a computed name. `bare`: it is imported, not
    used. `roles` are what calls do with it. `decorator`: it only decorates the function.
    """

    name: str
    line: int
    path: tuple[str, ...] = ()
    source: Import | None = None
    seeded: bool = False
    repeatable: bool = False
    optional: bool = False
    dynamic: bool = False
    bare: bool = False
    roles: frozenset[Role] = frozenset()
    decorator: bool = False

    @property
    def label(self) -> str:
        """The reference as it is written: `name.attribute`."""
        return ".".join((self.name, *self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnresolvedAttribute:
    """An attribute of a value that is unknown until the code runs."""

    name: str
    line: int
    repeatable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeProblem:
    """A part of the text that can't be fingerprinted."""

    name: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionShape:
    """The digest of a function's canonical text, and everything else that its meaning depends on."""

    digest: str
    references: tuple[Reference, ...]
    unresolved_attributes: tuple[UnresolvedAttribute, ...]
    problems: tuple[CodeProblem, ...]
    writes: tuple[StateWrite, ...] = ()
    calls: tuple[StateCall, ...] = ()


def function_shape(
    node: Definition | ast.Lambda,
    decorators: Sequence[ast.expr],
    *,
    in_class: bool,
) -> FunctionShape:
    """Reduce a function to its canonical text and references; `decorators` are those that count.

    Default values aren't part of the text: they count by value.
    """
    writer = CanonicalWriter(_METHODS)
    write_root(writer, node, decorators)
    finder = _ReferenceFinder(in_class=in_class)
    for name, line, source in writer.imports:
        bare = Reference(name=name, line=line, source=source, bare=True)
        finder.references.setdefault((name, source), bare)
    for path, line, call in writer.attributes:
        finder.add_attributes(path, line, call)
    for name, line, reason in writer.problems:
        finder.problems.append(CodeProblem(name=name, line=line, reason=reason))
    spelling = Spelling(keep=writer.sees_locals)
    text = [
        part if isinstance(part, str) else finder.add_use(part, spelling) for part in writer.out
    ]
    # Only the first line of each counts; the others are a matter of layout.
    first: dict[tuple[str, bool], UnresolvedAttribute] = {}
    for item in finder.unresolved_attributes:
        first.setdefault((item.name, item.repeatable), item)
    return FunctionShape(
        digest=fingerprint("function", "".join(text)),
        references=tuple(finder.references.values()),
        unresolved_attributes=tuple(first.values()),
        problems=tuple(dict.fromkeys(finder.problems)),
        writes=tuple(dict.fromkeys((*_writes(writer), *finder.assigned))),
        calls=tuple(dict.fromkeys(_calls(writer))),
    )


def _writes(writer: CanonicalWriter) -> Iterator[StateWrite]:
    """The changes of values from outside the function."""
    for item in writer.writes:
        for target in targets_of(item.chain, writer.root):
            yield StateWrite(
                target=target, line=item.line, attribute=item.attribute, method=item.method
            )


def _calls(writer: CanonicalWriter) -> Iterator[StateCall]:
    """The calls that may change a value from outside: an argument, or the owner of a method."""
    for chain, arguments in writer.calls:
        passed = tuple(
            (key, target) for key, arg in arguments for target in targets_of(arg, writer.root)
        )
        for function in targets_of(chain, writer.root):
            if (passed or function.path) and not function.deep:
                yield StateCall(function=function, arguments=passed)


class _ReferenceFinder:
    """Sorts names into references, attributes of unknown values, and problems."""

    def __init__(self, *, in_class: bool) -> None:
        self.in_class = in_class
        self.references: dict[object, Reference] = {}
        self.unresolved_attributes: list[UnresolvedAttribute] = []
        self.problems: list[CodeProblem] = []
        self.assigned: list[StateWrite] = []  # global variables

    def add_use(self, use: NameUse, spelling: Spelling) -> str:
        """Sort one use of a name; returns its canonical spelling."""
        scope = use.scope
        home = None if scope is None else scope.binding_scope(use.name)
        inside = scope is not None and scope.in_class()
        if home is None and use.name == "__class__" and inside:
            return "__class__,"
        if home is None:
            self._add_outside(use, private=is_mangled(use.name) and (inside or self.in_class))
        elif home.kind == "class":
            # A class body that binds a name may still read the global of that name before.
            self._add_outside(replace(use, optional=True), private=False)
        else:
            self._add_bound(use, home)
        return spelling.spell(use.name, home)

    def _add_outside(self, use: NameUse, *, private: bool) -> None:
        if private:
            reason = "a private name inside a class means another"
            self.problems.append(CodeProblem(name=use.name, line=use.line, reason=reason))
        elif not use.stored:
            self._add_reference(use, None)
        elif not use.optional:
            target = Target(name="")
            self.assigned.append(StateWrite(target=target, line=use.line, attribute=use.name))
            reason = "it assigns a global variable"
            self.problems.append(CodeProblem(name=use.name, line=use.line, reason=reason))

    def _add_bound(self, use: NameUse, home: Scope) -> None:
        sources = home.sources.get(use.name, ())
        if not use.stored:
            for source in sources:
                self._add_reference(use, source)
        if use.role == "printed" and use.name in home.objects:
            self.add_attributes([ADDRESS], use.line, None)
        if not sources:
            self.add_attributes(use.path, use.line, use.call)

    def _add_reference(self, use: NameUse, source: Import | None) -> None:
        """Record a reference, once, at its first line."""
        seeded = has_argument(use.call, (use.name, *use.path)[-1])
        repeatable = bool(use.path) and is_seeded(use.call, use.path)
        flags = (seeded, repeatable, use.optional, use.dynamic)
        key = (use.name, use.path, source, flags)
        roles: frozenset[Role] = frozenset() if use.role is None else frozenset((use.role,))
        if key in self.references:
            known = self.references[key]
            only = known.decorator and use.scope is None
            self.references[key] = replace(known, roles=known.roles | roles, decorator=only)
        else:
            self.references[key] = Reference(
                name=use.name,
                line=use.line,
                path=use.path,
                source=source,
                seeded=seeded,
                repeatable=repeatable,
                optional=use.optional,
                dynamic=use.dynamic,
                roles=roles,
                decorator=use.scope is None,
            )

    def add_attributes(self, path: Sequence[str], line: int, call: ast.Call | None) -> None:
        """Record attributes of an unknown value; the call is on the last of them."""
        for index, name in enumerate(path):
            called = call if index == len(path) - 1 else None
            repeatable = is_seeded(called, path[: index + 1])
            self.unresolved_attributes.append(
                UnresolvedAttribute(name=name, line=line, repeatable=repeatable)
            )
