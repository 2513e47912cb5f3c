"""Changes are followed until they are live, in whatever order environments, runs and servers act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.change_events import ChangesSeen
from tidemill.ledger.commit import Commit
from tidemill.ledger.delivery import GATES
from tidemill.ledger.event import (
    Computed,
    Decided,
    Delivered,
    EffectDone,
    EffectQueued,
    EnvironmentCreated,
    EnvironmentDropped,
    Event,
    Published,
    RecordedEvent,
    RolloutStepped,
    RunEnded,
    Settled,
)
from tidemill.ledger.incident_events import IncidentOpened
from tidemill.ledger.rollout import RolloutAction
from tidemill.ledger.run import Status
from tidemill.scorecard.change_record import ChangesReport, DeliveryFailure, Wait
from tidemill.scorecard.change_report import report_changes
from tidemill.scorecard.change_times import BLAME_S, CHANGE_KINDS, ChangeTimes
from tidemill.testing import incident_records as incidents
from tidemill.testing import records

ENVIRONMENTS = ("prod", "dev")
# Most happens in production.
PLACES = ("prod", "prod", "prod", "dev")
# What each commit changes, and what delivers that.
CHANGES = {
    "c1": (("clean", "model"), ("model", "out")),
    "c2": (("model",), ("model",)),
    "c3": (("clean",), ("out",)),
    "c4": (("clean", "page"), ()),
    "c5": (("page",), ()),
}
VERSIONS = ("v1", "v2")
STEPS = (
    RolloutAction.STARTED,
    RolloutAction.COMPLETED,
    RolloutAction.ROLLED_BACK,
    RolloutAction.PROMOTED,
)


def seen(environment: str, *ids: str, gone: Sequence[str] = ()) -> ChangesSeen:
    """A move to commits that change the same."""
    stages, delivers = CHANGES[ids[0]] if ids else ((), ())
    commits = tuple(Commit(id=id, at=float(number)) for number, id in enumerate(ids))
    return ChangesSeen(
        environment=environment, head="h", commits=commits, stages=stages, delivers=delivers,
        gone=tuple(gone),
    )  # fmt: skip


def made(environment: str, version: str) -> Published:
    artifact = replace(records.model_artifact(version), stage="model")
    product = replace(records.product(), artifact=artifact)
    return replace(
        records.published_event("", stage="model", bound=records.binding(version, product)),
        environment=environment,
    )


def published(environment: str, stage: str) -> Published:
    return replace(records.published_event("p", stage=stage), environment=environment)


def delivered(version: str, *, rollback: bool = False, replaced: str = "") -> Delivered:
    event = records.delivered_event()
    artifact = replace(records.model_artifact(version), stage="model")
    delivery = replace(
        event.delivery, name="model", artifact=artifact, rollback=rollback, replaced=replaced
    )
    return replace(event, delivery=delivery)


def rolled(action: RolloutAction, version: str) -> RolloutStepped:
    step = replace(records.rollout_step(action, candidate=version), model="model")
    return records.rollout_event(step)


def queued(key: str, stage: str = "out") -> EffectQueued:
    event = records.effect_queued_event()
    return replace(event, effect=replace(event.effect, key=key, stage=stage))


def done(key: str) -> EffectDone:
    return EffectDone(environment="prod", key=key)


def settled(stage: str, environment: str = "prod") -> Settled:
    return replace(records.settled_event(), stage=stage, environment=environment)


def recorded(*events: Event, at: Sequence[float] | None = None) -> list[RecordedEvent]:
    """Events one after the other, by default every ten seconds from 100."""
    times = at or [100.0 + 10 * number for number in range(len(events))]
    return [
        RecordedEvent(seq=number + 1, at=times[number], event=event)
        for number, event in enumerate(events)
    ]


def read(facts: Sequence[RecordedEvent], environment: str = "prod") -> ChangeTimes:
    times = ChangeTimes(environment=environment)
    for fact in facts:
        times.add(fact)
    return times


_ids = st.lists(st.sampled_from(["c1"]), max_size=1) | st.sampled_from(
    [["c2"], ["c3"], ["c4"], ["c5"]]
)
_environments = st.sampled_from(PLACES)
HAPPENINGS: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        lambda place, ids, gone: seen(place, *ids, gone=sorted(gone - {*ids})),
        _environments,
        _ids,
        st.sets(st.sampled_from([*CHANGES]), max_size=1),
    ),
    st.builds(lambda place, ids: seen(place, *ids), _environments, _ids),
    st.builds(made, _environments, st.sampled_from(VERSIONS)),
    st.builds(published, _environments, st.sampled_from(["clean", "page", "out"])),
    st.builds(delivered, st.sampled_from(VERSIONS), rollback=st.booleans()),
    st.builds(rolled, st.sampled_from(STEPS), st.sampled_from(VERSIONS)),
    st.builds(queued, st.sampled_from(["k1", "k2"])),
    st.builds(done, st.sampled_from(["k1", "k2"])),
    st.builds(settled, st.sampled_from(["clean", "page"]), _environments),
    st.just(EnvironmentDropped(environment="dev")),
    st.just(EnvironmentCreated(environment="dev", parent="prod")),
)


@dataclass
class Naive:
    """The same from the list of all events, again and again from its beginning."""

    events: list[Event]

    def since(self, id: str, place: str, until: int) -> int | None:
        """The event since which an environment runs a change, of the first `until` ones."""
        found, known = None, False
        for n, event in enumerate(self.events[:until]):
            if isinstance(event, EnvironmentCreated | EnvironmentDropped):
                if event.environment == place:
                    found, known = None, False
            elif isinstance(event, ChangesSeen) and event.environment == place:
                if not known and place != "prod":
                    found = self.since(id, "prod", n)
                known = True
                if id in event.gone:
                    found = None
                if id in [commit.id for commit in event.commits] and found is None:
                    found = n
        # What records no commits of its own runs those of production.
        return found if known or place == "prod" else self.since(id, "prod", until)

    def is_known(self, id: str, until: int) -> bool:
        return any(self.since(id, place, until) is not None for place in ENVIRONMENTS)

    def first_made(self, version: str, until: int) -> tuple[int, str] | None:
        for n, event in enumerate(self.events[:until]):
            artifact = event.binding.product.artifact if isinstance(event, Published) else None
            if artifact is not None and artifact.id == version:
                return n, event.environment  # type: ignore[union-attr]
        return None

    def end_of_rollout(self, n: int, version: str, until: int) -> int | None:
        """Where the delivery at `n` has all traffic for good, or tentatively as of `until`; None: nowhere."""
        began = False
        for k, event in enumerate(self.events[n + 1 : until], start=n + 1):
            if isinstance(event, Delivered):
                break
            if isinstance(event, RolloutStepped) and event.step.candidate == version:
                action = event.step.action
                if action is RolloutAction.COMPLETED:
                    return k
                if action is RolloutAction.ROLLED_BACK:
                    return None
                began = began or action is RolloutAction.STARTED
        return None if began else n

    def lives(self, id: str, began: int, until: int) -> list[tuple[int, str]]:
        """Where a change goes live by what happens until an event: by models, tables, or publications."""
        stages, delivers = CHANGES[id]
        found = []
        for n, event in enumerate(self.events[:until]):
            if n <= began:
                continue
            if isinstance(event, Delivered) and not event.delivery.rollback and "model" in delivers:
                version = event.delivery.artifact.id
                source = self.first_made(version, n)
                since = source and self.since(id, source[1], n)
                if source is not None and since is not None and since < source[0]:
                    end = self.end_of_rollout(n, version, until)
                    if end is not None:
                        found.append((end, "model"))
            if isinstance(event, EffectDone) and "out" in delivers:
                queue = self.queue_of(event.key, n)
                since = self.since(id, "prod", n)
                if queue is not None and since is not None and since < queue:
                    found.append((n, "out"))
            since = self.since(id, "prod", n)
            if (
                not delivers
                and since is not None
                and self.is_published(stages, self.watched(id, n), n)
            ):
                found.append((n, ""))
        return sorted(found)

    def queue_of(self, key: str, until: int) -> int | None:
        """The event that queued an effect that isn't done."""
        found = None
        for n, event in enumerate(self.events[:until]):
            if isinstance(event, EffectQueued) and event.effect.key == key:
                found = n
            if isinstance(event, EffectDone) and event.key == key:
                found = None
        return found

    def watched(self, id: str, until: int) -> int:
        """The last event at which production saw a change."""
        return max(
            n
            for n, event in enumerate(self.events[:until])
            if isinstance(event, ChangesSeen)
            and event.environment == "prod"
            and id in [commit.id for commit in event.commits]
        )

    def is_published(self, stages: Sequence[str], since: int, at: int) -> bool:
        """Whether an event publishes the last of some stages."""

        def missing(until: int) -> set[str]:
            done = {
                event.stage
                for event in self.events[since + 1 : until]
                if isinstance(event, Published | Settled) and event.environment == "prod"
            }
            return {*stages} - done

        return bool(missing(at)) and not missing(at + 1)

    def outcome(self, id: str) -> tuple[str, int, int, str] | None:
        """Whether a change is live or waits, the events of its first run and its end, and by what."""
        n = 0
        while n < len(self.events):
            if self.is_known(id, n) or not self.is_known(id, n + 1):
                n += 1
                continue
            began = n
            forgotten = next(
                (k for k in range(began + 1, len(self.events)) if not self.is_known(id, k + 1)),
                None,
            )
            # What is live when it is forgotten stays so, whatever begins later.
            until = len(self.events) if forgotten is None else forgotten
            found = self.lives(id, began, until)
            if found:
                return ("live", began, *found[0])
            if forgotten is None:
                return "waits", began, 0, ""
            n = forgotten + 1
        return None


