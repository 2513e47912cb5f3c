"""Failures by cause: one for all partitions that failed for the same reason, with advice."""

from dataclasses import replace
from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contracts.checks.findings import budget_findings, rows_findings
from tidemill.contracts.checks.table_findings import median_findings
from tidemill.contracts.spec import ContractSpec
from tidemill.contracts.table_rules import Budget, Rows
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action, Attempt, Failure, Outcome
from tidemill.planning.plan import Step
from tidemill.runs.failures import group_failures

TRACE = "Traceback ..."
FAILED = partial(Attempt, stage="labels", action="run", outcome=Outcome.FAILED, exit_code=1)
STEP = partial(Step, action=Action.RUN, reasons=())


def raised(partition: str, error: str, line: int = 73, **more: object) -> Attempt:
    place = "" if partition == WHOLE else f" {partition}"
    message = f"labels{place} raised {error} at bakery.py:{line}"
    return replace(FAILED(partition=partition, message=message, trace=TRACE), **more)  # type: ignore[arg-type]


def broken(partition: str, findings: str) -> Attempt:
    message = f"labels {partition} breaks its contract (contract Labels 1.0.0): {findings}"
    return FAILED(partition=partition, message=message, exit_code=3)


def advice(attempt: Attempt) -> str:
    [failure] = group_failures([attempt])
    return failure.advice


def why(attempt: Attempt) -> str:
    [failure] = group_failures([attempt])
    return failure.why


def test_an_error_at_one_line_is_one_failure_whatever_its_text_names() -> None:
    [failure] = group_failures(
        [raised(f"2026-01-{day:02}", f"ValueError: shop {day} is closed") for day in (3, 1, 2)]
    )
    assert failure.partitions == ("2026-01-01", "2026-01-02", "2026-01-03")
    assert failure.messages == tuple(
        f"labels 2026-01-{day:02} raised ValueError: shop {day} is closed at bakery.py:73"
        for day in (1, 2, 3)
    )
    assert failure.why == "in 2026-01-03: ValueError: shop 3 is closed at bakery.py:73"
    assert failure.advice == (
        "correct the code, then run again; `tidemill run labels 2026-01-03 --debug` runs it alone"
    )


@pytest.mark.parametrize(
    "other",
    [
        raised("b", "ValueError: x", line=74),
        raised("b", "KeyError: x"),
        raised("b", "ValueError: x", stage="sales"),
        raised("b", "ValueError: x", fate="timeout"),
        raised("b", "ValueError: x", action="train"),
        raised("b", "ValueError: x", trace=""),
    ],
)
def test_another_cause_is_another_failure(other: Attempt) -> None:
    found = group_failures([raised("a", "ValueError: x"), other])
    assert [failure.partitions for failure in found] == [("a",), ("b",)]


def test_rows_that_break_the_same_rule_are_one_failure_whatever_they_are() -> None:
    told = "status.type: {} of {} values can't be cast to Enum('open'), such as {}; fix the source"
    [failure] = group_failures(
        [
            broken("2026-01-01", told.format(1, 3, "'lost'")),
            broken("2026-01-02", told.format(2, 4, "'x'")),
        ]
    )
    assert failure.partitions == ("2026-01-01", "2026-01-02")
    assert failure.why == (
        "in 2026-01-01: breaks Labels 1.0.0: status.type: 1 of 3 values can't be cast to Enum('open'), "
        "such as 'lost'"
    )
    assert failure.advice == "fix the source"


def test_the_same_text_names_no_partition() -> None:
    [failure] = group_failures([broken(day, "rows: none came") for day in ("1", "2")])
    assert failure.why == "breaks Labels 1.0.0: rows: none came"
    assert failure.advice == "fix the data, or the contract"


def test_several_rules_give_all_that_is_wrong_and_then_all_that_helps() -> None:
    text = (
        "once: 1 of 2 rows repeat id; remove the repetition; name.type: 1 of 2 values; fix the source; "
        "known: 1 of 2 rows; fix the source"
    )
    attempt = broken("1", text)
    assert why(attempt) == (
        "breaks Labels 1.0.0: once: 1 of 2 rows repeat id; name.type: 1 of 2 values; known: 1 of 2 rows"
    )
    assert advice(attempt) == "remove the repetition; fix the source"


