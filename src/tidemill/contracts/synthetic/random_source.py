"""What is drawn by: a generator of numpy, made by whoever knows the seed."""

from __future__ import annotations

from typing import Any, Protocol


class Chance(Protocol):
    """The methods of `numpy.random.Generator` that are used."""

    def integers(
        self, low: Any, high: Any = None, size: Any = None, *, endpoint: bool = False
    ) -> Any:
        """Whole numbers from `low` to `high`, which is left out without `endpoint`."""

    def random(self, size: Any = None) -> Any:
        """Numbers from 0 to 1, which is left out."""

    def bytes(self, length: int) -> bytes:
        """Bytes."""
