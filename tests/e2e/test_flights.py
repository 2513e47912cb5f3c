"""The template's workflow on real flights: built, run again, a day later, and delivered."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from shutil import copytree

import polars as pl
import pytest

import tidemill
from tidemill.cli.demo_data import write_daily_files
from tidemill.ledger.event import Attempted, EffectDone
from tidemill.ledger.run import Outcome
from tidemill.project.project import Project, open_project

# Forty of the sixty days to train on, and 28 to be scored on; the last day comes later.
FIRST, DAYS = date(2013, 1, 1), 69
DATA = ("flights", "weather", "features", "labels")
TEMPLATE = Path(tidemill.__file__).parent / "templates" / "flights"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    root = tmp_path / "flights"
    copytree(TEMPLATE, root)
    write_daily_files(root / "data", first=FIRST, last=FIRST + timedelta(days=DAYS - 2))
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    # Here training imports all that it does at users.
    monkeypatch.delenv("QUICK_BOOSTERS")
    monkeypatch.delitem(sys.modules, "flights", raising=False)
    project = open_project(root)
    yield project
    project.close()
    sys.modules.pop("flights", None)


def ran(project: Project, run: str) -> dict[str, set[str]]:
    """The partitions that a run did, by stage."""
    found: dict[str, set[str]] = {}
    for fact in project.tools.ledger.events(kinds=["Attempted"], run=run):
        assert isinstance(fact.event, Attempted)
        attempt = fact.event.attempt
        assert attempt.outcome == Outcome.OK
        found.setdefault(attempt.stage, set()).add(attempt.partition)
    return found


def test_flights_from_files_to_delivery(project: Project) -> None:
    days = {str(FIRST + timedelta(days=n)) for n in range(DAYS - 1)}
    receipt = project.run()
    assert receipt.exit_code == 0, receipt.messages
    did = ran(project, receipt.run)
    assert all(did[stage] == days for stage in DATA)
    assert did["delay_model"] == {"all"}
    assert did["scored_flights"] == days

    # Every row of the source is good or quarantined.
    sent = (
        pl.scan_parquet(project.root / "data/flights/*.parquet").select(pl.len()).collect().item()
    )
    kept = project.read("flights").select(pl.len()).collect().item()
    assert kept + project.quarantined("flights").collect().height == sent > 50_000

    # Features and labels are what they are by hand.
    flights, weather = project.read("flights"), project.read("weather")
    by_hand = flights.join(weather, on=["date", "origin", "hour"], how="left")
    features = project.read("features").select(pl.len(), pl.col("wind").sum()).collect()
    assert features.item(0, 0) == kept
    assert features.item(0, 1) == pytest.approx(
        by_hand.select(pl.col("wind_speed").sum()).collect().item()
    )
    late = flights.filter(pl.col("arr_delay").is_not_null()).select(pl.len()).collect().item()
    assert project.read("labels").select(pl.len()).collect().item() == late < kept

    # The model is better than the median, and what it says is delivered for every flight.
    live = project.state().live["delay_model"]
    assert len(live.artifact.trained_on["features"]) == 40
    scored = pl.read_parquet(project.root / "out/scored/*.parquet")
    assert scored.height == kept
    assert scored["model"].unique().to_list() == [live.artifact.id]
    assert scored["prediction"].null_count() == 0

    receipt = project.run()
    assert (receipt.exit_code, ran(project, receipt.run)) == (0, {})

    new = FIRST + timedelta(days=DAYS - 1)
    write_daily_files(project.root / "data", first=new, last=new)
    receipt = project.run()
    assert receipt.exit_code == 0, receipt.messages
    assert ran(project, receipt.run) == {
        **{stage: {str(new)} for stage in (*DATA, "scored_flights")},
        # The trigger of degradation looks at the new day, too.
        "delay_scores": {"live", f"live {new}"},
    }
    done = list(project.tools.ledger.events(kinds=["EffectDone"]))
    keys = {fact.event.key for fact in done if isinstance(fact.event, EffectDone)}
    assert len(done) == len(keys) == DAYS
