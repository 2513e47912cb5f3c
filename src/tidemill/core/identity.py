"""Compare values by identity, as keys of caches: by value that costs too much, or isn't possible."""

from __future__ import annotations

from typing import Generic, TypeVarTuple

Ts = TypeVarTuple("Ts")


class ByIdentity(Generic[*Ts]):
    """Values that equal others only if each is the same object. They live as long as this does."""

    __slots__ = ("values",)

    def __init__(self, *values: *Ts) -> None:
        self.values = values

    def __hash__(self) -> int:
        return hash((*map(id, self.values),))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and [*map(id, self.values)] == [*map(id, other.values)]
