"""The record of an event is canonical JSON, and every part of it changes its leaf and all later links."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.event_digest import (
    FIRST_LINK,
    EventPlace,
    body_digest,
    event_leaf,
    event_record,
    next_link,
)

PLACE = EventPlace(seq=7, batch=6, at=1764306000.25, kind="Voted", environment="prod")
BODY = body_digest('{"kind":"Voted"}')
texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=20)
places = st.builds(
    EventPlace,
    seq=st.integers(1, 2**53),
    batch=st.integers(1, 2**53),
    at=st.floats(allow_nan=False, allow_infinity=False),
    kind=st.text(st.characters(codec="utf-8"), max_size=20),
    environment=texts,
    run=texts,
    stage=texts,
    partition=texts,
)


def test_the_record_and_the_hashes_are_as_documented() -> None:
    record = (
        b'{"at":"1764306000.25","batch":6,"body":"'
        + sha256(b'{"kind":"Voted"}').hexdigest().encode()
        + b'","environment":"prod","kind":"Voted","partition":null,"run":null,"seq":7,"stage":null}'
    )
    assert event_record(PLACE, BODY) == record
    leaf = sha256(b"\x00" + record).digest()
    assert event_leaf(PLACE, BODY) == leaf
    assert next_link(FIRST_LINK, leaf) == sha256(b"\x02" + bytes(32) + leaf).digest()


def test_golden_digests() -> None:
    assert event_leaf(PLACE, BODY).hex() == GOLDEN_LEAF
    assert next_link(FIRST_LINK, event_leaf(PLACE, BODY)).hex() == GOLDEN_LINK


GOLDEN_LEAF = "94d795a97a57f3d95dc19cd8b732948d6118e98805a5054f395323841dede43d"
GOLDEN_LINK = "354f1f3ca9e48854d60ecd3e90de32aab02363614884adccfd2d1dd7371ff981"


@given(places, st.text(st.characters(codec="utf-8")))
def test_the_record_is_canonical_json(place: EventPlace, body: str) -> None:
    record = event_record(place, body_digest(body))
    values: dict[str, Any] = json.loads(record)
    assert float(values["at"]) == place.at
    assert values["body"] == sha256(body.encode()).hexdigest()
    for name in ("seq", "batch", "kind", "environment", "run", "stage", "partition"):
        assert values[name] == getattr(place, name)
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert record == canonical.encode()


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 8},
        {"batch": 7},
        {"at": 1764306000.5},
        {"kind": "Waived"},
        {"environment": None},
        {"run": ""},
        {"stage": "features"},
        {"partition": "2013-03-07"},
    ],
)
def test_every_part_counts(change: dict[str, Any]) -> None:
    assert event_leaf(PLACE._replace(**change), BODY) != event_leaf(PLACE, BODY)


def test_the_body_and_the_link_before_count() -> None:
    assert event_leaf(PLACE, body_digest("{}")) != event_leaf(PLACE, BODY)
    leaf = event_leaf(PLACE, BODY)
    assert next_link(leaf, leaf) != next_link(FIRST_LINK, leaf)


def test_a_whole_number_of_seconds_is_recorded_as_sqlite_returns_it() -> None:
    assert event_record(PLACE._replace(at=5), BODY) == event_record(PLACE._replace(at=5.0), BODY)
