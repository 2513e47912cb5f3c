"""What is recorded of work that waits, before a run and after it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.binding import Head
from tidemill.ledger.off_peak import DeferredWork
from tidemill.ledger.run import Action, Attempt, Outcome, Receipt, StageTotals, Status
from tidemill.offpeak.waiting_works import undone_works, works_left, works_to_note
from tidemill.planning.plan import Plan, Step
from tidemill.testing.off_peak_records import deferred_work
from tidemill.testing.records import binding

KEYS = ("a", "b", "c")
MODEL = deferred_work()
OLD = deferred_work(stage="old", action="run", partitions=KEYS)


def plan(*steps: Step, deferred: tuple[DeferredWork, ...] = (), current: str = "model old") -> Plan:
    return Plan(
        workflow="flow",
        environment="prod",
        heads={},
        recipes={},
        steps=steps,
        deferred=deferred,
        current=dict.fromkeys(current.split(), 0),
    )


def step(stage: str, partition: str, action: Action = Action.RUN) -> Step:
    return Step(stage=stage, partition=partition, action=action, reasons=())


def attempt(stage: str, partition: str, outcome: Outcome, action: str = "run") -> Attempt:
    return Attempt(stage=stage, partition=partition, action=action, outcome=outcome)


def noted(known: Any, made: Plan, *waiting: DeferredWork, is_partial: bool = False) -> Any:
    return works_to_note(known, made, waiting, is_partial=is_partial)


def test_what_never_waited_isnt_recorded() -> None:
    made = plan(deferred=(MODEL, OLD))
    assert noted([], made) == ()
    assert noted([OLD], made) == (OLD,)
    # Due since now: it waits no longer than this run.
    assert noted([replace(OLD, since=1.0)], made) == ()


def test_what_isnt_due_yet_is_recorded_once() -> None:
    first = replace(OLD, partitions=KEYS[:1])
    last = replace(OLD, partitions=KEYS[1:], start=5.0)
    assert noted([OLD], plan(deferred=(last,)), first) == (OLD,)


def test_a_plan_replaces_what_was_known_of_its_stages() -> None:
    other = replace(OLD, stage="other")
    assert noted([OLD, other, MODEL], plan(), replace(MODEL, start=5.0)) == (
        replace(MODEL, start=5.0),
        other,
    )


def test_a_part_of_a_plan_says_nothing_about_the_rest() -> None:
    part = replace(OLD, partitions=("b", "d"), start=5.0)
    (work, model) = noted([OLD, MODEL], plan(), part, is_partial=True)
    assert {*work.partitions} == {*KEYS, "d"}
    assert (work.start, model) == (5.0, MODEL)


def receipt(status: Status = Status.OK, **tallies: int) -> Receipt:
    """What a run says that ended so, with stages of which so many steps failed."""
    stages = tuple(StageTotals(stage=name, failed=count) for name, count in tallies.items())
    return Receipt(run="run", status=status, stages=stages)


def left(made: Plan, told: Receipt, *attempts: Attempt) -> dict[str, tuple[str, ...]]:
    found = works_left([MODEL, OLD], made, told, attempts)
    return {work.stage: work.partitions for work in found}


ALL = {"model": MODEL.partitions, "old": KEYS}


def test_what_was_held_back_waits_on() -> None:
    assert left(plan(step("old", "d")), receipt(old=0)) == ALL
    assert left(plan(step("old", "b"), step("old", "d")), receipt(old=0)) == {
        **ALL,
        "old": ("a", "c"),
    }
    everything = plan(*(step("old", key) for key in KEYS), step("model", "all", Action.TRAIN))
    assert left(everything, receipt(old=0, model=0)) == {}


@pytest.mark.parametrize(
    "told", [receipt(Status.INTERRUPTED), receipt(Status.FAILED, old=1)], ids=lambda one: one.status
)
def test_what_didnt_end_waits_on(told: Receipt) -> None:
    made = plan(*(step("old", key) for key in KEYS))
    assert left(
        made,
        told,
        attempt("old", "a", Outcome.OK),
        attempt("old", "b", Outcome.FAILED),
        attempt("old", "c", Outcome.BOUND),
    ) == {**ALL, "old": ("b",)}
    assert left(made, told) == ALL


def test_a_training_is_done_once_it_ended_whatever_gates_say() -> None:
    made = plan(step("model", "all", Action.TRAIN), step("model", "all", Action.GATE))
    refused = receipt(Status.FAILED, model=1)
    gate = attempt("model", "all", Outcome.REFUSED, "gate")
    train = attempt("model", "all", Outcome.OK, "train")
    assert left(made, refused, train, gate) == {"old": KEYS}
    trial = attempt("model", "trial-1", Outcome.OK, "trial")
    assert left(made, receipt(Status.INTERRUPTED), trial) == ALL
    # Another candidate was judged while it waited.
    judged = plan(step("model", "all", Action.GATE))
    assert left(judged, receipt(model=0), replace(gate, outcome=Outcome.OK)) == ALL


def test_what_was_published_since_doesnt_wait() -> None:
    heads = {
        "old": Head(
            partitions={
                "a": replace(binding(), at=OLD.since - 1),
                "b": replace(binding(), at=OLD.since + 1),
            }
        ),
        "model": Head(),
    }
    assert undone_works([MODEL, OLD], heads) == (MODEL, replace(OLD, partitions=("a", "c")))
    assert undone_works([MODEL], {}) == (MODEL,)
    trained = {"model": Head(partitions={"all": replace(binding(), at=MODEL.since + 1)})}
    assert undone_works([MODEL], trained) == ()


@given(
    planned=st.sets(st.sampled_from(KEYS)),
    ended=st.sets(st.sampled_from(KEYS)),
    status=st.sampled_from([Status.OK, Status.FAILED, Status.INTERRUPTED]),
    failed=st.integers(0, 1),
)
def test_nothing_that_wasnt_planned_or_didnt_end_is_forgotten(
    planned: set[str], ended: set[str], status: Status, failed: int
) -> None:
    ended &= planned
    made = plan(*(step("old", key) for key in planned))
    attempts = [attempt("old", key, Outcome.OK) for key in ended]
    kept = {*left(made, receipt(status, old=failed), *attempts).get("old", ())}
    assert kept >= {*KEYS} - planned
    assert not kept & ended
    if status is Status.INTERRUPTED or failed:
        assert kept == {*KEYS} - ended
