"""Proofs that one event is in a signed checkpoint: they verify without the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidemill.core.errors import UsageError
from tidemill.governance.checkpoint import Checkpoint, parse_checkpoint
from tidemill.governance.merkle_tree import inclusion_proof, root_of_inclusion
from tidemill.ledger.event_digest import ChainedEvent, EventPlace, body_digest, event_leaf
from tidemill.ledger.person_reference import person_reference

PROOF_TYPE = "tidemill.proof/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventProof:
    """An event with its body, and the `path` of hashes from it to the root of a signed checkpoint.

    `people` are those whom the body refers to, by reference: the name and the salt, which prove each other.
    """

    place: EventPlace
    body: str
    path: tuple[bytes, ...]
    checkpoint: Checkpoint
    people: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def document(self) -> str:
        """The proof as a JSON document."""
        values = {
            "type": PROOF_TYPE,
            "event": {**self.place._asdict(), "at": repr(float(self.place.at))},
            "body": self.body,
            "path": [node.hex() for node in self.path],
            "checkpoint": self.checkpoint.line,
            "people": {ref: list(known) for ref, known in self.people.items()},
        }
        return json.dumps(values, ensure_ascii=False, indent=1) + "\n"

    @property
    def fault(self) -> str:
        """What is wrong with the proof, signature aside; "" if the event is in the checkpoint."""
        leaf = event_leaf(self.place, body_digest(self.body))
        size = self.checkpoint.size
        root = root_of_inclusion(leaf, self.place.seq - 1, size, self.path)
        if root is None or root.hex() != self.checkpoint.root:
            return f"event {self.place.seq} isn't in the checkpoint of {size:,} events as the proof has it"
        for ref, (name, salt) in self.people.items():
            if person_reference(name, salt) != ref:
                return f"{ref} isn't the reference to {name!r}"
        return ""


def prove_event(
    event: ChainedEvent,
    leaves: Sequence[bytes],
    checkpoint: Checkpoint,
    people: Mapping[str, tuple[str, str]],
) -> EventProof:
    """Prove that an event is in a checkpoint; UsageError if the ledger's `leaves` aren't those of it."""
    path = inclusion_proof(leaves[: checkpoint.size], event.seq - 1)
    named = {ref: known for ref, known in people.items() if ref in event.body}
    proof = EventProof(
        place=event.place, body=event.body, path=path, checkpoint=checkpoint, people=named
    )
    if proof.fault:
        raise UsageError(
            f"the ledger isn't that of the checkpoint of {checkpoint.size:,} events: `tidemill audit verify` "
            "says what was changed"
        )
    return proof


def parse_proof(text: str) -> EventProof:
    """Read the document of a proof; UsageError if it isn't one."""
    try:
        values: dict[str, Any] = json.loads(text)
        if values["type"] != PROOF_TYPE:
            raise ValueError(values["type"])
        event = dict(values["event"])
        place = EventPlace(**{**event, "at": float(event["at"])})
        if not isinstance(place.seq, int) or not isinstance(values["body"], str):
            raise TypeError("an event has a number and a body")
        return EventProof(
            place=place,
            body=values["body"],
            path=tuple(map(bytes.fromhex, values["path"])),
            checkpoint=parse_checkpoint(values["checkpoint"]),
            people={str(ref): _name(known) for ref, known in values["people"].items()},
        )
    except (KeyError, TypeError, ValueError, RecursionError, AttributeError) as error:
        raise UsageError(
            f"it isn't a proof as `tidemill audit prove` writes it: {error}"
        ) from error


def _name(known: Any) -> tuple[str, str]:
    name, salt = known
    return str(name), str(salt)
