"""The report on a version of a model."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.models.test_card import evaluated, scored, whole
from tidemill.drawing.status import DrawnStatus
from tidemill.history.model_comparison import compare_versions
from tidemill.ledger.model_version import LivePeriod, ModelVersion, VersionState
from tidemill.ledger.price import Price
from tidemill.reports.model_report import ModelRecord, model_report
from tidemill.reports.report import Report, ReportPart
from tidemill.reports.report_html import report_html
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import ParentVersion


def record(version: ModelVersion, **changes: Any) -> ModelRecord:
    return ModelRecord(
        workflow="w",
        environment="dev",
        version=version,
        now=0.0,
        price=Price(cpu_hour=3_600.0, currency="EUR"),
        **changes,
    )


def named(name: str, **changes: Any) -> ModelVersion:
    version = whole(**changes)
    return replace(version, artifact=replace(version.artifact, id=name))


def parts(report: Report) -> dict[str, ReportPart]:
    return {part.title: part for part in report.parts if not part.is_empty}


def period(version: str, until: float | None, replaced: str = "") -> LivePeriod:
    return LivePeriod(
        environment="dev", version=version, since=86_400.0, until=until, actor="ana", reason="so",
        replaced=replaced,
    )  # fmt: skip


def test_the_live_version() -> None:
    version = named("abc")
    elsewhere = replace(period("zzz", None), environment="prod")
    periods = [period("old", 90_000.0), period("abc", None, replaced="old"), elsewhere]
    baselines = {"delay_scores": Scores(rows=5, metrics={"mae": 7.5})}
    found = record(version, versions=[version], periods=periods, baselines=baselines)
    report = model_report(found)
    assert (report.title, report.word) == ("delay_model abc", "live")
    assert report.status is DrawnStatus.CURRENT
    assert report.state == "it answers since 1970-01-02 00:00 UTC, made live by ana; mae 1"
    known = parts(report)
    assert [*known] == [
        "Gates and decisions", "Metrics", "Days, slices and curves", "Slices", "Training data",
        "Provenance", "Versions", "How to go back", "See more",
    ]  # fmt: skip
    gates = known["Gates and decisions"]
    assert gates.lines[-1] == "withdrawn by ana on 1970-01-01 00:00 UTC: slow"
    assert gates.tables[0].rows[0] == ("beats_live(mae)", "passed", "1 against 2 of live")
    (metrics,) = known["Metrics"].tables
    assert metrics.headers == (
        "evaluation", "metric", ">value", "95 % interval", ">baseline", "",
    )  # fmt: skip
    assert metrics.rows[0][-2:] == ("7.5", "higher is better")
    assert " to " in metrics.rows[0][3]
    assert (
        known["Metrics"].lines[0] == "delay_scores: 200 rows of 20 days, 2026-01-01 to 2026-01-20"
    )
    assert len(known["Days, slices and curves"].charts) == 3
    assert "no calibration curve is recorded" in known["Days, slices and curves"].lines[0]
    assert known["Slices"].tables[0].rows[0][:2] == ("c01", "101")
    assert dict(known["Provenance"].facts)["training"] == "2.50 s, CPU 4.00 s, 1.0 MB, 4.00 EUR"
    assert [row[0] for row in known["Versions"].tables[1].rows] == ["abc", "old"]
    assert known["How to go back"].commands == (
        'tidemill rollback delay_model --env dev --to old --reason "WHY"',
    )


def test_after_a_rollback_the_version_that_was_withdrawn_is_no_way_back() -> None:
    first, old = period("first", 1.0), period("old", 2.0, replaced="first")
    bad = period("bad", 3.0, replaced="old")
    back = replace(period("old", None, replaced="bad"), rollback=True)
    found = record(named("old"), periods=[first, old, bad, back])
    (command,) = parts(model_report(found))["How to go back"].commands
    assert "--to first" in command
    only = replace(period("old", None, replaced="bad"), rollback=True)
    found = record(named("old"), periods=[replace(old, replaced=""), bad, only])
    assert parts(model_report(found))["How to go back"].lines == (
        "No other version was live before it.",
    )


def test_a_version_that_is_not_live_is_compared() -> None:
    live, other = named("aaa"), named("bbb", state=VersionState.WITHDRAWN)
    found = record(other, comparison=compare_versions(live, other), versions=[other, live])
    report = model_report(found)
    assert report.state == "mae 1; live is aaa"
    known = parts(report)
    assert ">live" in known["Metrics"].tables[0].headers
    assert known["Slices"].tables[0].caption == "Against the live version, the worst first"
    assert "--to bbb" in known["How to go back"].commands[0]
    assert "tidemill models compare --env dev delay_model aaa bbb" in known["See more"].commands
    (trend,) = known["Versions"].charts
    assert trend.title == "mae of the last 2 versions"


def test_a_version_of_which_little_is_known() -> None:
    bare = named(
        "abc", evaluations=(), decisions=(), cost=None, state=VersionState.REFUSED, removed=5.0
    )
    bare = replace(bare, artifact=replace(bare.artifact, hardware={}, packages={}, seed=None))
    report = model_report(record(bare))
    assert report.state == "no scores; no version is live"
    assert "removed" in dict(report.facts)
    known = parts(report)
    assert known["Gates and decisions"].lines == ("No gate or person decided on it.",)
    assert known["How to go back"].lines == (
        "This version isn't approved, so that it can't be made live.",
    )
    assert "Metrics" not in known
    first = model_report(record(replace(bare, state=VersionState.LIVE)))
    assert first.state == "it answers; no scores"
    assert parts(first)["How to go back"].lines == ("No other version was live before it.",)


def test_a_parent_is_named() -> None:
    version = named("abc")
    parent = ParentVersion(id="older", key="k", digest="d")
    child = replace(version.artifact, parent=parent, generation=2)
    report = model_report(record(replace(version, artifact=child)))
    assert dict(parts(report)["Provenance"].facts)["continues"] == "version older, generation 2"


def test_charts_that_are_left_out_are_counted() -> None:
    stages = [evaluated(scored(days=3, slices=1), f"s{n}") for n in range(12)]
    found = record(named("abc", evaluations=tuple(stages)))
    assert "26 more charts left out" in report_html(model_report(found))


@pytest.mark.untraced
def test_500_slices_and_many_versions_are_a_small_file() -> None:
    stages = [evaluated(scored(days=365, slices=500), f"s{n}") for n in range(12)]
    live, other = named("aaa", evaluations=tuple(stages)), named("b<b>", evaluations=tuple(stages))
    other = replace(
        other, artifact=replace(other.artifact, params=json.dumps({"p": "<p>" * 50_000}))
    )
    versions = [named(f"v{n}") for n in range(1_000)]
    found = record(
        replace(other, state=VersionState.CANDIDATE),
        comparison=compare_versions(live, other),
        versions=versions,
        periods=[period(f"v{n}", 1.0) for n in range(1_000)],
    )
    html = report_html(model_report(found))
    assert 50_000 < len(html.encode()) < 500_000
    assert "too large" not in html
    assert "26 more charts left out" in html
    assert "(the first 40 of 6,000)" in html
    assert "(the first 40 of 1,000)" in html
    assert "<b>" not in html