def test_every_finding_about_a_partition_says_what_to_do() -> None:
    spec = ContractSpec(
        name="Labels",
        version="1.0.0",
        columns=(),
        rows=Rows(min=5, max=9, vs_last=3, within=0.1),
        budget=Budget(max_bad=0.1),
    )
    findings = [
        *rows_findings(spec, 2),
        *rows_findings(spec, 20),
        *median_findings(spec, 2, [6, 6, 6]),
        *budget_findings(spec, 9, 10),
    ]
    assert len(findings) == 4
    for finding in findings:
        said, _, hint = finding.message.rpartition("; ")
        assert (why(broken("1", finding.message)), advice(broken("1", finding.message))) == (
            f"breaks Labels 1.0.0: {said}",
            hint,
        )


@pytest.mark.parametrize(
    ("message", "why_", "advice_"),
    [
        ("labels 1: data/x.csv can't be read; run again", "data/x.csv can't be read", "run again"),
        ("labels: no disk", "no disk", "fix the cause, then run again"),
        ("labels: can't be fed Days 2.0.0: x removed; retrain it, or declare",
         "can't be fed Days 2.0.0: x removed", "retrain it, or declare"),
        ("labels can't be read: x is damaged; check the disk; then `tidemill run x --again` recomputes it",
         "can't be read: x is damaged", "check the disk; then `tidemill run x --again` recomputes it"),
        ("labels: unknown format; set format= to one of csv", "unknown format", "set format= to one of csv"),
        ("labels (bakery.py:7): no disk", "(bakery.py:7): no disk", "fix the cause, then run again"),
        ("elsewhere it broke\nin two lines", "elsewhere it broke in two lines",
         "fix the cause, then run again"),
    ],
)  # fmt: skip
def test_a_message_of_ours_says_itself_what_to_do(message: str, why_: str, advice_: str) -> None:
    attempt = FAILED(partition="1", message=message)
    assert (why(attempt), advice(attempt)) == (why_, advice_)


@pytest.mark.parametrize(
    ("error", "number", "says"),
    [
        ("ConnectionError: gone", 1, "with retries=tm.retries(3) the stage"),
        ("TimeoutError: late", 1, "with retries=tm.retries(3) the stage"),
        ("ReadTimeout: late", 1, "with retries=tm.retries(3, on=(ReadTimeout,)) the stage"),
        ("ConnectionError: gone", 4, "find out why it persists, then run again"),
        ("KeyError: 'shop'", 1, "correct the code, then run again; `tidemill run labels --debug`"),
        (
            "ModuleNotFoundError: No module named 'lightgbm'",
            1,
            "`pip install 'tidemill[lightgbm]'`, then run again",
        ),
        ("ModuleNotFoundError: it hides", 1, "correct the code, then run again"),
    ],
)
def test_what_passes_by_itself_is_tried_again(error: str, number: int, says: str) -> None:
    assert says in advice(raised(WHOLE, error, number=number))


def test_an_error_that_doesnt_say_its_name_is_one_of_the_code() -> None:
    attempt = FAILED(partition=WHOLE, message="labels went wrong", trace=TRACE, action="train")
    assert (why(attempt), advice(attempt)) == ("went wrong", "correct the code, then run again")


def test_how_often_it_was_tried_is_told() -> None:
    attempts = [
        raised("a", "ConnectionError: gone", outcome=Outcome.RETRIED),
        raised("a", "ConnectionError: gone", number=2),
    ]
    [failure] = group_failures(attempts)
    assert failure.why == "ConnectionError: gone at bakery.py:73 (tried 2 times)"


@pytest.mark.parametrize(
    ("fate", "says"),
    [
        ("oom", "it held 2,100 MB: allow more with resources=tm.resources(memory=...)"),
        ("timeout", "allow more with resources=tm.resources(timeout=...)"),
        ("lost", "check its output; if memory ran out"),
        ("cancelled", "it was cancelled; run again"),
    ],
)
def test_a_process_that_was_ended_is_told_by_its_fate(fate: str, says: str) -> None:
    seen = FAILED(partition="1", message="labels 1 was ended", fate=fate, peak_rss=2_100_000_000)
    assert why(seen) == "was ended"
    assert advice(seen).startswith(says)
    unseen = advice(replace(seen, peak_rss=0))
    assert unseen.startswith(says.partition(": ")[2] or says)
    assert unseen == advice(
        replace(seen, message="labels 1: it held 2,100 MB") if fate == "oom" else seen
    )