def naive_of(facts: Sequence[RecordedEvent]) -> dict[str, Any]:
    naive = Naive([fact.event for fact in facts])
    found: dict[str, Any] = {}
    for id in CHANGES:
        outcome = naive.outcome(id)
        if outcome is not None:
            how, began, end, item = outcome
            planned = facts[began].at
            found[id] = (how, facts[end].at, item) if how == "live" else (how, planned)
    return found


@given(st.lists(HAPPENINGS, min_size=1, max_size=24))
def test_it_equals_a_recomputation_from_the_list_of_all_events(events: list[Event]) -> None:
    facts = recorded(*events)
    times = read(facts)
    report = report_changes(times, 1e6, 1e6)
    found: dict[str, Any] = {each.id: ("live", each.live, each.item) for each in report.delivered}
    for each in report.waiting:
        found[each.id] = ("waits", times.changes[each.id].planned)
    assert found == naive_of(facts)
    assert len(report.delivered) + len(report.waiting) == len(found)


@given(st.lists(HAPPENINGS, min_size=1, max_size=16), st.data())
def test_what_is_kept_between_commands_continues(events: list[Event], data: st.DataObject) -> None:
    facts = recorded(*events)
    cut = data.draw(st.integers(0, len(facts)))
    stored = msgspec.msgpack.encode(read(facts[:cut]))
    again = msgspec.msgpack.decode(stored, type=ChangeTimes)
    again.prune(0.0)
    for fact in facts[cut:]:
        again.add(fact)
    assert report_changes(again, 1e6, 1e6) == report_changes(read(facts), 1e6, 1e6)


