"""The time to recover from errors as a number of the scorecard."""

from __future__ import annotations

from dataclasses import replace

from tidemill.scorecard.number import ScoreNumber
from tidemill.scorecard.recovery_number import recovery_number, spread_text
from tidemill.scorecard.recovery_times import RecoveryTimes, Trouble
from tidemill.scorecard.spread import Spread
from tidemill.scorecard.window import score_windows
from tidemill.scorecard.wording import beside_text, main_text, target_text, trend_text

HOUR, DAY = 3_600.0, 86_400.0
NOW = 1_795_900_000.0


def trouble(days_ago: float, hours: float, **more: object) -> Trouble:
    """A stage that failed so many days ago, and was healthy after some hours."""
    first = NOW - days_ago * DAY
    found = Trouble(
        kind="failed stage", stage="raw", first=first, healthy=first + hours * HOUR, over=True
    )
    return replace(found, **more)  # type: ignore[arg-type]


def number(*troubles: Trouble, target: float | None = None) -> ScoreNumber:
    times = RecoveryTimes(
        environment="prod",
        ended=[each for each in troubles if each.over],
        open={str(n): each for n, each in enumerate(troubles) if not each.over},
    )
    return recovery_number(times, score_windows(NOW, 28 * DAY, "UTC"), target)[0]


def test_errors_that_are_over() -> None:
    found = number(
        trouble(40, 1), trouble(10, 2), trouble(3, 4, detected=NOW - 3 * DAY + 60, caused=True), target=HOUR
    )  # fmt: skip
    assert (found.n, found.value, found.high) == (2, 2 * HOUR, 4 * HOUR)
    assert (found.previous, found.trend, found.is_met) == (HOUR, "worse", False)
    assert found.cause == "the longest: failed stage raw, 4 h"
    assert (found.action, found.command) == ("see why it took so long", "tidemill metrics raw")
    assert found.facts == (
        "noticed after: p50 1 min, p90 1 min (1 incident)",
        "caused by a delivery: 1 error, p50 4 h, p90 4 h",
    )


def test_errors_that_last() -> None:
    lasting = [
        trouble(n, 0, healthy=None, over=False, kind="stale stage", incident=f"i{n}")
        for n in range(1, 6)
    ]
    found = number(*lasting)
    assert (main_text(found), beside_text(found)) == ("> 3 d", "p90 > 5 d")
    assert found.facts[0].startswith("not over: stale stage raw, > 5 d; ")
    assert found.facts[0].endswith("; and 2 more")
    assert (found.action, found.command) == ("mend what lasts", "tidemill incidents show i5")


def test_an_error_that_seems_over_needs_a_second_success() -> None:
    well = trouble(2, 1, over=False)
    found = number(well)
    assert found.facts[0] == "not over: failed stage raw, 1 h if it stays well"
    assert found.action == "it seems well: the next runs or checks confirm it"
    found = number(well, trouble(1, 0, healthy=None, over=False, incident="i1"))
    assert (found.action, found.command) == ("mend what lasts", "tidemill incidents show i1")


def test_an_error_of_no_stage() -> None:
    found = number(trouble(2, 1, stage="", kind="reported"))
    assert found.cause == "the longest: reported, 1 h"
    assert found.command == "tidemill incidents"


def test_nothing_went_wrong() -> None:
    found = number()
    assert (found.value, found.n, found.missing) == (
        None,
        0,
        "nothing failed, and no check found anything else",
    )
    assert (found.cause, found.action, found.command, found.facts) == ("", "", "", ())


def test_spreads() -> None:
    assert spread_text(Spread()) == "n/a"
    grows = Spread(n=2, p50=60.0, p90=120.0, p90_grows=True)
    assert spread_text(grows) == "p50 1 min, p90 > 2 min"
    assert spread_text(replace(grows, p50_grows=True)) == "p50 > 1 min, p90 > 2 min"


def test_an_error_that_just_began_meets_no_target() -> None:
    found = number(trouble(40, 2), trouble(1 / 1_440, 0, healthy=None, over=False), target=4 * HOUR)
    assert main_text(found) == "> 1 min"
    assert (target_text(found), trend_text(found), found.is_met) == ("<= 4 h", "2 h", None)


def test_what_lasts_in_a_stage_that_was_removed_is_left_out() -> None:
    times = RecoveryTimes(
        environment="prod",
        ended=[trouble(10, 2, stage="gone")],
        failing={
            name: trouble(5, 0, healthy=None, over=False, stage=name) for name in ("gone", "raw")
        },
        open={"i": trouble(6, 0, healthy=None, over=False, stage="", kind="reported")},
    )
    number, report = recovery_number(times, score_windows(NOW, 28 * DAY, "UTC"), None, {"raw"})
    assert [each.stage for each in report.lasting] == ["", "raw"]
    assert [each.stage for each in report.recovered] == ["gone"]
    assert number.n == 3