def test_a_refused_model_names_the_gates_that_said_no() -> None:
    message = (
        "labels 1979809e0bed refused:\nFAILED beats_live(mae): 16 against 12\npassed baseline(mae): 1\n"
        "FAILED no_slice_worse(mae, over=carrier): worse in 2 (9E: 15; AA: 15)"
    )
    attempt = FAILED(
        partition=WHOLE, message=message, action="gate", outcome=Outcome.REFUSED, exit_code=4
    )
    assert why(attempt) == "refused by beats_live(mae), no_slice_worse(mae, over=carrier)"
    assert advice(attempt).startswith("the live model stays")
    assert group_failures([attempt])[0].messages == ()
    undecided = replace(attempt, message=message.replace("FAILED", "UNDECIDED"))
    assert why(undecided) == why(attempt)
    assert advice(undecided).startswith("the live model stays; score more days")
    assert why(replace(attempt, message="labels waits for a review")) == "waits for a review"
    own = "labels 1979 refused:\nFAILED sane: odd (rows: 3): 7\nUNDECIDED golden(a.csv): 1\npassed size: 1 MB"
    found = replace(attempt, message=own)
    assert why(found) == "refused by sane, golden(a.csv)"
    assert advice(found) == "the live model stays; what its gates found says what to change"


def test_a_long_story_is_cut() -> None:
    text = why(FAILED(partition="1", message=f"labels 1: {'very ' * 100}bad"))
    assert len(text) <= 240
    assert text.endswith("very…")


def test_what_waits_is_counted_at_what_it_waits_for() -> None:
    steps = [
        STEP(stage="labels", partition="1"),
        STEP(stage="labels", partition="2"),
        STEP(stage="labels", partition="3"),
        STEP(stage="features", partition="1", reads={"labels": ("1",)}),
        STEP(stage="features", partition="2", reads={"labels": ("2",)}),
        STEP(stage="features", partition="3", reads={"labels": ("3",)}),
        STEP(
            stage="model", partition=WHOLE, action=Action.TRAIN, reads={"features": ("1", "2", "3")}
        ),
        STEP(stage="scores", partition="candidate", reads={"model": ()}),
        STEP(stage="model", partition=WHOLE, action=Action.GATE, reads={"scores": ("candidate",)}),
        STEP(stage="model", partition="again", action=Action.GATE),
        STEP(stage="alone", partition=WHOLE),
    ]
    skipped = partial(Attempt, outcome=Outcome.SKIPPED, message="is missing")
    attempts = [
        raised("1", "ValueError: x"),
        raised("2", "KeyError: x"),
        *(skipped(stage="features", partition=day, action="run") for day in "12"),
        skipped(stage="model", partition=WHOLE, action="train"),
        skipped(stage="scores", partition="candidate", action="run"),
        skipped(stage="model", partition=WHOLE, action="gate"),
        skipped(stage="model", partition="again", action="gate"),
        skipped(stage="alone", partition=WHOLE, action="run"),
    ]
    assert [failure.skipped for failure in group_failures(attempts, steps)] == [5, 1]
    assert [failure.skipped for failure in group_failures(attempts)] == [0, 0]


def test_a_long_message_keeps_the_place_in_the_code() -> None:
    text = why(raised("1", f"ValueError: {'very ' * 100}bad"))
    assert len(text) <= 240
    assert text.endswith("… at bakery.py:73")


def test_different_errors_of_one_query_are_different_failures() -> None:
    told = "InvalidOperationError: conversion failed in column `{}`: [{}]; in `{}` in the query"
    attempts = [
        raised("2024-01-01", told.format("a", '"x]"', "a")),
        raised("2024-01-02", told.format("b", '"x"', "b")),
        raised("2024-01-03", told.format("a", '"y"', "a")),
    ]
    found = group_failures(attempts)
    assert [failure.partitions for failure in found] == [
        ("2024-01-01", "2024-01-03"),
        ("2024-01-02",),
    ]
    assert all(failure.why.endswith("in the query at bakery.py:73") for failure in found)


