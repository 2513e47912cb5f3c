"""Deliveries, decisions and effects are values: equal when all that they say is."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from tidemill.ledger.delivery import Effect
from tidemill.testing.records import decided_event, delivered_event, effect


def test_equal_means_the_same_in_every_part() -> None:
    assert (
        decided_event().decision
        == decided_event().decision
        != decided_event(approved=False).decision
    )
    assert delivered_event().delivery != delivered_event("other").delivery
    assert effect() != replace(effect(), target="out/elsewhere.parquet")


def test_nothing_of_them_changes() -> None:
    with pytest.raises(FrozenInstanceError):
        effect().key = "other"  # type: ignore[misc]


def test_a_removal_needs_no_object() -> None:
    gone = Effect(key="k", stage="out", partition="p", action="remove", target="out/p.parquet")
    assert (gone.object, gone.format) == ("", "parquet")


def test_gates_refuse_and_people_withdraw() -> None:
    refused = decided_event(approved=False).decision
    assert decided_event().decision.verdict == "approved"
    # A person who moves what is live decides without gates; in a review people decide on their results.
    moved = replace(decided_event().decision, actor="ana", results=())
    assert moved.verdict == "made live"
    assert replace(moved, review="r1").verdict == "approved"
    assert replace(moved, actor="gates").verdict == "approved"
    assert refused.verdict == "refused"
    assert replace(refused, actor="ana").verdict == "withdrawn"
