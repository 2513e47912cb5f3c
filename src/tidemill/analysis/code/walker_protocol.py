"""What those who turn code and values into parts may ask of whoever follows them."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Protocol

from tidemill.analysis.code.hidden_inputs import TouchKind
from tidemill.core.fingerprint import Part


class Follow(Protocol):
    """Follows code from value to value, and knows which name in which line led there."""

    exclude: Container[str]
    where: str
    label: str
    seeded: bool
    typed: bool  # is it an annotation?

    def value(self, value: Any, label: str = "") -> Part:
        """What identifies any value; `label` says where it was found."""

    def later(self, value: Any) -> Part:
        """A function, class or sentinel of the project: it is followed once, and may lead back."""

    def named(self, name: str) -> Part:
        """What isn't the project's, by its full name."""

    def package(self, name: str) -> None:
        """Count the package that a module belongs to, if it belongs to one."""

    def touch(self, kind: TouchKind) -> None:
        """Name what the code reaches for besides its inputs."""

    def refuse(self, reason: str) -> Part:
        """Name what can't be fingerprinted."""
