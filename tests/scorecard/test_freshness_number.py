"""The freshness of data as a number of the scorecard."""

from __future__ import annotations

import pytest

from tidemill.operations.watermarks import StageWatermark
from tidemill.scorecard.data_ages import DataAges, ReadAges
from tidemill.scorecard.freshness_number import freshness_number
from tidemill.scorecard.number import ScoreNumber
from tidemill.scorecard.window import score_windows
from tidemill.scorecard.wording import beside_text

HOUR, DAY = 3_600.0, 86_400.0
NOW = 1_795_900_000.0
WINDOWS = score_windows(NOW, 28 * DAY, "UTC")


def ages(**hours_late: float) -> DataAges:
    """Stages whose data are as new as their publication, but for a last one that is missing for hours."""
    found = DataAges(environment="prod", zone="UTC")
    for stage, hours in hours_late.items():
        mark = StageWatermark()
        for day in range(70, -1, -1):
            at = NOW - day * DAY - hours * HOUR
            mark.publish(f"{at:.0f}", at, at)
        found.watermarks[stage] = mark
    return found


def number(known: DataAges, target: float | None = None, **within: float) -> ScoreNumber:
    return freshness_number(known, WINDOWS, within, target)[0]


def test_data_that_are_late() -> None:
    known = ages(features=0.0, raw=36.0)
    known.watermarks["raw"].partitions.clear()
    known.watermarks["raw"].publish("old", NOW - 36 * HOUR, NOW - 36 * HOUR)
    found = number(known, 0.99, features=25 * HOUR, raw=30 * HOUR)
    assert found.n == 2
    assert found.value == pytest.approx(1 - 6 / (2 * 24 * 28), abs=1e-3)
    assert (found.previous, found.is_met) == (1.0, True)
    assert (found.cause, found.command) == ("raw was late for 6 h", "tidemill explain raw")
    assert found.facts == (
        "raw: 1 d 12 h old now, may be 1 d 6 h",
        "features: 0 s old now, may be 1 d 1 h",
    )


def test_data_that_are_fresh() -> None:
    found = number(ages(features=0.0), features=25 * HOUR)
    assert (found.value, found.cause, found.action, found.command) == (1.0, "", "", "")


def test_many_stages_and_endpoints() -> None:
    known = ages(**{f"s{n}": 0.0 for n in range(7)})
    known.reads = {
        "api": {"2026-11-20": ReadAges(counts={3_600.0: 10})},
        "old": {"2026-11-20": ReadAges(unknown=3)},
    }
    found = number(known, **{f"s{n}": 25 * HOUR for n in range(7)})
    assert beside_text(found) == "p95 age at read 1 h"
    assert found.facts[5:] == (
        "and 2 more stages with a target",
        "endpoint api: 10 requests read data up to 1 h old (p95)",
    )


def test_nothing_is_known() -> None:
    found = number(DataAges(environment="prod", zone="UTC"))
    assert (found.value, found.n, found.missing) == (None, 0, "no stage has a target")
    assert "tm.Freshness" in found.action
    found = number(DataAges(environment="prod", zone="UTC"), features=HOUR)
    assert (found.value, found.missing, found.action) == (None, "nothing is published yet", "")
