"""Runs as events: one START and one end for each, parents, reasons; always valid."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.openlineage.flows import CODE, FLOW, context, events_of
from tests.support.openlineage.validation import faults
from tests.support.thoroughness import examples, thorough
from tidemill.adapters.codec.events import decode_event, encode_event
from tidemill.contracts.finding import Finding
from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectQueued, Event, Published, Removed, RunEnded
from tidemill.ledger.run import Attempt, Failure, Outcome, Receipt, Status
from tidemill.lineage.openlineage import event_text
from tidemill.testing.records import (
    attempted_event,
    binding,
    decided_event,
    judged_event,
    model_artifact,
    product,
    published_event,
    removed_event,
    run_started_event,
)

START: Event = run_started_event()
BAD = Finding(rule="x.min", severity="quarantine", rows=3, sample="s3cret", message="s3cret")


def ended(status: Status = Status.OK, *failures: Failure) -> RunEnded:
    return RunEnded(
        run="run-1", status=status, receipt=Receipt(run="run-1", status=status, failures=failures)
    )


def published(stage: str, partition: str = "2013-03-07", **bound: Any) -> Published:
    made = replace(binding(stage), recipe=f"recipe of {stage}", inputs={"raw": "d"}, **bound)
    return published_event(partition, stage=stage, bound=made)


def ends(events: Sequence[Any]) -> dict[str, str]:
    return {e["job"]["name"]: e["eventType"] for e in events if e["eventType"] != "START"}


def end_of(events: Sequence[Any], job: str) -> Any:
    [found] = [e for e in events if e["job"]["name"] == job and e["eventType"] != "START"]
    assert faults(found) == []
    return found


def error_of(events: Sequence[Any], job: str) -> tuple[str, str]:
    facet = end_of(events, job)["run"]["facets"]["errorMessage"]
    return facet["message"], facet.get("stackTrace", "")


def test_a_run_has_a_run_for_each_stage_and_for_the_checks_of_its_contract() -> None:
    found = events_of([START, attempted_event("clean"), published("clean"), ended()])
    assert [(e["job"]["name"], e["eventType"], e["eventTime"][17:19]) for e in found] == [
        ("my shop.eu", "START", "40"),
        ("my shop.eu.clean", "START", "41"),
        ("my shop.eu.clean", "COMPLETE", "41"),
        ("my shop.eu.clean.contract", "START", "41"),
        ("my shop.eu.clean.contract", "COMPLETE", "41"),
        ("my shop.eu", "COMPLETE", "43"),
    ]
    assert [fault for event in found for fault in faults(event)] == []
    ids = {event["job"]["name"]: event["run"]["runId"] for event in found}
    assert len(set(ids.values())) == 3
    parents = {e["job"]["name"]: e["run"]["facets"].get("parent") for e in found}
    assert parents["my shop.eu"] is None
    for job, above in (("", ""), (".contract", ".clean")):
        parent = parents[f"my shop.eu.clean{job}"]
        assert parent is not None
        assert parent["job"] == {"namespace": "ns", "name": f"my shop.eu{above}"}
        assert parent["run"]["runId"] == ids[f"my shop.eu{above}"]
        assert parent["root"]["run"]["runId"] == ids["my shop.eu"]


def test_the_jobs_say_what_they_are() -> None:
    found = events_of([START, attempted_event("clean"), ended()], context(code=CODE))
    facets = end_of(found, "my shop.eu.clean")["job"]["facets"]
    assert facets["jobType"]["jobType"] == "TRANSFORM"
    assert facets["documentation"]["description"] == "Cleans what came."
    assert facets["ownership"]["owners"] == [{"name": "us"}]
    assert facets["sourceCodeLocation"]["version"] == "1"
    run = end_of(found, "my shop.eu")["run"]["facets"]
    keys = {p["key"]: p["value"] for p in run["executionParameters"]["parameters"]}
    assert keys == {"command": "run", "environment": "prod", "run": "run-1"}
    assert run["processing_engine"]["version"] == "1.2.3"


def test_a_stage_begins_when_its_first_step_did_but_not_before_the_run() -> None:
    step = attempted_event("clean", wall_s=2.0, queued_s=1.0)
    facts: list[Event] = [START, step, ended()]
    assert (
        events_of(facts, times=[10.0, 20.0, 21.0])[1]["eventTime"] == "1970-01-01T00:00:17.000000Z"
    )
    assert (
        events_of(facts, times=[18.0, 20.0, 21.0])[1]["eventTime"] == "1970-01-01T00:00:18.000000Z"
    )


def test_other_environments_have_their_own_namespace() -> None:
    facts: list[Event] = [
        run_started_event(environment="dev"),
        attempted_event("clean", environment="dev"),
        attempted_event("raw", environment="prod"),
        ended(),
    ]
    found = events_of(facts)
    assert {event["job"]["namespace"] for event in found} == {"ns/dev"}
    assert {event["job"]["name"] for event in found} == {"my shop.eu", "my shop.eu.clean"}
    assert events_of([START, ended()])[0]["run"]["runId"] != found[0]["run"]["runId"]


OUTCOMES = [
    ([Outcome.OK, Outcome.BOUND], Status.OK, "COMPLETE"),
    ([Outcome.RETRIED, Outcome.OK], Status.OK, "COMPLETE"),
    ([Outcome.OK, Outcome.FAILED], Status.FAILED, "FAIL"),
    ([Outcome.REFUSED], Status.FAILED, "FAIL"),
    ([Outcome.OK, Outcome.SKIPPED], Status.FAILED, "ABORT"),
    ([Outcome.OK], Status.INTERRUPTED, "ABORT"),
    ([Outcome.FAILED], Status.LOST, "FAIL"),
    ([Outcome.PRUNED, Outcome.STOPPED, Outcome.GAVE_UP], Status.OK, "COMPLETE"),
]


@pytest.mark.parametrize(("outcomes", "status", "kind"), OUTCOMES)
def test_how_stages_end(outcomes: list[Outcome], status: Status, kind: str) -> None:
    steps = [attempted_event("clean", str(n), outcome=o) for n, o in enumerate(outcomes)]
    assert ends(events_of([START, *steps, ended(status)]))["my shop.eu.clean"] == kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status.OK, "COMPLETE"),
        (Status.FAILED, "FAIL"),
        (Status.INTERRUPTED, "ABORT"),
        (Status.LOST, "ABORT"),
        (Status.RUNNING, "FAIL"),
    ],
)
def test_how_runs_end(status: Status, kind: str) -> None:
    assert ends(events_of([START, ended(status)])) == {"my shop.eu": kind}


def test_a_failure_has_a_message_and_a_traceback() -> None:
    failed = attempted_event("clean", outcome=Outcome.FAILED, message="it broke", trace="line 1")
    again = attempted_event("clean", "2013-03-08", outcome=Outcome.FAILED, message="other")
    causes = [Failure(stage="clean", partitions=(), why=f"why {n}", advice="") for n in range(5)]
    found = events_of([START, failed, again, ended(Status.FAILED, *causes)])
    assert error_of(found, "my shop.eu.clean") == ("it broke (and 1 more)", "line 1")
    assert error_of(found, "my shop.eu") == (
        "clean: why 0; clean: why 1; clean: why 2; and 2 more",
        "",
    )


def test_values_of_bad_rows_are_not_sent() -> None:
    failed = attempted_event(
        "clean", outcome=Outcome.FAILED, message="such as s3cret", findings=(BAD,)
    )
    cause = Failure(stage="clean", partitions=(), why="s3cret", advice="", findings=(BAD, BAD))
    found = events_of([START, failed, ended(Status.FAILED, cause)])
    assert error_of(found, "my shop.eu.clean")[0] == "rows break the contract: x.min"
    assert error_of(found, "my shop.eu")[0] == "clean: rows break the contract: x.min"
    assert "s3cret" not in json.dumps(found)


@pytest.mark.parametrize(
    ("status", "message"),
    [(Status.FAILED, "it failed"), (Status.LOST, "the run was lost"), (Status.OK, None)],
)
def test_a_run_that_ends_without_causes(status: Status, message: str | None) -> None:
    found = events_of([START, attempted_event("clean"), RunEnded(run="run-1", status=status)])
    facets = end_of(found, "my shop.eu")["run"]["facets"]
    assert facets.get("errorMessage", {}).get("message") == message
    assert ("errorMessage" in end_of(found, "my shop.eu.clean")["run"]["facets"]) == (
        status is Status.LOST
    )


def test_a_skipped_stage_says_what_it_waits_for() -> None:
    step = attempted_event("clean", outcome=Outcome.SKIPPED, message="raw failed")
    found = events_of([START, step, step, ended(Status.FAILED)])
    assert error_of(found, "my shop.eu.clean") == ("raw failed", "")


def test_the_time_that_partitions_cover() -> None:
    days = [attempted_event("clean", f"2024-02-{n}T00:00".partition("T")[0]) for n in (27, 29)]
    found = events_of([START, *days, ended()])
    facets = end_of(found, "my shop.eu.clean")["run"]["facets"]
    assert facets["nominalTime"]["nominalStartTime"] == "2024-02-27T00:00:00Z"
    assert facets["nominalTime"]["nominalEndTime"] == "2024-03-01T00:00:00Z"
    steps = {p["key"]: p["value"] for p in facets["executionParameters"]["parameters"]}
    assert steps == {"partitions": "2024-02-27 .. 2024-02-29 (2)", "steps": "2 ok"}


@pytest.mark.parametrize(
    ("stage", "partition", "covers"),
    [
        ("clean", "all", False),
        ("clean", "(none)", False),
        ("clean", "yesterday", False),
        ("opaque", "2024-02-27", False),
        ("gone", "2024-02-27", False),
        ("scored", "2024-02-27", True),
    ],
)
def test_not_every_partition_is_a_time(stage: str, partition: str, covers: bool) -> None:
    found = events_of([START, attempted_event(stage, partition), ended()])
    facets = end_of(found, f"my shop.eu.{stage}")["run"]["facets"]
    assert ("nominalTime" in facets) == covers


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ([attempted_event("clean"), published("clean")], "COMPLETE"),
        ([attempted_event("clean", outcome=Outcome.FAILED, findings=(BAD,))], "FAIL"),
        ([attempted_event("gone", outcome=Outcome.FAILED, findings=(BAD,))], "FAIL"),
        ([attempted_event("clean"), judged_event("clean")], "COMPLETE"),
        ([attempted_event("clean")], None),
        ([attempted_event("model"), published("model", product=product())], None),
    ],
)
def test_checks_have_a_run_if_something_was_checked(facts: list[Event], kind: str | None) -> None:
    found = events_of([START, *facts, ended()])
    kinds = [k for job, k in ends(found).items() if job.endswith(".contract")]
    assert kinds == ([kind] if kind else [])


def test_what_doesnt_belong_to_the_run_is_ignored() -> None:
    other = run_started_event("run-2")
    facts: list[Event] = [
        ended(),
        attempted_event("clean"),
        START,
        other,
        attempted_event("raw", run="run-2"),
        published("clean"),
        decided_event(),
        RunEnded(run="run-2", status=Status.OK),
        ended(),
    ]
    found = events_of(facts)
    assert [event["eventType"] for event in found] == ["START", "COMPLETE"]


NAMES = st.sampled_from([*FLOW.names, "gone", "weird ☃ name.with/dots"])
KEYS = st.sampled_from(["2013-03-07", "2013-03-08", "all", "(none)", "candidate", "ä b"])
FINDINGS = st.lists(
    st.builds(
        Finding,
        rule=st.text(max_size=8),
        severity=st.sampled_from(["fail", "quarantine", "warn", "info"]),
        rows=st.integers(0, 9),
    ),
    max_size=3,
).map(tuple)
ATTEMPTS = st.builds(
    Attempt,
    stage=NAMES,
    partition=KEYS,
    action=st.just("run"),
    outcome=st.sampled_from(list(Outcome)),
    message=st.text(max_size=20),
    trace=st.text(max_size=20),
    wall_s=st.floats(0, 1e6),
    rows_in=st.integers(0, 2**40),
    bytes_in=st.integers(0, 2**40),
    findings=FINDINGS,
).map(lambda attempt: replace(attempted_event(), attempt=attempt))
MADE = st.builds(product, st.text("abc", max_size=2), quarantined=st.integers(0, 3)) | st.just(
    replace(product(), artifact=model_artifact())
)


@st.composite
def bindings(draw: st.DrawFn, stage: str) -> Binding:
    recipe = draw(st.sampled_from([f"recipe of {stage}", "older"]))
    inputs = draw(st.dictionaries(st.sampled_from(["raw", "files", "(rulings)"]), st.just("d")))
    return replace(
        binding("k", draw(MADE)),
        recipe=recipe,
        inputs=inputs,
        model=draw(st.sampled_from(["", "model"])),
    )


@st.composite
def results(draw: st.DrawFn) -> Event:
    stage, key = draw(NAMES), draw(KEYS)
    kind = draw(st.integers(0, 3))
    if kind == 0:
        return Published(
            environment="prod", stage=stage, partition=key, binding=draw(bindings(stage))
        )
    if kind == 1:
        return Removed(environment="prod", stage=stage, partition=key, run="run-1")
    if kind == 2:
        return judged_event(stage)
    effect = Effect(
        key="e",
        stage=stage,
        partition=key,
        action=draw(st.sampled_from(["write", "remove"])),
        target=draw(st.text(max_size=9)),
        format=draw(st.sampled_from(["parquet", "sqlite", "delta", "iceberg", "postgres", "call"])),
        table=draw(st.text(max_size=5)),
    )
    return EffectQueued(environment="prod", effect=effect)


RUNS = st.lists(ATTEMPTS | results(), max_size=12)


@thorough
@settings(max_examples=examples(40))
@given(RUNS, st.sampled_from(list(Status)[1:]))
def test_events_of_any_run_are_valid_and_the_same_each_time(
    facts: list[Event], status: Status
) -> None:
    facts = [START, *facts, ended(status)]
    found = events_of(facts)
    assert [fault for event in found for fault in faults(event)] == []
    starts = Counter(e["run"]["runId"] for e in found if e["eventType"] == "START")
    finals = Counter(e["run"]["runId"] for e in found if e["eventType"] != "START")
    assert starts == finals == Counter(dict.fromkeys(starts, 1))
    assert all(event["eventTime"] <= found[-1]["eventTime"] for event in found)
    stored = [decode_event(encode_event(fact)) for fact in facts]
    assert list(map(event_text.encode_event, events_of(stored))) == list(
        map(event_text.encode_event, found)
    )


def test_a_removed_partition_is_counted() -> None:
    found = events_of([START, attempted_event("clean"), removed_event(stage="clean"), ended()])
    listed = end_of(found, "my shop.eu.clean")["run"]["facets"]["executionParameters"]["parameters"]
    assert {"key": "removed partitions", "value": "1"} in listed
