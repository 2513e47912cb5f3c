"""The proof of an event verifies alone, and proves nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.mutated_json import mutated_bytes
from tidemill.core.errors import UsageError
from tidemill.governance.audit_proof import EventProof, parse_proof, prove_event
from tidemill.governance.checkpoint import Checkpoint
from tidemill.governance.merkle_tree import tree_root
from tidemill.ledger.event_digest import (
    FIRST_LINK,
    ChainedEvent,
    EventPlace,
    body_digest,
    event_leaf,
    next_link,
)
from tidemill.ledger.person_reference import person_reference


def events(count: int) -> list[ChainedEvent]:
    found, link = [], FIRST_LINK
    for seq in range(1, count + 1):
        place = EventPlace(seq=seq, batch=seq, at=seq / 4, kind="Voted", environment="prod")
        body = f'{{"kind":"Voted","reason":"Grüße {seq}"}}'
        leaf = event_leaf(place, body_digest(body))
        link = next_link(link, leaf)
        found.append(ChainedEvent(place=place, body=body, leaf=leaf, link=link, stored_link=link))
    return found


def checkpoint(leaves: list[bytes]) -> Checkpoint:
    return Checkpoint(
        first=leaves[0].hex(),
        size=len(leaves),
        root=tree_root(leaves).hex(),
        link="01" * 32,
        at=5.0,
        key="02" * 32,
        signature=b"signature",
    )


def proof_of(seq: int, size: int, count: int) -> EventProof:
    known = events(count)
    leaves = [event.leaf for event in known]
    return prove_event(known[seq - 1], leaves, checkpoint(leaves[:size]), {})


@given(st.data())
def test_each_event_of_a_checkpoint_can_be_proved(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 40))
    size = data.draw(st.integers(1, count))
    proof = proof_of(data.draw(st.integers(1, size)), size, count)
    assert proof.fault == ""
    assert parse_proof(proof.document.encode(), "it") == proof


@pytest.mark.parametrize(
    "change",
    [
        lambda proof: replace(proof, body=proof.body.replace("Grüße", "Grüsse")),
        lambda proof: replace(proof, place=proof.place._replace(at=9.0)),
        lambda proof: replace(proof, place=proof.place._replace(seq=4)),
        lambda proof: replace(proof, place=proof.place._replace(seq=0)),
        lambda proof: replace(proof, place=proof.place._replace(seq=99)),
        lambda proof: replace(proof, path=proof.path[:-1]),
        lambda proof: replace(proof, checkpoint=replace(proof.checkpoint, root="03" * 32)),
    ],
)
def test_a_changed_proof_proves_nothing(change: Callable[[EventProof], EventProof]) -> None:
    assert "isn't in the checkpoint of 6 events" in change(proof_of(3, 6, 8)).fault


def test_a_ledger_that_is_not_that_of_the_checkpoint_gives_no_proof() -> None:
    known = events(5)
    leaves = [event.leaf for event in known]
    other = replace(checkpoint(leaves), root="03" * 32)
    with pytest.raises(UsageError, match="isn't that of the checkpoint of 5 events"):
        prove_event(known[2], leaves, other, {})


def test_the_people_of_an_event_are_proved_by_name_and_salt() -> None:
    ref, other = person_reference("ana", "salt"), person_reference("ben", "salt")
    place = EventPlace(seq=1, batch=1, at=1.0, kind="Voted")
    body = f'{{"actor":"{ref}"}}'
    leaf = event_leaf(place, body_digest(body))
    event = ChainedEvent(
        place=place, body=body, leaf=leaf, link=next_link(FIRST_LINK, leaf), stored_link=None
    )
    people = {ref: ("ana", "salt"), other: ("ben", "salt")}
    proof = prove_event(event, [leaf], checkpoint([leaf]), people)
    assert proof.people == {ref: ("ana", "salt")}
    assert parse_proof(proof.document.encode(), "it") == proof
    assert "isn't the reference to 'cleo'" in replace(proof, people={ref: ("cleo", "salt")}).fault


def edited(**values: Any) -> str:
    return json.dumps({**json.loads(proof_of(3, 6, 8).document), **values})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "5",
        "{}",
        edited(type="tidemill.proof/2"),
        edited(event={}),
        edited(event=None),
        edited(event={**json.loads(proof_of(3, 6, 8).document)["event"], "seq": "3"}),
        edited(event={**json.loads(proof_of(3, 6, 8).document)["event"], "more": 3}),
        edited(body=None),
        edited(path=["x"]),
        edited(path=5),
        edited(people=None),
        edited(people={"person:1": "x"}),
        edited(checkpoint="{}"),
        "[" * 100_000,
    ],
)
def test_another_document_is_no_proof(text: str) -> None:
    with pytest.raises(UsageError, match="it isn't a proof"):
        parse_proof(text.encode(), "it")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{}", "it has no 'type'"),
        (b"[]", "it isn't a JSON object"),
        (b"\xff", "it isn't UTF-8"),
        (edited(body="\ud800").encode(), "it has half of a surrogate pair"),
        (edited(people={"person:1": [1, "salt"]}).encode(), "1 isn't text"),
    ],
)
def test_the_message_says_what_is_wrong(text: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_proof(text, "p.json")


PROOF = json.loads(proof_of(3, 6, 8).document)


@given(mutated_bytes(PROOF))
def test_a_proof_with_any_change_proves_nothing_else(text: bytes) -> None:
    try:
        found = parse_proof(text, "it")
    except UsageError:
        return
    if not found.fault:
        assert replace(found, checkpoint=proof_of(3, 6, 8).checkpoint) == proof_of(3, 6, 8)
