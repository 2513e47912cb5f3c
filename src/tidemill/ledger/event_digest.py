"""Digests of recorded events, and the hash chain through them.

The record of an event is canonical JSON (RFC 8785: sorted keys, no spaces, UTF-8) of all that is stored of
it; in place of its body stands the SHA-256 of the body as it was written. So a digest can be verified
without the body, and doesn't change when a newer version would write the body in another way.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from tidemill.core.lazy_dataclass import dataclass

# The first byte of what is hashed tells a leaf of a Merkle tree (RFC 6962), a node and a link apart.
_LEAF, _LINK = b"\x00", b"\x02"

# The link before the first event.
FIRST_LINK = bytes(32)

_quoted: Callable[[str], str] = json.JSONEncoder(ensure_ascii=False).encode


class EventPlace(NamedTuple):
    """What is stored of an event besides its body; `batch` is the number of the first one of its append."""

    seq: int
    batch: int
    at: float
    kind: str
    environment: str | None = None
    run: str | None = None
    stage: str | None = None
    partition: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedEvent:
    """An event as it is stored, its leaf, and its link as the events before it give it, and as stored.

    `body` is the text of the event itself. If it was replaced by a smaller one, `whole` is the digest of
    what it was, and `compacted_by` the number of the event that covers the smaller one.
    """

    place: EventPlace
    body: str
    leaf: bytes
    link: bytes
    stored_link: bytes | None
    whole: str = ""
    compacted_by: int = 0

    @property
    def seq(self) -> int:
        """The number of the event."""
        return self.place.seq


def body_digest(body: str) -> str:
    """The SHA-256 of an event's body, in hexadecimal digits."""
    return sha256(body.encode()).hexdigest()


def event_record(place: EventPlace, body: str) -> bytes:
    """The record of an event as canonical JSON; `body` is the digest of its body.

    The time is a text, because canonical JSON would write some floats in another way than Python.
    """
    environment, run, stage, partition = (
        "null" if text is None else _quoted(text)
        for text in (place.environment, place.run, place.stage, place.partition)
    )
    return (
        f'{{"at":"{float(place.at)!r}","batch":{place.batch},"body":"{body}","environment":{environment},'
        f'"kind":{_quoted(place.kind)},"partition":{partition},"run":{run},"seq":{place.seq},'
        f'"stage":{stage}}}'
    ).encode()


def event_leaf(place: EventPlace, body: str) -> bytes:
    """The hash of an event's record as a leaf of a Merkle tree; `body` is the digest of its body."""
    return sha256(_LEAF + event_record(place, body)).digest()


def next_link(link: bytes, leaf: bytes) -> bytes:
    """The link of an event: it depends on its leaf and on the link before it, so on all events before."""
    return sha256(_LINK + link + leaf).digest()
