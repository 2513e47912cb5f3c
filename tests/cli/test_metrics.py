"""`tidemill metrics`: figures of stages, days and partitions."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.commands import edit, tidemill


def test_nothing_ran(fresh: Path) -> None:
    assert tidemill("metrics").out.startswith("nothing has run since 20")
    assert tidemill("metrics", "features").out.startswith("features hasn't run since 20")


def test_each_stage(built: Path) -> None:
    found = tidemill("metrics", "--json")
    assert found.document["schema"] == "tidemill.metrics/1"
    assert (found.document["zone"], found.document["by"]) == ("UTC", "stage")
    stages = {each["performance"]["stage"]: each for each in found.document["stages"]}
    assert stages["sales"]["performance"]["attempts"] == 28
    assert stages["sales"]["performance"]["quarantined"] > 0
    assert stages["features"]["watermark"] is not None
    assert found.err == tidemill("metrics").out
    head, first, *_ = found.err.split("\n")
    assert head.split()[:4] == ["stage", "runs", "attempts", "failed"]
    assert first.split()[:3] == ["demand", "1", "1"]
    assert "days are those of UTC" in found.err


def test_days_and_partitions_of_a_stage(built: Path) -> None:
    days = tidemill("metrics", "features", "--json").document["stages"]
    assert [day["performance"]["attempts"] for day in days] == [28]
    assert tidemill("metrics", "features", "--since", "60d", "--json").document["stages"] == days
    partitions = tidemill("metrics", "features", "--by", "partition", "--json").document["stages"]
    assert [each["performance"]["attempts"] for each in partitions] == [1] * 28
    assert partitions[0]["key"] == "2026-01-05"
    total = sum(each["performance"]["rows_out"] for each in partitions)
    assert total == days[0]["performance"]["rows_out"]


def test_a_failed_stage_is_named_with_the_command_to_look(fresh: Path) -> None:
    code, line = fresh / "bakery.py", "    return sales.select(*HOUR, loaves="
    broken = '    assert sales.collect().is_empty(), "it broke"\n'
    edit(code, line, broken + line)
    assert tidemill("run", "labels").code == 1
    found = tidemill("metrics", "--json")
    (problem,) = [each for each in found.document["problems"] if each["kind"] == "failed stage"]
    assert problem["key"] == "failed-stage/prod/labels"
    assert problem["command"].startswith("tidemill runs logs ")
    assert problem["title"] in found.err
    assert tidemill(*problem["command"].split()[1:]).code == 0
    edit(code, broken, "")
    assert tidemill("run", "labels").code == 0
    assert "failed stage" not in tidemill("metrics").out


def test_metrics_for_prometheus(built: Path) -> None:
    text = tidemill("metrics", "--prometheus").out
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"tidemill_stage_attempts", "tidemill_stage_freshness_seconds", "tidemill_runs"} <= names


def test_odd_arguments(built: Path) -> None:
    assert "is not a duration" in tidemill("metrics", "--since", "soon").err
    assert tidemill("metrics", "--since", "soon").code == 2
    assert "did you mean 'features'" in tidemill("metrics", "featurs").err
    assert tidemill("metrics", "features", "--prometheus").code == 2


def test_what_cannot_be_kept_is_read_again(built: Path) -> None:
    before = tidemill("metrics").out
    kept = built / ".tidemill" / "metrics"
    for file in kept.iterdir() if kept.exists() else ():
        file.write_bytes(b"damaged")
    assert tidemill("metrics").out == before