def report(*events: Event, now: float = 1e6, window: float = 1e6) -> ChangesReport:
    return report_changes(read(recorded(*events)), now, window)


def started(run: str = "run-1", environment: str = "prod") -> Event:
    return records.run_started_event(run, environment)


def decided(version: str, *, approved: bool = True, actor: str = GATES) -> Decided:
    event = records.decided_event()
    decision = replace(event.decision, artifact=version, approved=approved, actor=actor)
    return replace(event, stage="model", decision=decision)


def test_a_change_of_a_branch_waits_until_it_is_in_the_environment() -> None:
    branch: list[Event] = [started("b", "dev"), seen("dev", "c2")]
    assert [each.waits_for for each in report(*branch).waiting] == [Wait.RUN]
    bound = made("dev", "v1").binding
    computed = Computed(stage="model", partition="", binding=replace(bound, run="b"))
    found = report(*branch, computed, delivered("v1"))
    assert [each.id for each in found.delivered] == ["c2"]
    # Its run is over, so that nobody knows where it was computed.
    over = RunEnded(run="b", status=Status.OK)
    found = report(*branch, over, computed, delivered("v1"))
    assert [each.id for each in found.waiting] == ["c2"]
    assert report(*branch, EnvironmentDropped(environment="dev")) == report()


def test_a_branch_that_runs_the_commits_of_production_contains_their_changes() -> None:
    first = seen("prod", "c2"), made("dev", "v1")
    found = report(*first, delivered("v1"))
    assert [each.id for each in found.delivered] == ["c2"]
    # Also if it goes on to others before that is delivered.
    found = report(*first, seen("dev", "c3"), delivered("v1"))
    assert [each.id for each in found.delivered] == ["c2"]


