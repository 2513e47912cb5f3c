"""Proofs that one event is in a signed checkpoint: they verify without the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from tidemill.core.errors import AttestationError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.checkpoint import Checkpoint, parse_checkpoint
from tidemill.governance.json_text import parse_json
from tidemill.governance.merkle_tree import inclusion_proof, root_of_inclusion
from tidemill.ledger.event_digest import ChainedEvent, EventPlace, body_digest, event_leaf
from tidemill.ledger.person_reference import person_reference

PROOF_TYPE = "tidemill.proof/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventProof:
    """An event with its body, and the `path` of hashes from it to the root of a signed checkpoint.

    `people` are those whom the body refers to, by reference: the name and the salt, which prove each other.
    If the event was compacted, `whole` is the digest of the body that it had: only that is proven, and `body`
    is what is left of it.
    """

    place: EventPlace
    body: str
    path: tuple[bytes, ...]
    checkpoint: Checkpoint
    people: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    whole: str = ""

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
            **({"whole": self.whole} if self.whole else {}),
        }
        return json.dumps(values, ensure_ascii=False, indent=1) + "\n"

    @property
    def fault(self) -> str:
        """What is wrong with the proof, signature aside; "" if the event is in the checkpoint."""
        leaf = event_leaf(self.place, self.whole or body_digest(self.body))
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
        place=event.place,
        body=event.body,
        path=path,
        checkpoint=checkpoint,
        people=named,
        whole=event.whole,
    )
    if proof.fault:
        raise UsageError(
            f"the ledger isn't that of the checkpoint of {checkpoint.size:,} events: `tidemill audit verify` "
            "says what was changed"
        )
    return proof


def parse_proof(text: bytes, name: str) -> EventProof:
    """Read the document of a proof, as `name` in messages; UsageError if it isn't one."""
    try:
        return _parsed(parse_json(text, "it"))
    except (AttestationError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"{name} isn't a proof as `tidemill audit prove` writes it: {reason}"
        ) from error


def _parsed(values: Any) -> EventProof:
    if not isinstance(values, dict):
        raise ValueError("it isn't a JSON object")
    if values["type"] != PROOF_TYPE:
        raise ValueError(f"its type is {values['type']!r}, not {PROOF_TYPE}")
    return EventProof(
        place=_place(**values["event"]),
        body=_text(values["body"]),
        path=tuple(bytes.fromhex(_text(node)) for node in values["path"]),
        checkpoint=parse_checkpoint(_text(values["checkpoint"])),
        people={ref: _name(known) for ref, known in values["people"].items()},
        whole=_text(values.get("whole", "")),
    )


def _place(*, seq: Any, batch: Any, at: Any, kind: Any, **where: Any) -> EventPlace:
    if type(seq) is not int or type(batch) is not int:
        raise ValueError("the numbers of its event aren't whole numbers")
    texts = {name: None if value is None else _text(value) for name, value in where.items()}
    return EventPlace(seq=seq, batch=batch, at=float(_text(at)), kind=_text(kind), **texts)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} isn't text")
    return value


def _name(known: Any) -> tuple[str, str]:
    name, salt = known
    return _text(name), _text(salt)
