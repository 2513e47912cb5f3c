"""Conformance suite for ledgers; see `artifacts_and_claims` for how to use a suite."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from threading import Thread
from typing import Any

import pytest

from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import (
    EnvironmentCreated,
    EnvironmentDropped,
    Event,
    RecipeChanged,
    RunEnded,
)
from tidemill.ledger.run import Status
from tidemill.ledger.schedule_events import Ticked
from tidemill.ports.ledger import Guard, Ledger, State
from tidemill.testing import records as samples
from tidemill.testing.records import (
    HOLDER,
    PROD,
    cost_events,
    effect_queued_event,
    events_of_every_kind,
    governance_events,
    incident_events,
    off_peak_events,
    published_event,
    removed_event,
    retention_events,
    schedule_events,
)
from tidemill.testing.suites.ledger_branches import BranchSuite
from tidemill.testing.suites.ledger_costs import CostSuite
from tidemill.testing.suites.ledger_guards import GuardSuite
from tidemill.testing.suites.ledger_selection import SelectionSuite
from tidemill.workflow.environment import Environment


def nobody_is_dead(holder: Mapping[str, str]) -> bool:
    """Report every lease holder as alive."""
    return False


class AppendSuite:
    """Appending facts: in order, all or none, and only if the guard holds."""

    def test_an_empty_ledger_has_an_empty_state(self, ledger: Ledger) -> None:
        assert list(ledger.events()) == []
        assert ledger.state(PROD) == State(
            environment=PROD,
            seq=0,
            heads={},
            recipes={},
            sources={},
            completion_marks={},
            rulings={},
            live={},
            decisions={},
            pending_effects=(),
            open_runs=(),
            costs={},
            environments={},
        )
        assert ledger.traces(["key"]) == {}
        assert ledger.append([], now=1.0) == 0

    def test_every_kind_of_event_round_trips(self, ledger: Ledger) -> None:
        events = events_of_every_kind()
        assert ledger.append(events[:3], now=1.0) == 3
        assert ledger.append(events[3:], now=2.5) == len(events)
        facts = list(ledger.events())
        assert [fact.event for fact in facts] == events
        assert [fact.seq for fact in facts] == list(range(1, len(events) + 1))
        assert [fact.at for fact in facts] == [1.0] * 3 + [2.5] * (len(events) - 3)

    def test_events_are_selected(self, ledger: Ledger) -> None:
        ledger.append(events_of_every_kind(), now=1.0)

        def kinds(**by: Any) -> list[str]:
            return [type(fact.event).__name__ for fact in ledger.events(**by)]

        assert kinds(kinds=("Ticked", "Published", "Unheard")) == ["Published"] * 2 + ["Ticked"]
        assert kinds(kinds=["Published"], after=6) == ["Published"]
        served = ["TokenCreated", "TokenRevoked", "Served", "RolloutStepped"]
        later = (
            *governance_events(),
            *incident_events(),
            *retention_events(),
            *schedule_events(),
            *off_peak_events(),
            *cost_events(),
        )
        governed = [type(event).__name__ for event in later]
        assert kinds(after=20) == [
            "Ticked",
            *served,
            *governed,
            "NoteSent",
            "RunEnded",
            "LineageDropped",
            "ChangesSeen",
            "Compacted",
        ]
        assert kinds(limit=2) == ["EnvironmentCreated", "RunStarted"]
        assert kinds(limit=0) == []
        judged = ["Judged", "DriftJudged", "DriftAlarmed"]
        own = ["RunStarted", "Attempted", *["Published"] * 2, "Removed", *judged, "Computed"]
        assert kinds(run="run-1") == [*own, "RunEnded", "LineageDropped"]
        assert kinds(run="run-1", kinds=("Attempted", "Ticked"), after=2) == ["Attempted"]
        assert kinds(run="run-2") == []
        assert kinds(stage="delay_model") == ["Decided"]
        assert kinds(stage="features", kinds=("Published", "Decided")) == ["Published"] * 2
        assert kinds(stage="features", run="run-1", kinds=("Attempted",)) == ["Attempted"]
        assert kinds(stage="unheard") == []

    def test_a_long_history_is_read_to_its_end(self, ledger: Ledger) -> None:
        ticks: list[Event] = [Ticked(schedule="s", tick=str(number)) for number in range(1203)]
        ledger.append(ticks, now=1.0)
        ledger.append([effect_queued_event()], now=1.0)
        assert [fact.seq for fact in ledger.events()] == list(range(1, 1205))
        assert [fact.seq for fact in ledger.events(kinds=("Ticked",), after=1)][-1] == 1203
        assert len(list(ledger.events(kinds=("Ticked", "EffectQueued"), limit=1204))) == 1204

    def test_events_appended_during_a_read_are_left_out(self, ledger: Ledger) -> None:
        ledger.append([published_event()], now=1.0)
        seen = []
        for fact in ledger.events():
            seen.append(fact.seq)
            ledger.append([published_event()], now=2.0)
        assert seen == [1]

    @pytest.mark.parametrize(
        "wrong",
        [
            EnvironmentCreated(environment=PROD),
            EnvironmentCreated(environment="dev", parent="unheard"),
            EnvironmentDropped(environment="unheard"),
            samples.run_started_event(),
            RunEnded(run="run-1", status=Status.LOST),  # ended already
            RunEnded(run="unheard", status=Status.OK),
            effect_queued_event(target="elsewhere"),
            effect_queued_event(environment="dev"),
            samples.effect_done_event("unheard"),
            samples.effect_done_event(environment="dev"),
            Ticked(schedule="nightly", tick="2013-03-08T02"),
        ],
        ids=lambda event: f"{type(event).__name__} {getattr(event, 'environment', '')}",
    )
    def test_a_contradiction_rejects_the_whole_append(self, ledger: Ledger, wrong: Event) -> None:
        ledger.append(events_of_every_kind(), now=1.0)
        before = ledger.state(PROD), list(ledger.events())
        with pytest.raises(ConflictError):
            ledger.append(
                [published_event("2014-01-01"), effect_queued_event("new"), wrong], now=2.0
            )
        assert (ledger.state(PROD), list(ledger.events())) == before
        assert ledger.traces(["features 2014-01-01"]) == {}
        assert ledger.append([published_event("2014-01-01")], now=3.0) == len(before[1]) + 1

    def test_threads_lose_nothing(self, ledger: Ledger) -> None:
        def work(stage: str) -> None:
            for number in range(12):
                ledger.append([published_event(str(number), stage=stage)], now=1.0)
                assert ledger.state(PROD).heads[stage].version == number + 1

        threads = [Thread(target=work, args=(f"stage-{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        state = ledger.state(PROD)
        assert state.seq == len(list(ledger.events())) == 48
        assert {stage: head.version for stage, head in state.heads.items()} == {
            f"stage-{number}": 12 for number in range(4)
        }


class StateSuite:
    """The current state, and how each kind of event changes it."""

    def test_everything_is_in_the_state(self, ledger: Ledger) -> None:
        ledger.append(events_of_every_kind(), now=1.0)
        state = ledger.state(PROD)
        assert state.seq == len(events_of_every_kind())
        assert state.completion_marks == {"features": samples.settled_event().mark}
        assert list(state.heads) == ["features"]
        assert state.heads["features"].version == 1
        bound = samples.binding("key", samples.product(quarantined=2))
        assert state.heads["features"].partitions == {"2013-03-07": bound}
        assert state.rulings == {"features": {"2013-03-07": (samples.ruling("key", 1),)}}
        assert state.recipes == {"features": {"code": "c2"}}
        assert state.sources == {
            "flights": {p: samples.source_file(p) for p in ("a.parquet", "b.parquet")}
        }
        assert state.live == {"delay_model": samples.delivered_event().delivery}
        assert state.decisions == {"subject": samples.decided_event().decision}
        assert state.pending_effects == ()
        assert state.open_runs == ()
        assert state.environments == {PROD: Environment(name=PROD, since=1, at=1.0)}
        assert state.costs == {"features": {"run": samples.cost(1)}}

    def test_a_head_moves_once_an_append_and_stage(self, ledger: Ledger) -> None:
        ledger.append(
            [published_event("1"), published_event("2"), published_event("1", stage="labels")],
            now=1.0,
        )
        ledger.append([removed_event("1"), published_event("3")], now=1.0)
        ledger.append([removed_event("unheard", stage="labels")], now=1.0)
        heads = ledger.state(PROD).heads
        assert {stage: head.version for stage, head in heads.items()} == {
            "features": 2,
            "labels": 2,
        }
        assert set(heads["features"].partitions) == {"2", "3"}
        assert set(heads["labels"].partitions) == {"1"}

    def test_a_head_can_be_left_empty(self, ledger: Ledger) -> None:
        ledger.append([published_event("1")], now=1.0)
        ledger.append([removed_event("1")], now=1.0)
        head = ledger.state(PROD).heads["features"]
        assert (head.version, head.partitions) == (2, {})

    def test_partitions_are_those_of_the_head_that_was_seen(self, ledger: Ledger) -> None:
        first = [published_event("1"), published_event("2")]
        ledger.append([*first, published_event("1", stage="labels")], now=1.0)
        state, whole = ledger.state(PROD), ledger.state(PROD, whole=True)
        seen = state.heads["features"].partitions["1"]
        ledger.append(
            [published_event("2", bound=samples.binding("new")), published_event("3")], now=2.0
        )
        assert whole.heads["features"].partitions == {e.partition: e.binding for e in first}
        assert state.heads["features"].partitions["1"] == seen == first[0].binding
        assert state.heads["labels"].partitions["1"] == samples.binding("labels 1")
        for partition in ("2", "3"):
            with suppress(ConflictError):
                found = state.heads["features"].partitions.get(partition)
                assert found == (first[1].binding if partition == "2" else None)
        for look in (len, lambda held: len(set(held)), lambda held: len(held.values())):
            with suppress(ConflictError):
                assert look(state.heads["features"].partitions) == 2

    @pytest.mark.parametrize("count", [1, 99, 1000])
    def test_partitions_are_a_mapping(self, ledger: Ledger, count: int) -> None:
        events = {f"{n:04}": published_event(f"{n:04}") for n in range(count)}
        ledger.append([*events.values(), published_event("a", stage="labels")], now=1.0)
        wanted = {partition: event.binding for partition, event in events.items()}

        def held() -> Mapping[str, Binding]:
            return ledger.state(PROD).heads["features"].partitions

        assert (len(held()), sorted(held()), dict(held())) == (count, sorted(wanted), wanted)
        assert (held() == wanted, wanted == held(), held() == {}) == (True, True, False)
        assert sorted(held().items()) == sorted(wanted.items())
        partitions = held()
        assert [partitions[key] for key in wanted] == list(wanted.values())
        partitions = held()
        assert [partitions.get(f"{n:04}") for n in range(count, 2 * count)] == [None] * count
        assert "0000" in partitions
        assert "a" not in partitions
        assert len(list(partitions)) == len(partitions) == count
        assert (partitions.get("a"), partitions["0000"]) == (None, wanted["0000"])

    def test_a_name_that_is_not_unicode_is_unknown(self, ledger: Ledger) -> None:
        """Check that names from the command line, which may have any bytes, aren't found."""
        ledger.append([published_event("1")], now=1.0)
        held = ledger.state(PROD).heads["features"].partitions
        assert held.get("\udcff") is None
        assert "1\udcff" not in held
        assert list(ledger.events(run="\udcff")) == []
        unknown = ledger.state("\udcff")
        assert (unknown.environment, dict(unknown.heads)) == ("\udcff", {})
        assert unknown.environments == ledger.state(PROD).environments

    def test_the_first_result_of_a_key_stays(self, ledger: Ledger) -> None:
        first = samples.binding("key", samples.product("first"))
        second = samples.binding("key", samples.product("second"))
        ledger.append([published_event(bound=first)], now=1.0)
        ledger.append([published_event(bound=second)], now=1.0)
        assert ledger.traces(["key", "unheard"]) == {"key": first}
        assert ledger.state(PROD).heads["features"].partitions["2013-03-07"] == second

    def test_traces_outlive_bindings_and_cross_environments(self, ledger: Ledger) -> None:
        ledger.append([published_event("1"), published_event("2", environment="dev")], now=1.0)
        ledger.append([removed_event("1")], now=1.0)
        assert set(ledger.traces(["features 1", "features 2"])) == {"features 1", "features 2"}
        assert ledger.traces([]) == {}

    def test_the_newest_of_a_name_counts(self, ledger: Ledger) -> None:
        ledger.append(
            [samples.delivered_event("old"), samples.decided_event(approved=False)], now=1.0
        )
        ledger.append([samples.source_seen_event("a", "b")], now=1.0)
        ledger.append(
            [samples.source_seen_event("a", digest="other", gone=("b", "unheard"))], now=1.0
        )
        ledger.append([samples.delivered_event("new"), samples.decided_event()], now=1.0)
        for code in ("c1", "c2"):
            parts = {"code": code}
            changed = RecipeChanged(environment=PROD, stage="features", recipe=code, parts=parts)
            ledger.append([changed], now=1.0)
        state = ledger.state(PROD)
        assert state.live["delay_model"].artifact.id == "new"
        assert state.decisions["subject"].approved
        assert state.sources == {"flights": {"a": samples.source_file("a", "other")}}
        assert state.recipes == {"features": {"code": "c2"}}

    def test_a_stage_is_settled_until_it_sees_other_files(self, ledger: Ledger) -> None:
        marks = [samples.settled_event(stage=stage) for stage in ("flights", "features")]
        ledger.append([*marks, samples.settled_event(environment="dev", stage="flights")], now=1.0)
        ledger.append([samples.settled_event("other"), published_event(), removed_event()], now=1.0)
        assert {
            stage: mark.signature for stage, mark in ledger.state(PROD).completion_marks.items()
        } == {
            "flights": "signature",
            "features": "other",
        }
        ledger.append([samples.source_seen_event("a")], now=1.0)
        assert set(ledger.state(PROD).completion_marks) == {"features"}
        assert set(ledger.state("dev").completion_marks) == {"flights"}
        ledger.append([samples.source_seen_event("b"), marks[0]], now=1.0)
        assert ledger.state(PROD).completion_marks["flights"] == marks[0].mark

    def test_rulings_are_kept_in_their_order(self, ledger: Ledger) -> None:
        first, second = samples.ruling("one", 0, 2), samples.ruling("one", 2, fixed="rows")
        other = samples.ruling("other")
        ledger.append(
            [samples.ruled_event(first), samples.ruled_event(other, stage="labels")], now=1.0
        )
        ledger.append(
            [samples.ruled_event(second), samples.ruled_event(other, partition="1")], now=2.0
        )
        ledger.append([EnvironmentCreated(environment="dev", parent=PROD)], now=3.0)
        ledger.append([samples.ruled_event(first, environment="dev")], now=4.0)
        assert ledger.state(PROD).rulings == {
            "features": {"2013-03-07": (first, second), "1": (other,)},
            "labels": {"2013-03-07": (other,)},
        }
        dev = ledger.state("dev").rulings["features"]
        assert dev == {"2013-03-07": (first, second, first), "1": (other,)}
        assert ledger.state(PROD).heads == {}

    def test_objects_of_a_ruling_must_exist(self, ledger: Ledger) -> None:
        said = samples.ruling("one", fixed="rows")
        for lost in said.pinned_objects:

            def present(names: Collection[str], lost: str = lost) -> Collection[str]:
                return [name for name in names if name == lost]

            with pytest.raises(StorageError, match=lost):
                ledger.append(
                    [samples.ruled_event(said)], now=1.0, guard=Guard(find_missing=present)
                )
        assert ledger.state(PROD).rulings == {}
        ledger.append(
            [samples.ruled_event(said)], now=1.0, guard=Guard(find_missing=lambda names: ())
        )
        assert ledger.state(PROD).rulings["features"] == {"2013-03-07": (said,)}

    def test_a_run_is_open_until_it_ends(self, ledger: Ledger) -> None:
        runs = ("run-2", PROD), ("run-1", PROD), ("run-3", "dev")
        ledger.append([samples.run_started_event(*run) for run in runs], now=7.0)
        opened = ledger.state(PROD).open_runs
        assert [run.id for run in opened] == ["run-1", "run-2"]
        assert (opened[0].started, opened[0].ended, opened[0].status) == (7.0, None, Status.RUNNING)
        assert (opened[0].holder, opened[0].command) == (HOLDER, "run")
        ledger.append([RunEnded(run="run-1", status=Status.LOST)], now=8.0)
        assert [run.id for run in ledger.state(PROD).open_runs] == ["run-2"]
        assert [run.id for run in ledger.state("dev").open_runs] == ["run-3"]

    def test_effects_are_pending_in_their_order_until_done(self, ledger: Ledger) -> None:
        ledger.append(
            [
                effect_queued_event("b"),
                effect_queued_event("a"),
                effect_queued_event("c", environment="dev"),
            ],
            now=1.0,
        )
        ledger.append([effect_queued_event("b")], now=1.0)  # queueing it twice changes nothing
        assert self._pending(ledger) == [samples.effect("b"), samples.effect("a")]
        ledger.append([samples.effect_done_event("b")], now=1.0)
        assert self._pending(ledger) == [samples.effect("a")]
        ledger.append(
            [effect_queued_event("b"), samples.effect_done_event("b")], now=1.0
        )  # done stays done
        assert self._pending(ledger) == [samples.effect("a")]
        assert ledger.state("dev").pending_effects == (samples.effect("c"),)

    def test_an_environment_that_was_written_to_exists(self, ledger: Ledger) -> None:
        ledger.append([published_event()], now=1.0)
        with pytest.raises(ConflictError, match="'prod' exists already"):
            ledger.append([EnvironmentCreated(environment=PROD)], now=1.0)
        with pytest.raises(ConflictError, match="no environment 'unheard'"):
            ledger.append([EnvironmentCreated(environment="dev", parent="unheard")], now=1.0)
        created = EnvironmentCreated(environment="dev", expires=9.0, sample=0.5, profile="quick")
        ledger.append([created], now=1.0)
        state = ledger.state("dev")
        assert state.heads == {}
        assert state.environments["dev"] == Environment(
            name="dev", since=2, at=1.0, expires=9.0, sample=0.5, profile="quick"
        )

    @staticmethod
    def _pending(ledger: Ledger) -> list[Effect]:
        return list(ledger.state(PROD).pending_effects)


