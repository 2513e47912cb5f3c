"""Conformance tests for ledgers: environments that branch off others."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from tidemill.core.errors import ConflictError
from tidemill.ledger.event import Computed, EnvironmentCreated, EnvironmentDropped
from tidemill.ports.ledger import Guard, Ledger
from tidemill.testing import records as samples
from tidemill.testing.records import (
    PROD,
    effect_queued_event,
    events_of_every_kind,
    published_event,
    removed_event,
)

CREATE_DEV = EnvironmentCreated(environment="dev", parent=PROD)
DROP_DEV = EnvironmentDropped(environment="dev")


def bound_keys(ledger: Ledger, environment: str) -> dict[str, str]:
    """The key under which each partition is bound, checked to be the same for every way to read it."""
    whole = ledger.state(environment, whole=True).heads["features"].partitions
    lazy = ledger.state(environment).heads["features"].partitions
    found = {partition: binding.key for partition, binding in whole.items()}
    assert {partition: lazy[partition].key for partition in found} == found
    assert all(
        lazy.get(f"{number:02}") is None for number in range(20) if f"{number:02}" not in found
    )
    again = ledger.state(environment).heads["features"].partitions
    assert (len(again), set(again)) == (len(found), set(found))
    return found


class BranchSuite:
    """A branch starts with its parent's state and then changes independently."""

    def test_a_branch_starts_as_its_parent_and_diverges(self, ledger: Ledger) -> None:
        ledger.append(
            [
                *events_of_every_kind(),
                effect_queued_event("pending"),
                samples.run_started_event("run-9"),
            ],
            now=1.0,
        )
        ledger.append([CREATE_DEV], now=2.0)
        prod, dev = ledger.state(PROD), ledger.state("dev")
        assert (dev.heads, dev.recipes, dev.live) == (prod.heads, prod.recipes, prod.live)
        assert dev.rulings == prod.rulings != {}
        assert (dev.sources, dev.decisions) == (prod.sources, prod.decisions) != ({}, {})
        assert dev.completion_marks == prod.completion_marks != {}
        assert (dev.pending_effects, dev.open_runs) == ((), ())
        ledger.append([published_event("2014-01-01", environment="dev")], now=3.0)
        assert replace(ledger.state(PROD), seq=prod.seq) == prod
        assert ledger.state("dev").heads["features"].version == 2

    def test_later_changes_of_parent_and_branch_stay_separate(self, ledger: Ledger) -> None:
        def put(partition: str, key: str, environment: str = PROD) -> None:
            bound = samples.binding(key)
            event = published_event(partition, bound=bound, environment=environment)
            ledger.append([event], now=1.0)

        for partition in ("01", "02", "03", "04"):
            put(partition, f"first {partition}")
        ledger.append([CREATE_DEV], now=2.0)
        began = bound_keys(ledger, PROD)
        for key in ("second", "third"):
            put("01", key)
        ledger.append([removed_event("02"), published_event("05")], now=3.0)
        assert bound_keys(ledger, "dev") == began
        put("03", "own", "dev")
        ledger.append([removed_event("04", environment="dev")], now=3.0)
        ledger.append([published_event("06", environment="dev")], now=3.0)
        assert bound_keys(ledger, "dev") == {
            "01": "first 01",
            "02": "first 02",
            "03": "own",
            "06": "features 06",
        }
        assert set(bound_keys(ledger, PROD)) == {"01", "03", "04", "05"}
        put("04", "anew", "dev")
        assert bound_keys(ledger, "dev")["04"] == "anew"

    def test_a_branch_of_a_branch(self, ledger: Ledger) -> None:
        ledger.append(
            [published_event("01"), published_event("02"), published_event("03")], now=1.0
        )
        ledger.append([CREATE_DEV], now=2.0)
        ledger.append([removed_event("01"), published_event("04")], now=3.0)
        ledger.append([removed_event("02", environment="dev")], now=3.0)
        ledger.append([published_event("05", environment="dev")], now=3.0)
        ledger.append([EnvironmentCreated(environment="deep", parent="dev")], now=4.0)
        began = bound_keys(ledger, "dev")
        assert set(began) == {"01", "03", "05"}
        ledger.append(
            [published_event("02", environment="dev"), removed_event("05", environment="dev")],
            now=5.0,
        )
        ledger.append([removed_event("03"), removed_event("03", environment="dev")], now=5.0)
        assert bound_keys(ledger, "deep") == began
        assert set(bound_keys(ledger, "dev")) == {"01", "02"}

    def test_a_branch_keeps_the_files_and_rulings_it_started_with(self, ledger: Ledger) -> None:
        said = samples.ruled_event(samples.ruling("one", 0))
        ledger.append([samples.source_seen_event("a", "b"), said], now=1.0)
        ledger.append([CREATE_DEV], now=2.0)
        began = ledger.state("dev")
        ledger.append([samples.source_seen_event("a", digest="other", gone=("b",))], now=3.0)
        ledger.append([samples.ruled_event(samples.ruling("two", 1))], now=3.0)
        dev = ledger.state("dev")
        assert (dev.sources, dev.rulings) == (began.sources, began.rulings)
        ledger.append([replace(samples.source_seen_event(gone=("a",)), environment="dev")], now=4.0)
        assert set(ledger.state("dev").sources["flights"]) == {"b"}
        assert set(ledger.state(PROD).sources["flights"]) == {"a"}

    def test_a_file_that_is_seen_and_gone_at_once_is_gone(self, ledger: Ledger) -> None:
        ledger.append([samples.source_seen_event("a", "b")], now=1.0)
        ledger.append([CREATE_DEV], now=2.0)
        ledger.append([samples.source_seen_event("a", digest="other", gone=("a",))], now=3.0)
        assert set(ledger.state(PROD).sources["flights"]) == {"b"}
        assert set(ledger.state("dev").sources["flights"]) == {"a", "b"}

    def test_heads_moved_by_the_same_fact_are_equal(self, ledger: Ledger) -> None:
        ledger.append([published_event(), published_event(stage="labels")], now=1.0)
        ledger.append([CREATE_DEV], now=2.0)
        ledger.append([published_event("01", environment="dev")], now=3.0)
        prod, dev = ledger.state(PROD).heads, ledger.state("dev").heads
        assert prod["labels"].last_event == dev["labels"].last_event
        assert prod["features"].last_event != dev["features"].last_event

    def test_a_dropped_branch_is_gone_and_its_name_is_free(self, ledger: Ledger) -> None:
        ledger.append([published_event("01"), samples.source_seen_event("a")], now=1.0)
        ledger.append([CREATE_DEV], now=2.0)
        ledger.append(
            [published_event("02", environment="dev"), effect_queued_event("e", environment="dev")],
            now=3.0,
        )
        before = ledger.state("dev")
        ledger.append([published_event("01", bound=samples.binding("new"))], now=3.0)
        ledger.append([DROP_DEV], now=4.0)
        state = ledger.state("dev")
        assert (state.heads, state.sources, state.pending_effects) == ({}, {}, ())
        assert set(state.environments) == {PROD}
        assert set(ledger.traces(["features 01", "features 02"])) == {"features 01", "features 02"}
        ledger.append([CREATE_DEV], now=5.0)
        assert bound_keys(ledger, "dev") == {"01": "new"}
        with suppress(ConflictError):  # the same version number, in a recreated environment
            assert before.heads["features"].partitions["01"].key == "features 01"
        with pytest.raises(ConflictError, match="no environment 'unheard'"):
            ledger.append([EnvironmentDropped(environment="unheard")], now=6.0)

    def test_an_environment_with_branches_is_not_dropped(self, ledger: Ledger) -> None:
        ledger.append([published_event("01")], now=1.0)
        ledger.append([CREATE_DEV], now=2.0)
        ledger.append([EnvironmentCreated(environment="deep", parent="dev")], now=3.0)
        with pytest.raises(ConflictError, match="'deep' branched off the environment 'dev'"):
            ledger.append([DROP_DEV], now=4.0)
        ledger.append([EnvironmentDropped(environment="deep")], now=5.0)
        ledger.append([DROP_DEV], now=6.0)
        assert bound_keys(ledger, PROD) == {"01": "features 01"}

    def test_a_sampled_partition_is_bound_only_with_that_sample(self, ledger: Ledger) -> None:
        ledger.append([published_event("01")], now=1.0)
        ledger.append([replace(CREATE_DEV, sample=0.05)], now=2.0)
        sampled = replace(samples.binding("sampled"), sample=0.05)
        for environment, share in ((PROD, 0.05), ("dev", 0.1)):
            bound = replace(sampled, sample=share)
            with pytest.raises(ConflictError, match="computed on a sample"):
                ledger.append(
                    [published_event("02", environment=environment, bound=bound)], now=3.0
                )
        ledger.append([published_event("02", environment="dev", bound=sampled)], now=3.0)
        assert bound_keys(ledger, "dev") == {"01": "features 01", "02": "sampled"}
        assert ledger.traces(["sampled"]) == {"sampled": sampled}

    def test_a_computed_partition_is_traced_but_not_bound(self, ledger: Ledger) -> None:
        computed = Computed(stage="features", partition="01", binding=samples.binding("computed"))
        ledger.append([published_event("01")], now=1.0)
        ledger.append([computed], now=2.0, guard=Guard(find_missing=lambda names: ()))
        assert ledger.traces(["computed"]) == {"computed": computed.binding}
        assert bound_keys(ledger, PROD) == {"01": "features 01"}
        assert ledger.state(PROD).heads["features"].version == 1
