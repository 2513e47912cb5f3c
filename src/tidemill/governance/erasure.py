"""Erasure of a person: whom it is about, and where the person's rows are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from hashlib import sha256

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.people import is_person


class PlaceKind(StrEnum):
    """The kind of place in which a person's rows, or name, are."""

    PEOPLE = "people"
    EVENTS = "events"
    PREDICTIONS = "predictions"
    QUARANTINE = "quarantine"
    PUBLISHED = "published"
    DELIVERED = "delivered"
    RESULTS = "results"
    PAGES = "pages"
    LOGS = "logs"
    ATTESTATIONS = "attestations"
    FILES = "files"
    PROCESSES = "processes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureSubject:
    """Whom an erasure is about: the rows whose `column` is `value`; without a column the actor `value`.

    UsageError if what stands for no person, such as `gates` or a role, is to be erased as an actor.
    """

    value: str
    column: str = ""

    def __post_init__(self) -> None:
        if not self.column and not is_person(self.value):
            raise UsageError(
                f"{self.value!r} is not the name of a person: name who acted, as `tidemill audit show` does"
            )

    def digest(self, salt: str) -> str:
        """A digest that tells nobody the value who doesn't have the salt."""
        return sha256(f"{salt} {self.column} {self.value}".encode()).hexdigest()


def parse_subject(name: str, column: str) -> ErasureSubject:
    """The subject of a command: a name, or `COLUMN=VALUE`; UsageError for both, neither, or another text."""
    if bool(name) == bool(column):
        raise UsageError(
            "name who is to be erased: a person who acted, or --column COLUMN=VALUE, such as "
            "--column customer_id=123"
        )
    if name:
        return ErasureSubject(value=name)
    key, equals, value = column.partition("=")
    if not equals or not key.strip() or not value:
        raise UsageError(f"--column {column!r} is not COLUMN=VALUE, such as customer_id=123")
    return ErasureSubject(column=key.strip(), value=value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasurePlace:
    """A place that has rows (or events, or mentions) of the subject.

    `left` says why Tidemill doesn't remove them, or, where `rows` is 0, why it can't tell if there are any.
    Those of a table have its `stage` and `partition`.
    """

    kind: PlaceKind
    name: str
    rows: int
    left: str = ""
    stage: str = ""
    partition: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What was found of a subject, and whether it was removed; then `rows` are those that really were.

    `salt` makes the digest of the subject in the ledger; it isn't stored.
    """

    subject: ErasureSubject
    places: tuple[ErasurePlace, ...]
    done: bool = False
    digest: str = ""
    salt: str = ""

    @property
    def is_unknown(self) -> bool:
        """Whether it is about a name of nobody who acted."""
        known = any(place.kind is PlaceKind.PEOPLE for place in self.places)
        return not self.subject.column and not known

    @property
    def removed(self) -> Mapping[str, int]:
        """The rows to remove, by kind of place."""
        return _count([place for place in self.places if not place.left])

    @property
    def left(self) -> Mapping[str, int]:
        """The rows that stay, by kind of place."""
        return _count([place for place in self.places if place.left])


def _count(places: Sequence[ErasurePlace]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for place in places:
        found[place.kind] += place.rows
    return {str(kind): rows for kind, rows in sorted(found.items()) if rows}
