"""What people are told about a candidate model: nothing bad is left out, and nothing is invented."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tidemill.governance.model_sections import ModelEvidence, MovedExamples, model_sections
from tidemill.governance.page_values import PageSection
from tidemill.ledger.model_version import (
    Evaluation,
    Follower,
    MetricComparison,
    ModelVersion,
    TrainingCost,
    VersionComparison,
    VersionState,
)
from tidemill.ledger.run import Attempt, Outcome
from tidemill.testing import records as samples
from tidemill.workflow.gate import Daily, Interval
from tidemill.workflow.trigger import TriggerEvidence

COST = TrainingCost(attempts=1, wall_s=2.0, cpu_s=3.5, peak_rss=1, rows=10)
SCORED = Evaluation(stage="scores", scores=samples.scores(), run="r", at=1.0, rows_read="w")


def version(name: str, **artifact: Any) -> ModelVersion:
    return ModelVersion(
        artifact=replace(samples.model_artifact(name), **artifact),
        state=VersionState.CANDIDATE,
        trained_at=1.0,
        run="run",
        bytes=1_234,
        key="key",
        evaluations=(SCORED,),
        cost=COST,
    )


def metric(
    slice: str, one: float, other: float, interval: Interval | None = None
) -> MetricComparison:
    return MetricComparison(
        stage="scores", slice=slice, rows=40, metric="mae", one=one, other=other,
        gain=one - other, interval=interval,
    )  # fmt: skip


def interval(low: float, high: float) -> Interval:
    return Interval(value=(low + high) / 2, low=low, high=high, confidence=0.95, days=20)


def evidence(*metrics: MetricComparison, **changes: Any) -> ModelEvidence:
    live, candidate = version("old"), version("new")
    review = replace(
        samples.review(), artifact="new", replaces="old", verdict=samples.decided_event().decision
    )
    found = ModelEvidence(
        review=review,
        candidate=candidate,
        live=live,
        comparison=VersionComparison(one=live, other=candidate, metrics=metrics),
    )
    return replace(found, **changes)


def by_title(found: ModelEvidence) -> dict[str, PageSection]:
    return {part.title: part for part in model_sections(found)}


def test_what_gets_worse_is_named_with_its_certainty() -> None:
    found = evidence(
        metric("", 10.0, 11.0, interval(-1.5, -0.5)),
        metric("carrier=UA", 10.0, 15.0),
        metric("carrier=AA", 10.0, 9.0),
        metric("carrier=DL", 10.0, 11.0, interval(-3.0, 1.0)),
        metric("carrier=B6", 0.0, 0.1),
        metric("carrier=WN", 10.0, 10.5),
        metric("carrier=F9", 10.0, 10.1),
    )
    lines = by_title(found)["What gets worse"].lines
    assert lines == (
        "mae of scores: 10 -> 11 (+10%), beyond noise",
        "carrier=UA: mae 10 -> 15 (+50%) over 40 rows, without an interval",
        "carrier=DL: mae 10 -> 11 (+10%) over 40 rows, could be noise",
        "carrier=B6: mae 0 -> 0.1 over 40 rows, without an interval",
        "2 other slices with a worse figure (see the slices)",
        "1 of 6 slices gets better",
    )
    worst = by_title(found)["Slices, the worst first"].table
    assert worst is not None
    assert worst.rows[0] == ("carrier=UA", "mae", "40", "10", "15", "+50.0%", "-5", "-")
    assert worst.rows[1][-1] == "-3 .. +1, could be noise"


def test_nothing_worse_is_said_too_and_so_is_what_isnt_known() -> None:
    better = by_title(evidence(metric("", 10.0, 9.0)))["What gets worse"].lines
    assert better == ("no metric is worse over all rows (mae)",)
    nan, inf = math.nan, math.inf
    for one, other in ((10.0, nan), (nan, 10.0), (nan, nan), (10.0, inf), (inf, inf)):
        lost = by_title(evidence(metric("", one, other), metric("carrier=UA", one, other)))
        assert lost["What gets worse"].lines == (
            f"mae of scores: {one:.4g} -> {other:.4g}, without an interval",
            f"carrier=UA: mae {one:.4g} -> {other:.4g} over 40 rows, without an interval",
        )
    mixed = by_title(evidence(metric("carrier=UA", 10.0, 15.0), metric("carrier=AA", 10.0, nan)))
    worst = mixed["Slices, the worst first"].table
    assert worst is not None
    assert [row[0] for row in worst.rows] == ["carrier=AA", "carrier=UA"]
    unknown = by_title(evidence(comparison=None))["What gets worse"].lines
    assert unknown[0].startswith("no evaluation scored both versions")


def test_the_first_version_has_nothing_to_go_back_to() -> None:
    parts = by_title(evidence(live=None, comparison=None))
    assert "would be the first version that is live" in parts["What changes"].lines[0]
    assert "there is no live version to be worse than" in parts["What gets worse"].lines[0]
    assert "there is none to go back to" in parts["How to go back"].lines[0]
    assert parts["How to go back"].commands == ()
    assert "Code" not in parts
    assert "Contracts" not in parts
    table = parts["Metrics"].table
    assert table is not None
    assert table.headers == ("evaluation", "metric", ">rows", ">candidate")


def test_what_changes_names_parameters_inputs_packages_and_who_uses_it() -> None:
    comparison = VersionComparison(
        one=version("old"), other=version("new"), inputs={"hour": (False, True), "rain": (True, False)},
        parameters={"rounds": (60, 90)}, packages={"lightgbm": ("4.5", "4.6")},
    )  # fmt: skip
    found = evidence(
        comparison=comparison, endpoints=("delays",),
        followers=(Follower(table="out", on_new_model="rescore"),),
    )  # fmt: skip
    assert by_title(found)["What changes"].lines[2:] == (
        "table out is scored again by the new version",
        "endpoint delays answers with the new version",
        "it also reads hour",
        "it no longer reads rain",
        "parameter rounds: 60 -> 90",
        "package lightgbm: 4.5 -> 4.6",
    )


def test_why_now_has_the_trigger_and_the_reasons() -> None:
    fired = TriggerEvidence(trigger="every(7d)", fires=True, seen="7 days newer")
    worse = TriggerEvidence(trigger="degraded", fires=True, seen="mae 12", threshold="more than 11")
    other = TriggerEvidence(trigger="volume", seen="few rows")
    any_of = TriggerEvidence(trigger="any_of", fires=True, parts=(fired, other, worse))
    training = Attempt(
        stage="m", partition="all", action="train", outcome=Outcome.OK, reasons=("every(7d)",),
        evidence=any_of,
    )  # fmt: skip
    assert by_title(evidence(training=training))["Why now"].lines == (
        "it was trained because: every(7d)",
        "the trigger saw: 7 days newer",
        "the trigger saw: mae 12 (more than 11)",
        "people are asked because: predictions move",
    )
    untold = by_title(evidence(training=replace(training, evidence=None)))["Why now"].lines
    assert len(untold) == 2
    bare = evidence(
        training=replace(training, evidence=replace(other, seen="")),
        review=replace(samples.review(), reasons=()),
    )
    assert by_title(bare)["Why now"].lines[1:] == (
        "people are asked because the workflow wants a review of every version",
    )


def test_what_was_asked_for_and_what_the_rules_saw_is_said() -> None:
    found = evidence(request="ana ran `tidemill run`", conditions={"shift": "0.12 > 0.1"})
    lines = by_title(found)["Why now"].lines
    assert lines[0] == "ana ran `tidemill run`"
    assert lines[-1] == "the rule shift saw 0.12 > 0.1"


def test_another_kind_of_model_is_said() -> None:
    found = evidence(live=version("before", format="lightgbm"))
    lines = by_title(replace(found, candidate=version("new", format="sklearn")))[
        "What changes"
    ].lines
    assert "it is another kind of model: sklearn, not lightgbm" in lines
    assert not any("another kind" in line for line in by_title(evidence())["What changes"].lines)


def test_a_slice_that_no_gate_counts_is_marked() -> None:
    parts = by_title(evidence(metric("carrier=OO", 1.0, 2.0), least_rows=1_000_000))
    assert any("too few for the gates" in line for line in parts["What gets worse"].lines)
    parts = by_title(evidence(metric("carrier=OO", 1.0, 2.0)))
    assert not any("too few" in line for line in parts["What gets worse"].lines)


@pytest.mark.parametrize(("one", "other", "best"), [(1.0, 2.0, "lower"), (2.0, 1.0, "lower")])
def test_the_better_direction_of_a_metric_is_said(one: float, other: float, best: str) -> None:
    lines = by_title(evidence(metric("", one, other)))["Metrics"].lines
    assert f"mae: {best} is better" in lines


def test_predictions_that_move_most_are_shown() -> None:
    examples = MovedExamples(
        headers=("id", ">live", ">candidate", ">moved by"), cells=(("7", "1", "3", "2"),), rows=50,
        share=0.5, average=0.25, largest=2.0, source=" of features 2013",
    )  # fmt: skip
    decision = samples.policy_decision()
    parts = by_title(evidence(metric("", 1.0, 1.0), examples=examples, decision=decision))
    assert parts["What gets worse"].lines[-2:] == (
        "the distribution of predictions shifts by 12.0% of the evaluated rows (prediction_shift), for "
        "better or worse",
        "50.0% of 50 recent rows get another prediction: it moves by 0.25 on average, and at most by 2",
    )
    shown = parts["Predictions that move most"]
    assert shown.lines == ("of 50 rows of features 2013, scored by both versions",)
    assert shown.table is not None
    classes = replace(examples, average=None, largest=None)
    lines = by_title(evidence(examples=classes))["What gets worse"].lines
    assert lines[-1] == "50.0% of 50 recent rows get another class"


def test_gates_rules_data_contracts_code_and_cost() -> None:
    days = {"2013-01-01": "a", "2013-01-02": "b", "2013-01-03": "c"}
    old = {"features": {"2013-01-01": "a", "2013-01-02": "x", "2012-12-31": "z"}, "labels": days}
    found = evidence(
        candidate=version("new", snapshot={"features": days, "labels": days}),
        live=version("old", snapshot=old),
        decision=samples.policy_decision(),
        waivers=(samples.waiver(),),
        amounts={"new": "0.01 USD"},
        code=("m: params changed",),
        contracts=("column hour: added",),
        code_command="git log",
        diff=("--- m old", "+++ m new", "-    rounds = 60", "+    rounds = 90"),
        live_since="since 2013-01-01 10:00 UTC, by gates",
        rollback_by="ben (the role reviewer or a higher one in flights)",
        followers=(Follower(table="out", on_new_model="keep"),),
        place=" --env dev",
    )
    parts = by_title(found)
    assert parts["Data"].lines == (
        "features: also 2013-01-03; no longer 2012-12-31; with other values 2013-01-02",
        "labels: the same partitions with the same values",
    )
    assert parts["Contracts"].lines == ("column hour: added",)
    assert (parts["Code"].lines, parts["Code"].commands) == (("m: params changed",), ("git log",))
    assert parts["Code"].diff == found.diff
    assert parts["How to go back"].lines == (
        "old was live when people were asked, since 2013-01-01 10:00 UTC, by gates; it stays live if this is "
        "rejected",
        "if new is approved and turns out to be wrong, the command below makes old live again at once",
        "table out keeps what the new version scored until then",
        "who may run it: ben (the role reviewer or a higher one in flights)",
    )
    assert parts["Cost"].lines == (
        "training the candidate took 3.5 CPU seconds, 0.01 USD; it is stored in 1,234 bytes",
        "training the live version took 3.5 CPU seconds; it is stored in 1,234 bytes",
    )
    assert parts["How to go back"].commands == (
        'tidemill rollback delay_model --env dev --to old --reason "WHY"',
    )
    rules = parts["Rules and waivers"]
    assert rules.lines[0].startswith("waiver w1 lifts owner for * until ")
    assert rules.table is not None
    assert rules.table.rows == (
        ("shift", "review", "predictions move", "2 of the reviewers"),
        ("owner", "waived by w1", "no owner", "-"),
    )
    assert parts["Gates"].table is not None
    untold = by_title(
        evidence(
            live=None,
            comparison=None,
            candidate=replace(version("new", trained_on={"features": ("2013",)}), cost=None),
            review=samples.review(),
        )
    )
    assert untold["Data"].lines == ("features: 2013",)
    assert "Cost" not in untold
    assert "Gates" not in untold


def test_every_package_with_another_version_is_named() -> None:
    packages = {f"package{n}": ("1.0", "1.1") for n in range(7)}
    comparison = VersionComparison(one=version("old"), other=version("new"), packages=packages)
    parts = by_title(evidence(comparison=comparison))
    assert parts["What changes"].lines[-2:] == (
        "package package4: 1.0 -> 1.1", "2 other packages with another version (see the code)",
    )  # fmt: skip
    assert parts["Code"].lines == tuple(f"package package{n}: 1.0 -> 1.1" for n in range(7))


def test_the_rows_of_evaluations_are_named() -> None:
    daily = Daily(days=("2013-01-01", "2013-01-09"), rows=(3, 4), metrics={"mae": (1.0, 2.0)})
    dated = replace(SCORED, stage="dated", scores=replace(samples.scores(), daily=daily, rows=7))
    plain = replace(SCORED, scores=replace(samples.scores(), daily=None, rows=1))
    found = evidence(metric("", 1.0, 1.0))
    found = replace(found, candidate=replace(found.candidate, evaluations=(dated, plain)))
    lines = by_title(found)["Metrics"].lines
    assert lines == ("dated: 7 rows of 2 days, 2013-01-01 to 2013-01-09", "scores: 1 row")
    verdict = replace(samples.decided_event().decision, through="2013-02")
    found = replace(found, review=replace(found.review, verdict=verdict))
    assert by_title(found)["Metrics"].lines[1] == "scores: 1 row, the newest of 2013-02"


def test_slices_that_are_left_out_are_counted() -> None:
    found = evidence(*(metric(f"carrier={n}", 10.0, 10.0 + n) for n in range(20)))
    slices = by_title(found)["Slices, the worst first"]
    assert slices.lines == ("the first 15 of 20",)
    assert slices.table is not None
    assert [row[0] for row in slices.table.rows][::14] == ["carrier=19", "carrier=5"]
    assert slices.table.rows[0][5] == "+190.0%"
    every = by_title(evidence(metric("carrier=UA", 0.0, 1.0)))["Slices, the worst first"]
    assert every.lines == ()
    assert every.table is not None
    assert every.table.rows[0][5] == "-"
