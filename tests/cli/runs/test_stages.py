"""`tidemill runs stages`: figures of stages."""

from pathlib import Path

from tests.support.commands import edit, tidemill

FIGURES = {
    *("stage", "runs", "attempts", "failed", "retried", "error_rate", "wall", "queue"),
    *("rows_per_s", "bytes_per_s", "cpu_s", "peak_rss", "workers"),
    *("rows_in", "rows_out", "bytes_in", "bytes_out", "quarantined", "quarantine_rate"),
    *("charged_cpu_s", "spent"),
}


def test_none_yet(fresh: Path) -> None:
    assert tidemill("runs", "stages").out.startswith("no stage has run yet")
    assert tidemill("runs", "stages", "--json").document["stages"] == []


def test_figures_of_each_stage(built: Path) -> None:
    found = tidemill("runs", "stages", "--json")
    document = found.document
    assert (document["schema"], document["last"]) == ("tidemill.stages/1", 20)
    by_stage = {stage["stage"]: stage for stage in document["stages"]}
    assert set(by_stage["sales"]) == FIGURES
    # The gate of the model is no try at making it.
    tries = {name: stage["attempts"] for name, stage in by_stage.items()}
    assert tries == {
        **dict.fromkeys(("sales", "weather", "features", "labels", "forecast"), 28),
        **{"demand": 1, "demand_scores": 2},
    }
    sales = by_stage["sales"]
    assert (sales["failed"], sales["error_rate"], sales["runs"]) == (0, 0, 1)
    assert 0 < sales["wall"]["p50"] <= sales["wall"]["p95"]
    assert sales["rows_per_s"] > 0
    assert found.err == tidemill("runs", "stages").out
    head, first, *_, blank, last, end = found.err.split("\n")
    assert head.split()[:5] == ["stage", "runs", "attempts", "failed", "p50"]
    assert first.split()[:4] == ["sales", "1", "28", "-"]
    assert (blank, end) == ("", "")
    assert last == "over the last runs in prod with steps of these stages, at most 20"


def test_of_the_last_runs_only(built: Path) -> None:
    tidemill("run", "labels", "--again")
    tidemill("run")  # which has nothing to do
    found = tidemill("runs", "stages", "--last", "1", "--json").document["stages"]
    assert {stage["stage"]: stage["runs"] for stage in found}["labels"] == 1
    assert "demand" not in {stage["stage"] for stage in found}
    both = tidemill("runs", "stages", "--json").document["stages"]
    assert {stage["stage"]: stage["runs"] for stage in both}["labels"] == 2


def test_only_those_of_the_environment_count(built: Path) -> None:
    old = "    return sales.select(*HOUR,"
    edit(built / "bakery.py", old, f"    assert sales.collect().is_empty()\n{old}")
    assert tidemill("run", "labels", "--env", "trial", "--create").code != 0
    found = tidemill("runs", "stages", "--env", "trial", "--json").document
    (labels,) = [stage for stage in found["stages"] if stage["stage"] == "labels"]
    assert (found["environment"], labels["failed"], labels["attempts"]) == ("trial", 28, 28)
    prod = tidemill("runs", "stages", "--json").document["stages"]
    assert {stage["failed"] for stage in prod} == {0}
    assert "`tidemill runs stages`" not in tidemill("runbook").out
    assert "`tidemill runs stages --env trial`" in tidemill("runbook", "--env", "trial").out


def test_failures_count(fresh: Path) -> None:
    old = "    return sales.select(*HOUR,"
    edit(fresh / "bakery.py", old, f"    assert sales.collect().is_empty()\n{old}")
    tidemill("run", "labels", "--to", "2026-01-06")
    [labels] = [
        stage
        for stage in tidemill("runs", "stages", "--json").document["stages"]
        if stage["stage"] == "labels"
    ]
    assert (labels["attempts"], labels["failed"], labels["error_rate"]) == (2, 2, 1)
    assert labels["wall"] == {"p50": None, "p95": None}
    assert "2 (100%)" in tidemill("runs", "stages").out
