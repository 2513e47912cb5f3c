"""What keeps superseded results, deliveries, versions, pages and rulings, and when nothing does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tidemill.ledger.event import EnvironmentCreated, EnvironmentDropped, Event, RecordedEvent
from tidemill.ledger.garbage import MarkedUse, RecordedUse, SupersededEffect, SupersededResult
from tidemill.ledger.governance_events import ReviewClosed, ReviewOpened, ReviewPageStored
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.retention_events import (
    DataPinned,
    DataUnpinned,
    RetentionDeclared,
    StagesUndeclared,
)
from tidemill.ledger.retention_settings import RetentionSettings, StageRetention
from tidemill.ledger.review import HeldRows, Review, ReviewOutcome
from tidemill.ledger.rollout import RolloutAction
from tidemill.operations.retention import (
    KINDS,
    Garbage,
    RetentionFacts,
    RetentionPolicy,
    kept_deliveries,
    undeclared_since,
)
from tidemill.operations.shared_retention import SharedRetention
from tidemill.testing import records as samples
from tidemill.workflow.environment import Environment

HOUR, DAY = 3_600.0, 86_400.0
NOW = 1_000 * DAY
SETTINGS = RetentionSettings(keep_for=2 * DAY, restore_for=3 * DAY, reviews=4 * DAY, grace=HOUR)


def facts_of(*events: tuple[float, Event]) -> RetentionFacts:
    """Facts of events that were recorded so many days ago."""
    found = RetentionFacts()
    for seq, (days, event) in enumerate(events, 1):
        found.add(RecordedEvent(seq=seq, at=NOW - days * DAY, event=event))
    return found


def policy(
    *events: tuple[float, Event], settings: RetentionSettings = SETTINGS, **more: Any
) -> RetentionPolicy:
    places = {name: Environment(name=name) for name in ("prod", "dev")}
    shared = SharedRetention(own=settings, environments=places)
    return RetentionPolicy(settings=shared, now=NOW, facts=facts_of(*events), **more)


def result(days: float = 9.0, **changes: Any) -> SupersededResult:
    """A result that was superseded so many days ago; two runs recorded it, the last with `changes`."""
    key, events = changes.pop("key", "k"), changes.pop("events", (4, 7))
    place = {"environment": "prod", "stage": "a", "partition": "p", "run": "run-1"}
    uses = [RecordedUse(event=event, **place) for event in events]
    uses[-1] = replace(uses[-1], **changes)
    return SupersededResult(key=key, uses=tuple(uses), since=NOW - days * DAY)


def effect(days: float = 9.0, stage: str = "a") -> SupersededEffect:
    return SupersededEffect(
        event=5, environment="prod", stage=stage, partition="p", since=NOW - days * DAY
    )


def pinned(target: str) -> tuple[float, Event]:
    event = DataPinned(environment="prod", pin="p1", target=target, actor="ana", reason="audit")
    return 1.0, event


def opened(days: float, **changes: Any) -> tuple[float, Event]:
    review: Review = replace(samples.review("r1"), artifact="", **changes)
    return days, ReviewOpened(environment="prod", review=review)


def closed(days: float) -> tuple[float, Event]:
    return days, ReviewClosed(environment="prod", review="r1", outcome=ReviewOutcome.APPROVED)


def page(days: float) -> tuple[float, Event]:
    return days, ReviewPageStored(environment="prod", review="r1", page=samples.object_name("page"))


def delivered(version: str, environment: str = "prod") -> Event:
    event = samples.delivered_event(environment=environment)
    artifact = replace(event.delivery.artifact, id=version)
    return replace(event, delivery=replace(event.delivery, name="m", artifact=artifact))


@pytest.mark.parametrize(
    ("days", "kept"), [(1.9, "keep_for"), (2.0, ""), (900.0, ""), (-1.0, "keep_for")]
)
def test_a_result_can_be_reused_for_a_time(days: float, kept: str) -> None:
    assert policy().keeper_of_result(result(days)) == kept


def test_readers_may_still_read_what_was_superseded_just_now() -> None:
    settings = replace(SETTINGS, keep_for=0.0)
    assert policy(settings=settings).keeper_of_result(result(0.5 * HOUR / DAY)) == "grace"
    assert policy(settings=settings).keeper_of_result(result(2 * HOUR / DAY)) == ""
    forever = replace(SETTINGS, keep_for=None)
    assert policy(settings=forever).keeper_of_result(result()) == 'keep_for = "forever"'


@pytest.mark.parametrize(
    ("target", "kept"),
    [("a", True), ("a@p", True), ("a@q", False), ("b", False), ("run-1", True), ("run-2", False)],
)
def test_people_pin_stages_partitions_and_runs(target: str, kept: bool) -> None:
    assert policy(pinned(target)).keeper_of_result(result()) == ("pin p1" if kept else "")
    ended = (0.5, DataUnpinned(environment="prod", pin="p1", actor="ana"))
    assert policy(pinned(target), ended).keeper_of_result(result()) == ""


def test_people_pin_objects() -> None:
    found = policy(pinned=({7: "pin p9"}))
    assert found.keeper_of_result(result()) == "pin p9"
    assert found.keeper_of_result(result(events=(8,))) == ""
    assert policy(pinned={5: "pin p9"}).keeper_of_effect(effect()) == "pin p9"


def test_a_legal_hold_keeps_everything_of_a_stage() -> None:
    held = replace(SETTINGS, stages={"a": StageRetention(hold=True)})
    found = policy(
        opened(20.0, name="a", held=HeldRows(partition="p", object="o")),
        page(19.0),
        closed(18.0),
        settings=held,
    )
    assert found.keeper_of_result(result()) == "legal hold"
    assert found.keeper_of_result(result(stage="b", events=(4,))) == ""
    assert found.keeper_of_effect(effect()) == "legal hold"
    assert [*found.garbage_reviews()] == []
    assert [*found.garbage_rulings([effect(), effect(stage="b")])] == [
        Garbage(
            event=5,
            stage="b",
            partition="p",
            reason="ruling of a dropped environment",
            since=NOW - 9 * DAY,
        )
    ]
    held = replace(SETTINGS, stages={"m": StageRetention(hold=True)})
    many = [(30.0 - number, delivered(f"v{number}")) for number in range(5)]
    environments = {"prod": Environment(name="prod")}
    assert [*policy(*many, settings=held).garbage_deliveries(environments)] == []
    assert len([*policy(*many).garbage_deliveries(environments)]) == 2


def test_the_last_versions_of_a_partition_stay() -> None:
    settings = replace(SETTINGS, keep_last=2)
    newest = {("prod", "a", "k"): 2, ("prod", "a", "l"): 3, ("dev", "a", "l"): 1}
    found = policy(settings=settings, newest=newest)
    assert found.keeper_of_result(result()) == "keep_last = 2"
    assert found.keeper_of_result(result(key="l", environment="dev")) == "keep_last = 2"
    assert found.keeper_of_result(result(key="l")) == ""
    assert found.keeper_of_result(result(key="m")) == ""
    # One that was dropped keeps nothing.
    gone = policy(settings=settings, newest={("gone", "a", "k"): 1})
    assert gone.keeper_of_result(result(environment="gone")) == ""


def test_open_reviews_keep_what_they_are_about() -> None:
    review = replace(samples.review("r1"), artifact="v1")
    model = (20.0, ReviewOpened(environment="prod", review=review))
    assert policy(model).keeper_of_result(result(artifact="v1")) == "open review r1"
    assert policy(model).keeper_of_result(result(artifact="v2")) == ""
    dropped = (1.0, EnvironmentDropped(environment="prod"))
    assert policy(model, dropped).keeper_of_result(result(artifact="v1")) == ""


def test_a_restore_that_waits_keeps_the_deliveries_of_its_table() -> None:
    assert policy().keeper_of_effect(effect()) == ""
    assert policy().keeper_of_effect(effect(2.5)) == "restore_for"
    waits = opened(20.0, kind=SubjectKind.TABLE, name="a", as_of="run-1")
    assert policy(waits).keeper_of_effect(effect()) == "open review r1"
    assert policy(waits).keeper_of_effect(effect(stage="b")) == ""
    assert [
        each.event for each in policy(waits).garbage_effects([effect(), effect(stage="b")])
    ] == [5]


def test_a_rollout_keeps_both_of_its_versions() -> None:
    begun = (9.0, samples.rollout_event(samples.rollout_step(RolloutAction.STARTED)))
    ended = (8.0, samples.rollout_event(samples.rollout_step(RolloutAction.COMPLETED)))
    for version in ("new", "old"):
        kept = policy(begun).keeper_of_result(result(artifact=version))
        assert kept == "rollout at delays"
        assert policy(begun, ended).keeper_of_result(result(artifact=version)) == ""
    dropped = (1.0, EnvironmentDropped(environment="prod"))
    assert policy(begun, dropped).keeper_of_result(result(artifact="new")) == ""


def test_a_version_that_another_one_continues_stays() -> None:
    found = replace(policy(), facts=RetentionFacts(parents=frozenset("k")))
    assert found.keeper_of_result(result()) == "a model that continues it"


def test_all_events_of_a_result_go_together() -> None:
    found = [*policy().garbage_results([result(), result(1.0, events=(8,))])]
    assert [(each.event, each.reason) for each in found] == [(4, "superseded"), (7, "superseded")]


def test_what_people_decided_since_keeps_what_is_marked() -> None:
    use = RecordedUse(event=4, environment="prod", stage="a", partition="p", run="run-1")
    marked = MarkedUse(use=use, kind="Published", objects=("o",))
    assert policy().keeper_of_marked(marked, "o") == ""
    assert policy(pinned("a")).keeper_of_marked(marked, "o") == "pin p1"
    assert policy(needed={"o": "open review r1"}).keeper_of_marked(marked, "o") == "open review r1"
    forever = replace(SETTINGS, keep_for=None)
    assert policy(settings=forever).keeper_of_marked(marked, "o") == ""
    waits = opened(20.0, kind=SubjectKind.TABLE, name="a", as_of="run-1")
    assert policy(waits).keeper_of_marked(marked, "o") == ""
    written = replace(marked, kind="EffectQueued")
    assert policy(waits).keeper_of_marked(written, "o") == "open review r1"


def test_each_workflow_keeps_what_its_own_settings_keep() -> None:
    theirs = replace(SETTINGS, keep_for=20 * DAY, keep_last=1, restore_for=None, models=9)
    declared = (1.0, RetentionDeclared(workflow="b", settings=theirs))
    facts = facts_of(declared, *((30.0 - n, delivered(f"v{n}", "b/prod")) for n in range(5)))
    environments = {"b/prod": Environment(name="b/prod")}
    shared = SharedRetention(
        own=SETTINGS, prefix="a/", recorded=facts.declared, environments=environments
    )
    newest = {("b/prod", "a", "l"): 1, ("a/prod", "a", "l"): 1}
    found = RetentionPolicy(settings=shared, now=NOW, facts=facts, newest=newest)
    own, other = (result(environment=f"{name}/prod", events=(4,)) for name in "ab")
    assert found.keeper_of_result(own) == ""
    assert found.keeper_of_result(other) == "keep_for (workflow b)"
    # It keeps what both have.
    assert found.keeper_of_result(replace(own, uses=own.uses + other.uses)) != ""
    old = replace(result(90.0, key="l", environment="b/prod", events=(4,)))
    assert found.keeper_of_result(old) == "keep_last = 1 (workflow b)"
    written = replace(effect(), environment="b/prod")
    assert found.keeper_of_effect(written) == 'restore_for = "forever" (workflow b)'
    assert [*found.garbage_deliveries(environments)] == []
    stranger = result(90.0, environment="c/prod")
    assert "isn't recorded yet (workflow c)" in found.keeper_of_result(stranger)


def versions(*ids: str) -> Sequence[tuple[int, float, str, str, str]]:
    return [(seq, float(seq), "prod", "m", id) for seq, id in enumerate(ids, 1)]


@pytest.mark.parametrize(
    ("ids", "count", "kept"),
    [
        ("abcd", 0, {4}),
        ("abcd", 2, {2, 3, 4}),
        # What went live again counts once.
        ("abcba", 1, {4, 5}),
        ("abab", 1, {1, 2, 3, 4}),
        ("", 2, set()),
    ],
)
def test_the_last_versions_that_were_live_stay(ids: str, count: int, kept: set[int]) -> None:
    environments = {"prod": Environment(name="prod")}
    assert kept_deliveries(versions(*ids), environments, lambda _: count) == kept


def test_a_branch_may_go_back_to_what_was_live_in_its_parent() -> None:
    environments = {
        "prod": Environment(name="prod", since=1),
        "dev": Environment(name="dev", parent="prod", since=4),
    }
    known = [(2, 2.0, "prod", "m", "a"), (3, 3.0, "prod", "m", "b"), (5, 5.0, "prod", "m", "c")]
    assert kept_deliveries(known, environments, lambda _: 0) == {3, 5}
    # One of the same name was dropped before, and one that isn't there any more needs nothing.
    known = [(2, 2.0, "dev", "m", "a"), (3, 3.0, "gone", "m", "b")]
    assert kept_deliveries(known, environments, lambda _: 0) == set()


def test_earlier_versions_go_when_their_time_is_over() -> None:
    many = [(30.0, delivered("v1")), (20.0, delivered("v2")), (1.0, delivered("v3"))]
    environments = {"prod": Environment(name="prod")}
    found = policy(*many, settings=replace(SETTINGS, models=0))
    assert [(each.event, each.since) for each in found.garbage_deliveries(environments)] == [
        (1, NOW - 20 * DAY)
    ]
    review = replace(samples.review("r1"), artifact="v1")
    waits = (0.5, ReviewOpened(environment="prod", review=review))
    found = policy(*many, waits, settings=replace(SETTINGS, models=0))
    assert [*found.garbage_deliveries(environments)] == []
    found = policy(*many, pinned("m"), settings=replace(SETTINGS, models=0))
    assert [*found.garbage_deliveries(environments)] == []
    assert [each.event for each in policy(*many).garbage_deliveries({})] == [1]


def test_pages_of_reviews_stay_as_the_policy_says() -> None:
    held = HeldRows(partition="p", object="o")
    events = [opened(20.0, name="a", held=held), page(19.0), page(18.0)]
    assert [each.event for each in policy(*events).garbage_reviews()] == [2]
    ended = policy(*events, closed(5.0))
    assert [(each.event, each.reason) for each in ended.garbage_reviews()] == [
        (2, "closed review"),
        (3, "closed review"),
        (1, "closed review"),
    ]
    forever = policy(*events, closed(5.0), settings=replace(SETTINGS, reviews=None))
    assert [each.event for each in forever.garbage_reviews()] == [2, 1]
    assert [*policy(*events, closed(5.0), pinned("a")).garbage_reviews()] == []
    # A page of a review that isn't known, and one that ended twice.
    assert [*policy(page(9.0), closed(8.0), closed(7.0)).garbage_reviews()] == []


def test_a_pinned_stage_keeps_its_rulings() -> None:
    assert [*policy(pinned("a")).garbage_rulings([effect()])] == []
    assert [*policy().garbage_rulings([effect(1.0)])] == []


def test_since_when_stages_are_not_declared() -> None:
    def seen(seq: int, *stages: str, environment: str = "prod") -> RecordedEvent:
        event = StagesUndeclared(environment=environment, stages=stages)
        return RecordedEvent(seq=seq, at=float(seq), event=event)

    facts = [
        *(seen(1, "a"), seen(2, "a", "b"), seen(3, "b", environment="dev")),
        *(seen(4, "b"), seen(5, "a", "b")),
    ]
    assert undeclared_since(facts, "prod") == {"a": 5.0, "b": 2.0}
    assert undeclared_since(facts, "dev") == {"b": 3.0}


def renamed(days: float) -> tuple[float, Event]:
    return days, EnvironmentCreated(environment="new/prod", parent="prod")


def test_reviews_go_on_under_the_new_name_of_a_workflow() -> None:
    before = opened(9.0, held=HeldRows(partition="p", object="o")), page(9.0)
    at = {"environment": "new/prod", "review": "r1"}
    stored = (8.0, ReviewPageStored(**at, page=samples.object_name("page 2")))
    ended = (7.0, ReviewClosed(**at, outcome=ReviewOutcome.APPROVED))
    facts = facts_of(*before, renamed(8.5), stored, ended)
    assert not facts.reviews
    assert [*facts.pages] == [("prod", "r1")]
    found = policy(*before, renamed(8.5), stored, ended)
    assert [each.event for each in found.garbage_reviews()] == [2, 4, 1]
    assert facts_of(*before, stored, ended).reviews


def test_rollouts_go_on_under_the_new_name_of_a_workflow() -> None:
    begun = samples.rollout_event(samples.rollout_step(RolloutAction.STARTED))
    ended = samples.rollout_event(samples.rollout_step(RolloutAction.COMPLETED))
    later = (1.0, replace(ended, environment="new/prod"))
    assert facts_of((3.0, begun), renamed(2.0), later).needed_versions == {}
    assert {*facts_of((3.0, begun), later).needed_versions} == {"new", "old"}


def test_needed_versions_are_found_once() -> None:
    facts = facts_of(opened(1.0))
    assert facts.needed_versions is facts.needed_versions
    facts.add(
        RecordedEvent(
            seq=2,
            at=NOW,
            event=ReviewOpened(
                environment="prod", review=replace(samples.review("r2"), artifact="v")
            ),
        )
    )
    assert facts.needed_versions == {"v": "open review r2"}


def test_every_kind_that_is_read_is_taken_into_account() -> None:
    for event in samples.events_of_every_kind():
        if type(event).__name__ in KINDS:
            facts_of((1.0, event))