def test_a_table_delivers_what_it_was_computed_with() -> None:
    found = report(
        seen("prod", "c3"),
        published("prod", "out"),  # 110
        queued("k1"),  # 120
        queued("other", stage="clean"),
        replace(queued("k2"), environment="dev"),
        replace(queued("k3"), effect=replace(queued("k3").effect, action="remove")),
        done("k2"),
        done("k3"),
        done("k1"),  # 180
    )
    (change,) = found.delivered
    assert (change.item, change.version) == ("out", "")
    assert change.splits == {"plan": 100.0, "candidate": 10.0, "approval": 10.0, "traffic": 60.0}


def test_a_table_that_was_delivered_before_a_rollout_began_counts() -> None:
    begun, completed = RolloutAction.STARTED, RolloutAction.COMPLETED
    events = (
        seen("prod", "c1"),
        made("prod", "v1"),
        delivered("v1"),  # 120
        queued("k1"),
        done("k1"),  # 140
        queued("k2"),
        done("k2"),
    )
    assert report(*events).delivered[0].live == 120.0
    for more in ([rolled(begun, "v1")], [rolled(completed, "v1")]):
        (change,) = report(*events, *more).delivered
        assert (change.live, change.item) == (140.0, "out")


def incident(kind: str, stage: str, since: float) -> IncidentOpened:
    made = incidents.incident(since=since)
    cause = replace(made.cause, kind=kind, stage=stage)
    return IncidentOpened(environment="prod", incident=replace(made, cause=cause))


@pytest.mark.parametrize(
    ("event", "failure"),
    [
        (delivered("v0", rollback=True, replaced="v1"), DeliveryFailure.ROLLED_BACK),
        (rolled(RolloutAction.ROLLED_BACK, "v1"), DeliveryFailure.ROLLED_BACK),
        (decided("v1", approved=False, actor="ana"), DeliveryFailure.WITHDRAWN),
        (incident("failed stage", "model", 200.0), DeliveryFailure.INCIDENT),
        (incident("objective breach", "", 200.0), DeliveryFailure.INCIDENT),
        # Gates that refuse it later, or a review that nobody decides, take nothing back.
        (decided("v1", approved=False), None),
        (replace(decided("v1", approved=False, actor="ana"), environment="dev"), None),
        (delivered("v0", rollback=True, replaced=""), None),
        (delivered("v0", rollback=True, replaced="v9"), None),
        (incident("failed stage", "other", 200.0), None),
        (incident("reported", "", 200.0), None),
        (incident("lost run", "model", 200.0), None),
        (incident("failed stage", "model", 50.0), None),
        (incident("failed stage", "model", 121.0 + BLAME_S), None),
    ],
)
def test_a_delivery_that_goes_wrong_failed(event: Event, failure: DeliveryFailure | None) -> None:
    found = report(seen("prod", "c2"), made("prod", "v1"), delivered("v1"), event)
    assert (found.failed, found.failures) == ((1, {failure: 1}) if failure else (0, {}))


@pytest.mark.parametrize(
    ("events", "failed"),
    [
        ([delivered("v0", rollback=True, replaced="v1")], 0),
        ([decided("v1", approved=False, actor="ana")], 0),
        # A rollout takes its time.
        ([rolled(RolloutAction.STARTED, "v1"), rolled(RolloutAction.ROLLED_BACK, "v1")], 1),
    ],
)
def test_what_is_replaced_long_afterwards_held(events: list[Event], failed: int) -> None:
    facts = recorded(
        made("prod", "v1"), delivered("v1"), *events, at=[1.0, 2.0, *[3 + BLAME_S] * 2]
    )
    assert report_changes(read(facts), 1e6, 1e6).failed == failed


def test_the_first_way_to_fail_counts() -> None:
    found = report(
        made("prod", "v1"),
        delivered("v1"),
        incident("failed stage", "model", 200.0),
        delivered("v0", rollback=True, replaced="v1"),
    )
    assert found.failures == {DeliveryFailure.INCIDENT: 1}


def test_other_environments_and_unknown_rollouts_change_nothing() -> None:
    base: list[Event] = [seen("prod", "c2"), made("prod", "v1"), delivered("v1")]
    others: list[Event] = [
        replace(delivered("v1"), environment="dev"),
        replace(rolled(RolloutAction.STARTED, "v1"), environment="dev"),
        replace(incident("failed stage", "model", 200.0), environment="dev"),
        replace(settled("page"), environment="dev"),
        rolled(RolloutAction.STARTED, "v0"),
        rolled(RolloutAction.REPLACED, "v1"),
        records.effect_done_event(),
    ]
    assert report(*base, *others) == report(*base)
    assert report(rolled(RolloutAction.STARTED, "v1")) == report()


