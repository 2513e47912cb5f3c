"""Objects that are written to one store while those of another one can be read as well."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

from tidemill.core.payload import Payload
from tidemill.ports.artifacts import Artifacts, StoredBytes


class LayeredArtifacts:
    """Objects of the store `upper`, and those of `lower`, which is only read."""

    def __init__(self, upper: Artifacts, lower: Artifacts) -> None:
        self._upper = upper
        self._lower = lower

    def put_all(self, objects: Sequence[tuple[Payload, str]]) -> Sequence[str]:
        return self._upper.put_all(objects)

    def get(self, name: str) -> bytes:
        return self._layer(name).get(name)

    def open(self, name: str) -> AbstractContextManager[StoredBytes]:
        return self._layer(name).open(name)

    def uri(self, name: str) -> str:
        return self._layer(name).uri(name)

    def fetch(self, names: Collection[str]) -> None:
        self._upper.fetch(names)
        self._lower.fetch([*self._upper.find_missing(names)])

    def find_missing(self, names: Collection[str]) -> Mapping[str, str]:
        return self._lower.find_missing([*self._upper.find_missing(names)])

    def versions(self, names: Collection[str]) -> Mapping[str, object]:
        return {**self._lower.versions(names), **self._upper.versions(names)}

    def names(self, *, damaged: bool = False) -> Iterable[str]:
        return dict.fromkeys(
            (*self._upper.names(damaged=damaged), *self._lower.names(damaged=damaged))
        )

    def remove(self, names: Iterable[str]) -> int:
        return self._upper.remove(names)

    def _layer(self, name: str) -> Artifacts:
        return self._lower if self._upper.find_missing([name]) else self._upper