# Texts that name what differs between the partitions of a stage that failed for the same cause.
SAYINGS = [
    "can't read /data/{key}/part.parquet: bad magic; find out why",
    "can't read s3://bucket/raw/{key}.csv (line {number})",
    r"can't read C:\data\{key}.csv: it ends early",
    "{number} of {number} rows break shop.known, such as '{value}' and '{value}'",
    'conversion failed for {number} values: ["{value}", "{value}"]',
    "upstream sales {key} is missing",
    "raised InvalidOperationError: failed for {number} values: [{number}, {number}] in the query at a.py:7",
]
KEYS = st.one_of(
    st.dates().map(str),
    st.integers(1, 10**9).map(str),
    st.text("abcdefxyzABC_-", min_size=8, max_size=20),
)
VALUES = st.text(
    st.characters(exclude_characters="'\"\\", categories=["L", "N", "P", "Zs"]), max_size=9
)
PARTICULARS = st.lists(
    st.tuples(KEYS, st.integers(0, 10**6), VALUES),
    min_size=2,
    max_size=9,
    unique_by=lambda it: it[0],
)


@pytest.mark.parametrize("saying", SAYINGS)
@given(places=PARTICULARS)
def test_files_keys_figures_and_values_do_not_divide_a_cause(
    saying: str, places: list[tuple[str, int, str]]
) -> None:
    attempts = [
        FAILED(
            partition=key,
            message=f"labels {key}: " + saying.format(key=key, number=number, value=value),
            trace=TRACE if "raised" in saying else "",
        )
        for key, number, value in places
    ]
    [failure] = group_failures(attempts)
    assert failure.partitions == tuple(sorted(key for key, *_ in places))


ATTEMPTS = st.builds(
    Attempt,
    stage=st.sampled_from(["labels", "sales"]),
    partition=st.sampled_from([WHOLE, "1", "2", "3"]),
    action=st.sampled_from([str(action) for action in Action]),
    outcome=st.sampled_from(Outcome),
    message=st.one_of(
        st.text(), st.sampled_from(["labels 1 raised E: x at a.py:1", "labels raised", ""])
    ),
    trace=st.sampled_from(["", TRACE]),
    exit_code=st.sampled_from([1, 3, 4]),
    fate=st.sampled_from(["", "error", "lost", "oom", "timeout", "cancelled"]),
    number=st.integers(1, 3),
)


@given(st.lists(ATTEMPTS, max_size=20), st.randoms())
def test_skipped_steps_are_counted_once(attempts: list[Attempt], random: Random) -> None:
    made = [(a.stage, a.partition) for a in attempts]
    steps = [
        STEP(
            stage=stage,
            partition=partition,
            reads={other: (key,) for other, key in random.sample(made, k=min(2, len(made)))},
        )
        for stage, partition in dict.fromkeys(made)
    ]
    found = group_failures(attempts, steps)
    skipped = {(a.stage, a.partition) for a in attempts if a.outcome is Outcome.SKIPPED}
    assert sum(failure.skipped for failure in found) <= len(skipped)


@given(st.lists(ATTEMPTS, max_size=20))
def test_every_failed_partition_is_told_and_no_other(attempts: list[Attempt]) -> None:
    found = group_failures(attempts)
    failed = {
        (a.stage, a.partition) for a in attempts if a.outcome in (Outcome.FAILED, Outcome.REFUSED)
    }
    assert {(f.stage, key) for f in found for key in f.partitions} == failed
    for failure in found:
        assert list(failure.partitions) == sorted(set(failure.partitions))
        assert failure.advice
        assert "\n" not in failure.why
        assert len(failure.why) < 300


def test_what_rules_and_people_hold_says_what_to_do() -> None:
    def held(message: str) -> Failure:
        attempt = Attempt(
            stage="sent",
            partition="d1",
            action=Action.DELIVER,
            outcome=Outcome.REFUSED,
            message=message,
        )
        (found,) = group_failures([attempt, replace(attempt, partition="d2")])
        return found

    asked = "look at it with: tidemill review show r1"
    waits = held(f"sent: 2 partitions: waits for review r1 by ops\nmoved: look\n{asked}")
    assert waits.why == "2 partitions: waits for review r1 by ops; moved: look"
    assert waits.advice == asked
    assert waits.partitions == ("d1", "d2")
    denied = held(
        "sent: 2 partitions: refused by the rules\nrule a: no\n"
        "change what the rule asks for, or waive it: tidemill policy waive a\n"
        "sent passed its gates:\npassed x: 1"
    )
    assert denied.why == "2 partitions: refused by the rules; rule a: no"
    assert denied.advice == "change what the rule asks for, or waive it: tidemill policy waive a"