def test_what_is_too_old_is_forgotten_and_what_waits_is_not() -> None:
    facts = recorded(
        seen("prod", "c2"),
        seen("prod", "c5"),
        made("prod", "v1"),
        decided("v1"),
        delivered("v1"),
        delivered("v2"),
        seen("prod", "c3"),
        seen("prod", "c1"),
        queued("k1"),
        made("prod", "v3"),
        delivered("v3"),
    )
    times = read(facts)
    times.prune(1000.0)
    assert (times.delivered, times.moves, times.settled, times.queued) == ([], [], {}, {})
    assert (times.made, times.approved) == ({}, {})
    assert sorted(times.changes) == ["c1", "c3", "c5"]
    # That of the last delivery may still begin a rollout.
    assert [each.version for each in times.deployments.values()] == ["v3"]
    assert times.waiting == {"out": ["c3", "c1"], "page": ["c5"]}
    # A commit that was delivered is no change again, while that is known.
    times = read([*facts, *[replace(fact, seq=99) for fact in recorded(seen("dev", "c2"))]])
    assert "c2" not in times.changes


def test_its_kinds_are_those_that_count() -> None:
    every = records.events_of_every_kind()
    facts = recorded(*every)
    counted = [fact for fact in facts if type(fact.event).__name__ in CHANGE_KINDS]
    assert read(facts) == read(counted)
    assert "Attempted" not in CHANGE_KINDS


def test_what_is_live_stays_so_when_its_commit_is_gone() -> None:
    live: list[Event] = [seen("prod", "c2"), made("prod", "v1"), delivered("v1")]
    gone = seen("prod", gone=["c2"])
    begun = rolled(RolloutAction.STARTED, "v1")
    assert [each.id for each in report(*live, gone, begun).delivered] == ["c2"]
    assert report(*live, begun, gone, rolled(RolloutAction.COMPLETED, "v1")).delivered == ()
    # What is gone isn't computed any more.
    found = report(seen("prod", "c3"), gone, seen("prod", gone=["c3"]), published("prod", "out"))
    assert (found.waiting, found.delivered) == ((), ())


def test_a_branch_that_begins_has_only_what_production_runs() -> None:
    other = ChangesSeen(environment="test", head="h")
    assert report(seen("dev", "c2"), other, EnvironmentDropped(environment="dev")) == report()
    kept = report(seen("dev", "c2"), seen("prod", "c2"), EnvironmentDropped(environment="dev"))
    assert [each.id for each in kept.waiting] == ["c2"]


def test_a_range_of_unknown_commits_is_no_change() -> None:
    unknown = replace(seen("prod", "c2"), commits=(), problem="git can't be started")
    found = report(unknown, made("prod", "v1"), delivered("v1"))
    assert (found.delivered, found.waiting, len(found.retrainings)) == ((), (), 1)


def test_the_end_of_a_rollout_is_the_first_one() -> None:
    completed, back = (
        rolled(action, "v1") for action in (RolloutAction.COMPLETED, RolloutAction.ROLLED_BACK)
    )
    events: list[Event] = [seen("prod", "c2"), made("prod", "v1"), delivered("v1"), completed]
    for more in ([completed], [back], [rolled(RolloutAction.STARTED, "v1")]):
        assert [each.live for each in report(*events, *more).delivered] == [130.0]


def test_another_model_does_not_take_over_what_is_live() -> None:
    first = replace(seen("prod", "c2"), delivers=("model", "twin"))
    twin, live = made("prod", "t1"), delivered("t1")
    artifact = replace(records.model_artifact("t1"), stage="twin")
    product = replace(twin.binding.product, artifact=artifact)
    twin = replace(twin, stage="twin", binding=replace(twin.binding, product=product))
    live = replace(live, delivery=replace(live.delivery, name="twin", artifact=artifact))
    found = report(first, made("prod", "v1"), twin, delivered("v1"), live)
    assert [(each.item, each.live) for each in found.delivered] == [("model", 130.0)]


def test_a_branch_publishes_what_production_changed_before_it_began() -> None:
    own = replace(seen("dev"), head="h")
    facts = recorded(
        seen("prod", "c4"), own, published("dev", "clean"), settled("page", "dev"), settled("page")
    )
    (change,) = report_changes(read(facts, "dev"), 1e6, 1e6).delivered
    assert (change.id, change.candidate, change.live) == ("c4", 120.0, 130.0)
