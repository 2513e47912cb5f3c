"""Ports: what a sweep asks of a ledger and of stores, and how it deletes what nothing needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Protocol, TypeAlias, runtime_checkable

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.garbage import MarkedUse, ObjectUse, SupersededEffect, SupersededResult
from tidemill.ports.ledger import Guard


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """A stored object, its size in bytes, and when it was last stored (Unix seconds)."""

    name: str
    bytes: int
    written: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Discarded:
    """Deleted objects with their sizes in bytes, those left because they are new, and why others failed."""

    sizes: Mapping[str, int]
    recent: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


# Deletes objects and says what came of it.
Discard: TypeAlias = Callable[[Sequence[str]], Discarded]


class GarbageFacts(Protocol):
    """What the ledger knows about objects that may not be needed any more."""

    def superseded_results(
        self, before: float, stage: str = "", partition: str = ""
    ) -> Iterator[SupersededResult]:
        """Yield the results that nothing has been bound to since a time, by key; "" means all of them."""

    def newest_superseded(self, count: int) -> Iterator[tuple[str, str, str, int]]:
        """Yield the newest `count` superseded results of each partition of each environment.

        That is environment, stage, key and rank from 1.
        """

    def count_superseded(self, after: float, before: float) -> int:
        """Return about how many results were superseded after a time, and by another; this is quick."""

    def superseded_effects(self, before: float) -> Iterator[SupersededEffect]:
        """Yield the deliveries that were replaced before a time, and whose objects are still kept."""

    def dropped_rulings(self) -> Iterator[SupersededEffect]:
        """Yield the rulings that are in force in no environment any more."""

    def needing(self, events: Collection[int]) -> set[int]:
        """Return those of some events that still keep an object."""

    def freed_objects(
        self, events: Sequence[int], going: Collection[int]
    ) -> Iterator[tuple[str, int]]:
        """Yield the objects that only events in `going` need, each with the last of these, if in `events`."""

    def uses(self, name: str) -> Sequence[ObjectUse]:
        """Return what needs an object, oldest first."""

    def unneeded(self, names: Sequence[str]) -> list[str]:
        """Return those of some stored objects that no event needs, and that no sweep has marked."""


class GarbageRemoval(Protocol):
    """Deletes what is marked, in transactions that keep out whatever would bind it."""

    def pending_marks(self) -> Sequence[int]:
        """Return the marks with objects that aren't known to be deleted."""

    def marked_uses(self, mark: int) -> Sequence[MarkedUse]:
        """Return the events that a mark names."""

    def waiting_for(self, mark: int, now: float) -> str:
        """Return the run that may still bind what is marked, because it began before; "" if there is none."""

    def oldest_run(self, now: float) -> float | None:
        """Return since when the oldest active run holds its lease; None if there is none."""

    def remove_marked(
        self, mark: int, discard: Discard, *, guard: Guard, after: str, limit: int
    ) -> tuple[str, Discarded]:
        """Delete the next `limit` objects of a mark after a name; return the last name, "" at the end.

        ConflictError if the guard doesn't hold; then nothing is deleted.
        """

    def remove_unneeded(self, names: Sequence[str], discard: Discard, *, guard: Guard) -> Discarded:
        """Delete those of some objects that no event needs by now; ConflictError as above."""


@runtime_checkable
class StoredObjects(Protocol):
    """The upkeep of an object store."""

    def stored(self) -> Iterator[StoredObject]:
        """Yield all stored objects."""

    def sizes(self, names: Collection[str]) -> Mapping[str, int]:
        """Map those of some objects that are stored to their sizes in bytes."""

    def discard(self, names: Sequence[str], *, before: float) -> Discarded:
        """Delete objects that were last stored before a time; missing ones have size 0."""

    def remove_leftovers(self, before: float, *, dry_run: bool = False) -> int:
        """Delete what writers left that died before a time; return the number of bytes."""


class MemoSpaces(Protocol):
    """The upkeep of a memo store."""

    def unused_spaces(self, before: float) -> Mapping[str, int]:
        """Map the spaces that nobody has used since a time to their sizes in bytes."""

    def drop_space(self, space: str, before: float) -> int:
        """Delete a space that is still unused; return the number of bytes."""