class LeaseSuite:
    """Leases: one holder at a time, each with its own token."""

    def test_a_lease_is_exclusive(self, ledger: Ledger) -> None:
        lease = ledger.acquire("run", HOLDER, now=100.0, ttl=30.0, dead=nobody_is_dead)
        assert (lease.name, lease.token, lease.holder) == ("run", 1, HOLDER)
        assert lease.expires == 130.0
        with pytest.raises(ConflictError, match=r"'run' is held by pid 4711, host tern.* 29 s"):
            ledger.acquire("run", {"pid": "2"}, now=101.0, ttl=30.0, dead=nobody_is_dead)
        other = ledger.acquire("sweep", {"pid": "2"}, now=101.0, ttl=30.0, dead=nobody_is_dead)
        assert other.token == 1

    def test_tokens_always_grow(self, ledger: Ledger) -> None:
        for token in (1, 2, 3):
            lease = ledger.acquire("run", HOLDER, now=100.0, ttl=30.0, dead=nobody_is_dead)
            assert lease.token == token
            ledger.release(lease)

    @pytest.mark.parametrize("how", ["expired", "dead"])
    def test_a_lost_lease_can_be_taken_over(self, ledger: Ledger, how: str) -> None:
        old = ledger.acquire("run", HOLDER, now=100.0, ttl=30.0, dead=nobody_is_dead)
        asked: list[Mapping[str, str]] = []

        def dead(holder: Mapping[str, str]) -> bool:
            asked.append(holder)
            return True

        if how == "expired":
            new = ledger.acquire("run", {"pid": "2"}, now=130.0, ttl=30.0, dead=nobody_is_dead)
        else:
            new = ledger.acquire("run", {"pid": "2"}, now=101.0, ttl=30.0, dead=dead)
            assert asked == [HOLDER]
        assert new.token == 2
        with pytest.raises(ConflictError, match=r"'run' \(token 1\).* held by pid 2 now"):
            ledger.append([published_event()], now=102.0, guard=Guard(lease=old))
        with pytest.raises(ConflictError, match="no longer ours"):
            ledger.renew(old, now=102.0, ttl=30.0)
        ledger.release(old)  # no longer ours, so nothing happens
        ledger.append([published_event()], now=102.0, guard=Guard(lease=new))
        assert ledger.state(PROD).seq == 1

    def test_an_expired_lease_is_ours_until_it_is_taken(self, ledger: Ledger) -> None:
        lease = ledger.acquire("run", HOLDER, now=100.0, ttl=30.0, dead=nobody_is_dead)
        ledger.append([published_event()], now=500.0, guard=Guard(lease=lease))
        renewed = ledger.renew(lease, now=500.0, ttl=30.0)
        assert (renewed.token, renewed.expires) == (1, 530.0)
        with pytest.raises(ConflictError):
            ledger.acquire("run", {"pid": "2"}, now=529.0, ttl=30.0, dead=nobody_is_dead)

    def test_a_released_lease_guards_nothing(self, ledger: Ledger) -> None:
        lease = ledger.acquire("run", HOLDER, now=100.0, ttl=30.0, dead=nobody_is_dead)
        ledger.release(lease)
        ledger.release(lease)
        for use in (
            lambda: ledger.append([published_event()], now=101.0, guard=Guard(lease=lease)),
            lambda: ledger.renew(lease, now=101.0, ttl=30.0),
        ):
            with pytest.raises(ConflictError, match="nobody holds it now"):
                use()

    def test_an_unknown_lease_guards_nothing(self, ledger: Ledger) -> None:
        lease = ledger.acquire("run", HOLDER, now=100.0, ttl=30.0, dead=nobody_is_dead)
        with pytest.raises(ConflictError, match="no longer ours"):
            ledger.append(
                [published_event()], now=101.0, guard=Guard(lease=replace(lease, name="other"))
            )


class LedgerSuite(
    GuardSuite, AppendSuite, SelectionSuite, StateSuite, CostSuite, BranchSuite, LeaseSuite
):
    """Conformance tests for a ledger; the fixture `ledger` is an empty one."""
