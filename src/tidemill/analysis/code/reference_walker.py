"""A breadth-first walk over all code and values that a function refers to."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from types import FunctionType
from typing import Any

from tidemill.analysis.code.canonical_text import FunctionShape
from tidemill.analysis.code.functions import function_part
from tidemill.analysis.code.hidden_inputs import (
    HiddenInput,
    HiddenInputKind,
    Unresolved,
    hidden_input_kind,
    refusal_reason,
)
from tidemill.analysis.code.module_origin import distribution_of, origin_of_module, public_name
from tidemill.analysis.code.mutable_state import MutableHolder, Variable, is_mutable
from tidemill.analysis.code.name_resolution import NameScope
from tidemill.analysis.code.state_changes import Body
from tidemill.analysis.code.value_identity import value_part
from tidemill.core.errors import TidemillError
from tidemill.core.fingerprint import Part
from tidemill.core.lazy_dataclass import dataclass

# Classes of paths that reach for files, unlike `PurePath`.
_PATHS = (
    *(
        f"{module}.{name}"
        for module in ("pathlib", "pathlib._local")
        for name in ("Path", "PosixPath")
    ),
    "importlib.resources",
)


class CodeWalker:
    """Visits each function, class and sentinel once, in the order in which they are found.

    `named`: the name of the function that the walk begins with counts.
    """

    def __init__(self, exclude: Container[str] = (), *, named: bool = False) -> None:
        self.exclude = exclude
        self.queue: list[tuple[Any, str]] = []
        self.packages: dict[tuple[str, str], None] = {}
        # Modules outside of the project, installed or not, by what the code uses of them.
        self.modules: dict[str, None] = {}
        self.unresolved: dict[Unresolved, None] = {}
        self.hidden_inputs: dict[HiddenInput, None] = {}
        # Attributes of unknown values that are hidden inputs if the code uses paths.
        self.path_methods: dict[HiddenInput, None] = {}
        self.uses_paths = False
        self.mutable_holders: list[MutableHolder] = []
        # Values that are being identified, by id: the depth at which each was entered.
        self.entered: dict[int, int] = {}
        # How many of them can change in place: their contents count with them.
        self.mutable_depth = 0
        # Every value that can change in place, and every variable of a module, by its key.
        self.state: dict[object, MutableHolder] = {}
        self._bodies: dict[int, Body] = {}
        # The entities that each entity refers to, but for its decorators, which don't run when it is called.
        self._references: dict[int, set[int]] = {}
        self._current = -1
        self._named = named
        self._numbers: dict[int, int] = {}

    def visit(self, where: str = "", label: str = "") -> Visit:
        """Begin at a line (`file.py:12`) and a name."""
        return Visit(self, where, label)

    def entity_part(self, number: int, value: Any, where: str) -> Part:
        """Identify a function, class or sentinel by everything that it uses."""
        name = getattr(value, "__qualname__", "")
        self._current = number
        holder = MutableHolder(value, name, where)
        self.mutable_holders.append(holder)
        self.state.setdefault(id(value), holder)
        visit = self.visit(where, name)
        if isinstance(value, FunctionType):
            named = self._named or value is not self.queue[0][0]
            return function_part(value, visit, named=named)
        from tidemill.analysis.code.classes import class_part

        return class_part(value, visit) if isinstance(value, type) else "sentinel"

    def add_body(self, body: Body) -> None:
        """Record the text of the function that is being visited."""
        self._bodies[self._current] = body

    def bodies_that_run(self) -> list[Body]:
        """The functions that may run when the root is called."""
        found, queue = {-1}, [-1]
        while queue:
            fresh = self._references.get(queue.pop(), set()) - found
            found |= fresh
            queue += fresh
        return [self._bodies[number] for number in sorted(found) if number in self._bodies]

    def enqueue(self, value: Any, where: str, *, runs: bool = True) -> int:
        """Queue a value unless it is queued; the queue keeps it alive, so its id stays its own.

        `runs`: it may run when what refers to it is called.
        """
        number = self._numbers.setdefault(id(value), len(self.queue))
        if number == len(self.queue):
            self.queue.append((value, where))
        if runs:
            self._references.setdefault(self._current, set()).add(number)
        return number


@dataclass(frozen=True, slots=True)
class Visit:
    """A `Visitor` at one place of a walk."""

    walker: CodeWalker
    where: str
    label: str
    seeded: bool = False
    in_annotation: bool = False
    in_decorator: bool = False

    @property
    def exclude(self) -> Container[str]:
        return self.walker.exclude

    def at(self, where: str, label: str, *, seeded: bool = False, decorator: bool = False) -> Visit:
        return replace(self, where=where, label=label, seeded=seeded, in_decorator=decorator)

    def body(self, shape: FunctionShape, function: FunctionType) -> None:
        self.walker.add_body(Body(shape, NameScope.of(function)))

    def variable(self, namespace: dict[str, Any], name: str, label: str) -> None:
        variable = Variable(namespace, name)
        self.walker.state.setdefault(variable.key, MutableHolder(variable, label, self.where))

    def annotation(self) -> Visit:
        return replace(self, in_annotation=True)

    def value(self, value: Any, label: str = "") -> Part:
        """Identify any value; one that contains itself refers to where it was entered."""
        walker, key = self.walker, id(value)
        if key in walker.entered:
            return ["again", walker.entered[key]]
        visit = replace(self, label=label) if label else self
        walker.entered[key] = len(walker.entered)
        mutable = is_mutable(value)
        if mutable:
            walker.state.setdefault(key, MutableHolder(value, visit.label, visit.where))
        if mutable and not walker.mutable_depth:
            walker.mutable_holders.append(MutableHolder(value, visit.label, visit.where))
        walker.mutable_depth += mutable
        try:
            return value_part(value, visit)
        except TidemillError:
            raise
        except Exception as error:  # noqa: BLE001 - its attributes may be computed by the project's code
            return visit.refuse(f"looking at it raises {type(error).__name__}: {error}")
        finally:
            del walker.entered[key]
            walker.mutable_depth -= mutable

    def enqueue(self, value: Any) -> Part:
        number = self.walker.enqueue(value, self.where, runs=not self.in_decorator)
        return ["follow", number]

    def external(self, name: str) -> Part:
        """Identify something by its full name; count its package and its hidden inputs."""
        self.count_package(name)
        self.walker.uses_paths |= name.startswith(_PATHS)
        if self.in_annotation:
            return ["named", public_name(name)]
        reason = refusal_reason(name)
        if reason is not None:
            return self.refuse(reason)
        kind = hidden_input_kind(name, seeded=self.seeded)
        if kind is not None:
            self.report(kind)
        return ["named", public_name(name)]

    def count_package(self, name: str) -> None:
        top = name.partition(".")[0]
        if origin_of_module(top) == "package":
            self.walker.modules[name] = None
            package = distribution_of(top)
            self.walker.packages[package] = None
            if not package[1]:
                self.refuse(f"the version of the package {top!r} can't be found out")

    def miss_module(self, name: str) -> Part:
        self.walker.modules[name] = None
        return self.refuse(f"there is no module {name!r}")

    def report(self, kind: HiddenInputKind, *, of_paths: bool = False) -> None:
        found = HiddenInput(name=self.label, kind=kind, where=self.where)
        (self.walker.path_methods if of_paths else self.walker.hidden_inputs)[found] = None

    def refuse(self, reason: str) -> Part:
        found = Unresolved(name=self.label, reason=reason, where=self.where)
        self.walker.unresolved[found] = None
        return ["unresolved", self.label]
