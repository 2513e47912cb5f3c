"""What a run did to a stage, added up."""

from __future__ import annotations

from dataclasses import replace

from tidemill.ledger.run import Attempt, Outcome
from tidemill.lineage.openlineage.stage_tally import StageTally
from tidemill.testing.records import binding, effect_queued_event, model_artifact, product


def attempt(partition: str, outcome: Outcome = Outcome.OK) -> Attempt:
    return Attempt(
        stage="s", partition=partition, action="run", outcome=outcome, rows_in=3, bytes_in=5
    )


def test_only_steps_that_ended_well_count_what_they_read() -> None:
    tally = StageTally("s", 0.0, 0.0)
    for outcome in Outcome:
        tally.add_attempt(attempt("2024-01-01", outcome), 9.0)
    assert (tally.rows_in, tally.bytes_in, tally.failures, tally.skips) == (6, 10, 2, 1)
    assert tally.ended == 9.0


def test_a_partition_that_is_published_twice_counts_once() -> None:
    tally = StageTally("s", 0.0, 0.0)
    for key in ("b", "a", "a"):
        tally.add_binding(key, binding("k", product(f"rows of {key}")))
    assert (tally.rows, tally.bytes, tally.objects) == (48, 1024, 2)


def test_versions_identify_what_was_published() -> None:
    tallies = [StageTally("s", 0.0, 0.0) for _ in range(4)]
    assert tallies[0].version == ""
    tallies[0].add_binding("a", binding("k", product("one")))
    assert tallies[0].version == "one"
    for tally, keys in zip(tallies[1:], ("ab", "ba", "ac"), strict=True):
        for key in keys:
            tally.add_binding(key, binding("k", product("one")))
    assert tallies[1].version == tallies[2].version != tallies[3].version
    tallies[1].add_binding("a", binding("k", replace(product(), artifact=model_artifact("m7"))))
    assert tallies[1].version == "m7"


def test_parameters_name_partitions_steps_and_removals() -> None:
    tally = StageTally("s", 0.0, 0.0)
    assert dict(tally.parameters()) == {"partitions": "", "steps": "", "removed partitions": ""}
    for key in ("all", "(none)", "2024-01-02", "2024-01-01"):
        tally.add_attempt(attempt(key), 1.0)
    tally.add_attempt(attempt("2024-01-01", Outcome.RETRIED), 1.0)
    tally.removed.add("2023-12-31")
    assert dict(tally.parameters()) == {
        "partitions": "2024-01-01 .. 2024-01-02 (2)",
        "steps": "4 ok, 1 retried",
        "removed partitions": "1",
    }


def test_each_place_that_is_delivered_to_counts_once() -> None:
    tally = StageTally("s", 0.0, 0.0)
    effect = effect_queued_event().effect
    tally.add_effect(effect)
    tally.add_effect(replace(effect, partition="other", action="remove"))
    assert (list(tally.effects), tally.delivered) == ([effect.place], 1)
