"""The example for Dagster: it materializes days of real flights, and computes only what changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.support.driven import ANSWER, Driven, driven
from tests.support.flights_project import computed, create_flights, review_table, send_again
from tests.support.neighbours import ROOT, python_beside, type_errors

EXAMPLE = ROOT / "examples" / "schedulers" / "dagster_assets.py"
DRIVER = f"""
import importlib.util, json, sys
import dagster as dg

spec = importlib.util.spec_from_file_location("assets", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
dg.Definitions.validate_loadable(module.defs)
instance = dg.DagsterInstance.get()
for line in sys.stdin:
    first, last = json.loads(line)
    tags = {{"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}}
    done = dg.materialize([module.stages], tags=tags, instance=instance, raise_on_error=False)
    stages = {{}}
    for event in done.get_asset_materialization_events():
        figures = event.materialization.metadata
        stages[event.asset_key.path[-1]] = {{name: each.value for name, each in figures.items()}}
    retries = sum(event.is_step_up_for_retry for event in done.all_events)
    answer = {{"success": done.success, "stages": stages, "retries": retries}}
    print({ANSWER!r} + json.dumps(answer), flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project, which asks people before it delivers a day once more."""
    folder = tmp_path_factory.mktemp("dagster")
    review_table(create_flights(folder / "flights"), "backfill")
    example = EXAMPLE.read_text(encoding="utf-8")
    for ours, the_tests in (
        ("/srv/bakery", f"{folder}/flights"),
        ("2026-01-05", "2013-01-01"),
        ("Europe/Berlin", "America/New_York"),
        ("delay=300", "delay=0"),
    ):
        assert ours in example
        example = example.replace(ours, the_tests)
    (folder / "dagster_assets.py").write_text(example, encoding="utf-8")
    (folder / "home").mkdir()
    settings = "telemetry:\n  enabled: false\n"
    (folder / "home" / "dagster.yaml").write_text(settings, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def dagster(folder: Path) -> Iterator[Driven]:
    """Ask it for the first and the last day to materialize."""
    with driven(
        python_beside("dagster"),
        DRIVER,
        folder / "dagster_assets.py",
        folder=folder,
        DAGSTER_HOME=f"{folder}/home",
        DAGSTER_DISABLE_TELEMETRY="1",
    ) as running:
        yield running


def test_days_are_materialized_and_only_changes_are_computed(folder: Path, dagster: Driven) -> None:
    first = dagster.ask(["2013-01-01", "2013-01-03"])
    assert first["success"]
    assert {name: stage["ran"] for name, stage in first["stages"].items()} == {
        "flights": 3, "weather": 3, "features": 3, "labels": 3, "published": 3,
    }  # fmt: skip
    assert first["stages"]["flights"]["rows"] > 2_500

    again = dagster.ask(["2013-01-03", "2013-01-03"])
    assert again["success"]
    assert [(one["ran"], one["up_to_date"]) for one in again["stages"].values()] == [(0, 3)] * 5

    send_again(folder / "flights", "2013-01-02", pl.col("distance") + 1)
    changed = dagster.ask(["2013-01-04", "2013-01-04"])
    # People have to agree to the second delivery of a day, which fails nothing.
    assert changed["success"]
    assert changed["stages"].keys() == {"flights", "weather", "features", "labels"}
    assert "waits for review" in dagster.log
    day, late = "2013-01-04", "2013-01-02"
    # Nothing else reads distances.
    assert computed(folder / "flights", changed["stages"]["labels"]["run"]) == {
        ("flights", late), ("features", late),
        ("flights", day), ("weather", day), ("features", day), ("labels", day),
    }  # fmt: skip


def test_a_source_that_cant_be_read_is_tried_again(folder: Path, dagster: Driven) -> None:
    file = folder / "flights" / "data" / "weather" / "2013-01-05.parquet"
    file.write_bytes(b"half of a file")
    broken = dagster.ask(["2013-01-05", "2013-01-05"])
    assert not broken["success"]
    assert broken["retries"] == 3
    assert "2013-01-05.parquet" in dagster.log
    file.unlink()


def test_a_broken_contract_fails_at_once_and_the_rest_is_materialized(
    folder: Path, dagster: Driven
) -> None:
    send_again(folder / "flights", "2013-01-03", -pl.col("distance"))
    broken = dagster.ask(["2013-01-04", "2013-01-04"])
    assert not broken["success"]
    assert broken["retries"] == 0
    assert broken["stages"].keys() == {"weather"}
    assert "flights 2013-01-03" in dagster.log
    assert "rows are bad (100.0%), more than the 2.0% that its budget allows" in dagster.log


def test_its_types_are_those_of_dagster(tmp_path: Path) -> None:
    assert type_errors(EXAMPLE, python_beside("dagster"), tmp_path) == []
