"""The interface of a code walker, as the functions that turn code and values into parts see it."""

from __future__ import annotations

from collections.abc import Container
from types import FunctionType
from typing import Any, Protocol

from tidemill.analysis.code.canonical_text import FunctionShape
from tidemill.analysis.code.hidden_inputs import HiddenInputKind
from tidemill.core.fingerprint import Part


class Visitor(Protocol):
    """One visit to a place in the code: it follows the values that the place leads to."""

    @property
    def exclude(self) -> Container[str]:
        """Names, as written in the code, that count by name only."""

    def at(
        self, where: str, label: str, *, seeded: bool = False, decorator: bool = False
    ) -> Visitor:
        """Visit another place: the line `where` (`file.py:12`) and the name that is written there.

        `seeded`: the name is called with a seed. `decorator`: it only decorates what is visited.
        """

    def body(self, shape: FunctionShape, function: FunctionType) -> None:
        """Record the text of the function that is visited."""

    def variable(self, namespace: dict[str, Any], name: str, label: str) -> None:
        """Record the use of a variable of a module, called `label` there."""

    def annotation(self) -> Visitor:
        """Visit an annotation of the same place: what it names has no hidden inputs."""

    def value(self, value: Any, label: str = "") -> Part:
        """Identify any value; `label` is the name that led to it."""

    def enqueue(self, value: Any) -> Part:
        """Refer to a function, class or sentinel of the project, which is visited once."""

    def external(self, name: str) -> Part:
        """Identify something that isn't the project's by its full name."""

    def miss_module(self, name: str) -> Part:
        """Note a module that can't be found; its part."""

    def count_package(self, name: str) -> None:
        """Count the package that the module `name` belongs to, if any."""

    def report(self, kind: HiddenInputKind, *, of_paths: bool = False) -> None:
        """Report that the place has a hidden input of this kind; `of_paths`: if the code uses paths."""

    def refuse(self, reason: str) -> Part:
        """Report that the place can't be fingerprinted."""
