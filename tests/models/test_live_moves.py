"""Moving what is live: which version, whether it may, and what is recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.errors import GateError, UsageError
from tidemill.ledger.delivery import Decision, Delivery
from tidemill.ledger.event import Decided, Delivered, Removed
from tidemill.ledger.model_version import Follower
from tidemill.models.gates import last_decision, refusal_message
from tidemill.models.live_moves import (
    Move,
    delivered_as,
    describe_move,
    find_version,
    move_events,
    require_approved,
    rollback_target,
)
from tidemill.testing.records import decided_event, model_artifact, scores


def delivery(version: str, *, rollback: bool = False) -> Delivery:
    return Delivery(
        name="m",
        artifact=model_artifact(version),
        decision=f"decision on {version}",
        scores=scores(),
        at=1.0,
        rollback=rollback,
    )


def decision(version: str, *, approved: bool = True, at: float = 1.0) -> Decision:
    return replace(
        decided_event(f"{version} {at}", approved=approved).decision, artifact=version, at=at
    )


def move(target: str, current: str, *, at: float = 5.0, rollback: bool = False) -> Move:
    return Move(
        environment="prod",
        target=delivery(target),
        current=delivery(current),
        actor="ana",
        reason="worse at night",
        at=at,
        rollback=rollback,
    )


def test_a_version_is_named_by_a_prefix() -> None:
    known = ["abcd12", "abce34", "ff"]
    assert find_version("m", "abcd", known) == "abcd12"
    assert find_version("m", "ff", known) == "ff"
    for version, words in (
        ("abc", "several versions of m: abcd12, abce34"),
        ("f", "too short"),
        ("", "has no version ''"),
        ("abcx", "did you mean"),
    ):
        with pytest.raises(UsageError, match=words):
            find_version("m", version, known)
    with pytest.raises(UsageError, match="none was trained yet"):
        find_version("m", "abcd", [])


def test_only_what_gates_approved_may_be_live() -> None:
    require_approved("m", "a", [decision("a")])
    with pytest.raises(GateError, match="m a was never approved: no gate has judged it"):
        require_approved("m", "a", [decision("b")])
    refused = [decision("a", at=1.0), decision("a", approved=False, at=2.0)]
    with pytest.raises(GateError, match=r"refused on .* by beats_live\(mae\): 11\.2 against 11\.9"):
        require_approved("m", "a", refused)
    # A person's word is no approval, nor does a withdrawal take one back.
    person = replace(decision("b", at=3.0), actor="ana")
    with pytest.raises(GateError):
        require_approved("m", "b", [person])
    require_approved("m", "a", [decision("a"), replace(refused[1], actor="ana")])
    # In a review people decide on what gates approved.
    require_approved("m", "b", [replace(person, review="r1")])
    rejected = replace(refused[1], actor="ana", review="r1", reason="UA is worse")
    with pytest.raises(GateError, match=r"refused on .* by review r1 \(UA is worse\)"):
        require_approved("m", "a", [decision("a"), rejected])
    with pytest.raises(GateError, match=r"refused on .* by review r1$"):
        require_approved("m", "a", [replace(rejected, reason="")])
    # What passed the gates since and is held back was neither approved nor refused by that.
    held = replace(refused[1], at=3.0, held=True)
    require_approved("m", "a", [decision("a"), held])
    for earlier in ([], [refused[1]]):
        with pytest.raises(GateError, match=r"passed its gates, and rules or people hold it back"):
            require_approved("m", "a", [*earlier, held])


def test_a_rollback_goes_to_what_was_live_before_and_only_once() -> None:
    first, second, again = delivery("a"), delivery("b"), delivery("a", rollback=True)
    assert rollback_target("m", [first, second]) is first
    assert rollback_target("m", [first, second, again]) is again
    assert rollback_target("m", [first, second, again, delivery("c")]) is again
    with pytest.raises(UsageError, match="m a is the first version"):
        rollback_target("m", [first, delivery("a")])
    assert delivered_as("a", [first, second, again]) is again
    assert delivered_as("x", [first]) is None


def test_a_move_is_two_decisions_a_delivery_and_removed_scores() -> None:
    events = move_events(move("a", "b", rollback=True), [], ["s"])
    withdrawn, approved, delivered, removed = events
    assert isinstance(withdrawn, Decided)
    assert isinstance(approved, Decided)
    assert (withdrawn.decision.artifact, withdrawn.decision.approved) == ("b", False)
    assert (approved.decision.artifact, approved.decision.approved) == ("a", True)
    assert isinstance(delivered, Delivered)
    made = delivered.delivery
    assert (made.artifact.id, made.replaced, made.actor, made.reason, made.rollback) == (
        *("a", "b", "ana", "worse at night", True),
    )
    assert made.decision == "decision on a"
    assert removed == Removed(environment="prod", stage="s", partition="live", run="")
    assert move_events(move("a", "a"), [], []) == ()


def test_what_is_live_is_told_after_a_move_and_without_one() -> None:
    tables = (Follower(table="out", on_new_model="keep"),)
    told = describe_move(move("a", "b"), tables)
    assert (told.version, told.replaced, told.moved, told.actor) == ("a", "b", True, "ana")
    same = describe_move(replace(move("a", "a"), current=replace(delivery("a"), replaced="z")), ())
    assert (same.version, same.replaced, same.moved, same.actor) == ("a", "z", False, "gates")


def test_a_withdrawn_candidate_says_how_to_get_it_back() -> None:
    withdrawn, *_ = move_events(move("a", "b"), [], [])
    assert isinstance(withdrawn, Decided)
    message = refusal_message("m", withdrawn.decision)
    assert "candidate b was withdrawn on" in message
    assert "by ana (worse at night)" in message
    assert "`tidemill deliver m b`" in message
    bare = refusal_message("m", replace(withdrawn.decision, reason=""))
    assert "by ana; to make it live" in bare


VERSIONS = st.sampled_from(["a", "b", "c"])


@given(st.lists(st.tuples(VERSIONS, st.floats(0, 100)), min_size=1, max_size=12))
def test_the_last_move_counts_whatever_the_clock_says(moves: list[tuple[str, float]]) -> None:
    decisions = {d.subject: d for d in (decision("a"), decision("b"), decision("c"))}
    live = "a"
    for target, at in moves:
        for event in move_events(move(target, live, at=at), decisions.values(), []):
            if isinstance(event, Decided):
                decisions[event.decision.subject] = event.decision
        if target != live:
            replaced = last_decision(decisions.values(), live)
            assert replaced is not None
            assert not replaced.approved
        live = target
        now = last_decision(decisions.values(), live)
        assert now is not None
        assert now.approved
        require_approved("m", live, decisions.values())
