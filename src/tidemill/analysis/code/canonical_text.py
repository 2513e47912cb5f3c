"""The canonical text of a function, and the names that it takes from around it.

Comments, docstrings, formatting, annotations, line numbers and the names of locals leave no trace.
Names of parameters, of nested functions and classes, and of what a class body binds do: they can be
seen from outside. Where text decides which variable is meant (`locals()`, SQL over frames), locals
keep their names: a needless run is better than a wrong reuse.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidemill.analysis.code.bindings import BINDINGS, Definition, root
from tidemill.analysis.code.canonical_writer import CanonicalWriter
from tidemill.analysis.code.expressions import EXPRESSIONS
from tidemill.analysis.code.hidden_inputs import is_given, is_seeded
from tidemill.analysis.code.scopes import Import, Spelling, Use, is_private
from tidemill.core.fingerprint import fingerprint

_METHODS = {**BINDINGS, **EXPRESSIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """A name from outside and the attributes read from it.

    `seeded`: a call on it is given something; `repeatable`: it is given a seed. `optional`: it may
    be bound elsewhere. `dynamic`: an attribute of it is looked up by a computed name. `bare`: it
    is imported, not used.
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

    @property
    def label(self) -> str:
        """The reference as it is written."""
        return ".".join((self.name, *self.path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loose:
    """An attribute of a value that can't be known without running the code."""

    name: str
    line: int
    repeatable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What the text alone shows that can't be fingerprinted."""

    name: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A function as a digest of its canonical text, and what its meaning takes from elsewhere."""

    digest: str
    refs: tuple[Ref, ...]
    loose: tuple[Loose, ...]
    problems: tuple[Problem, ...]


def shape_of(
    node: Definition | ast.Lambda,
    decorators: Sequence[ast.expr],
    *,
    in_class: bool,
) -> Shape:
    """The shape of a function with those of its decorators that count.

    Default values are left to who has the function: they are values by now.
    """
    writer = CanonicalWriter(_METHODS)
    root(writer, node, decorators)
    finder = _Finder(in_class=in_class)
    for name, line, source in writer.imports:
        bare = Ref(name=name, line=line, source=source, bare=True)
        finder.refs.setdefault((name, source), bare)
    for path, line, call in writer.attributes:
        finder.loosely(path, line, call)
    for name, line, reason in writer.problems:
        finder.problems.append(Problem(name=name, line=line, reason=reason))
    spelling = Spelling(keep=writer.sees_locals)
    text = [part if isinstance(part, str) else finder.use(part, spelling) for part in writer.out]
    # Where it stands a second time is a matter of layout.
    first: dict[tuple[str, bool], Loose] = {}
    for item in finder.loose:
        first.setdefault((item.name, item.repeatable), item)
    return Shape(
        digest=fingerprint("function", "".join(text)),
        refs=tuple(finder.refs.values()),
        loose=tuple(first.values()),
        problems=tuple(dict.fromkeys(finder.problems)),
    )


class _Finder:
    """Sorts names into what comes from outside, what can't be known, and what is refused."""

    def __init__(self, *, in_class: bool) -> None:
        self.in_class = in_class
        self.refs: dict[object, Ref] = {}
        self.loose: list[Loose] = []
        self.problems: list[Problem] = []

    def use(self, use: Use, spelling: Spelling) -> str:
        """Sort one use of a name; its canonical spelling."""
        scope = use.scope
        home = None if scope is None else scope.home(use.name)
        inside = scope is not None and scope.in_class()
        if home is None and use.name == "__class__" and inside:
            return "__class__,"
        if home is None:
            self._outside(use, private=is_private(use.name) and (inside or self.in_class))
        elif home.kind == "class":
            # A class body that binds a name may still read the global of that name before.
            self._outside(replace(use, optional=True), private=False)
        else:
            self._bound(use, home.sources.get(use.name, ()))
        return spelling.of(use.name, home)

    def _outside(self, use: Use, *, private: bool) -> None:
        if private:
            reason = "a private name inside a class means another"
            self.problems.append(Problem(name=use.name, line=use.line, reason=reason))
        elif not use.stored:
            self._add(use, None)
        elif not use.optional:
            reason = "it assigns a global variable"
            self.problems.append(Problem(name=use.name, line=use.line, reason=reason))

    def _bound(self, use: Use, sources: Sequence[Import]) -> None:
        if not use.stored:
            for source in sources:
                self._add(use, source)
        if not sources:
            self.loosely(use.path, use.line, use.call)

    def _add(self, use: Use, source: Import | None) -> None:
        """Each reference counts once, at its first line."""
        seeded = is_given(use.call, (use.name, *use.path)[-1])
        repeatable = bool(use.path) and is_seeded(use.call, use.path)
        flags = (seeded, repeatable, use.optional, use.dynamic)
        key = (use.name, use.path, source, flags)
        if key not in self.refs:
            self.refs[key] = Ref(
                name=use.name,
                line=use.line,
                path=use.path,
                source=source,
                seeded=seeded,
                repeatable=repeatable,
                optional=use.optional,
                dynamic=use.dynamic,
            )

    def loosely(self, path: Sequence[str], line: int, call: ast.Call | None) -> None:
        """Note attributes of a value that can't be known; the call is on the last of them."""
        for index, name in enumerate(path):
            called = call if index == len(path) - 1 else None
            repeatable = is_seeded(called, path[: index + 1])
            self.loose.append(Loose(name=name, line=line, repeatable=repeatable))
