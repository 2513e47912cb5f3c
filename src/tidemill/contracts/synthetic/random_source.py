"""The interface of the random generator; the caller creates one from a seed."""

from __future__ import annotations

from typing import Any, Protocol


class RandomSource(Protocol):
    """The methods of `numpy.random.Generator` that this package uses."""

    def integers(
        self, low: Any, high: Any = None, size: Any = None, *, endpoint: bool = False
    ) -> Any:
        """Draw integers from `low` to `high`, which is excluded without `endpoint`."""

    def random(self, size: Any = None) -> Any:
        """Draw floats from 0 (included) to 1 (excluded)."""

    def bytes(self, length: int) -> bytes:
        """Draw `length` bytes."""
