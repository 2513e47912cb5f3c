"""The time to deliver changes as a number of the scorecard."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scorecard.test_weekly_note import card
from tidemill.governance.page_text import text_page
from tidemill.scorecard.change_record import (
    DeliveredChange,
    DeliveryFailure,
    Deployment,
    OpenChange,
)
from tidemill.scorecard.change_report import report_changes
from tidemill.scorecard.change_times import ChangeTimes
from tidemill.scorecard.delivery_number import delivery_number
from tidemill.scorecard.number import ScoreNumber
from tidemill.scorecard.scorecard_page import changes_page
from tidemill.scorecard.window import score_windows

HOUR, DAY = 3_600.0, 86_400.0
NOW = 1_795_900_000.0
WINDOWS = score_windows(NOW, 28 * DAY, "UTC")


def delivered(days_ago: float, approval: float = 2 * HOUR, **more: object) -> DeliveredChange:
    """A change that took an hour to its first run, another one to the candidate, and an approval."""
    live = NOW - days_ago * DAY
    committed = live - approval - 2 * HOUR
    found = DeliveredChange(
        id=f"{int(days_ago):02}abcdef0123456789", committed=committed, planned=committed + HOUR,
        candidate=committed + 2 * HOUR, approved=live, live=live, stages=("features",), item="demand",
    )  # fmt: skip
    return replace(found, **more)  # type: ignore[arg-type]


def number(times: ChangeTimes, target: float | None = None, days: float = 28) -> ScoreNumber:
    return delivery_number(times, score_windows(NOW, days * DAY, "UTC"), target)[0]


def test_changes_were_delivered() -> None:
    times = ChangeTimes(
        environment="prod",
        delivered=[
            delivered(40.0, approval=HOUR),
            delivered(10.0),
            delivered(3.0),
            delivered(2.0, 20 * HOUR),
        ],
        deployments={
            1: Deployment(
                number=1,
                item="demand",
                at=NOW - 3 * DAY,
                stages=set(),
                failure=DeliveryFailure.ROLLED_BACK,
            ),
            2: Deployment(number=2, item="demand", at=NOW - 2 * DAY, stages=set()),
        },
    )
    found = number(times, target=DAY)
    assert (found.n, found.value, found.high) == (3, 4 * HOUR, 22 * HOUR)
    assert (found.previous, found.trend, found.is_met) == (3 * HOUR, "worse", True)
    assert found.cause == "gates and people: 1 h more than in the window before"
    assert found.command == "tidemill review list"
    assert found.facts == ("2 deliveries, 0.5 a week, of which 1 failed (50 %)",)
    assert [point.n for point in found.points if point.n] == [1, 1, 2]
    week = number(times, target=DAY, days=7.5)
    assert week.facts == ("2 deliveries, of which 1 failed (50 %)",)


def test_the_longest_split_without_a_window_before() -> None:
    times = ChangeTimes(environment="prod", delivered=[delivered(2.0)])
    assert number(times).cause == "mostly gates and people: 2 h"
    times.delivered += [delivered(40.0)]
    # Nothing changed since.
    assert number(times).cause == "mostly gates and people: 2 h"


def waiting(**more: object) -> ChangeTimes:
    change = OpenChange(
        id="c", committed=NOW - 5 * HOUR, planned=NOW - HOUR, stages=("raw",), delivers=("demand",)
    )
    return ChangeTimes(environment="prod", changes={"c": replace(change, **more)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "words", "command"),
    [
        ({}, "a run that computes what is delivered", "tidemill plan"),
        ({"computed": {"demand": NOW - 60}}, "approval", "tidemill review list"),
        ({"delivery": 5}, "the end of a rollout", "tidemill endpoints"),
    ],
)
def test_changes_wait(more: dict[str, object], words: str, command: str) -> None:
    found = number(waiting(**more))
    assert (found.value, found.n, found.missing) == (None, 0, "no change was delivered")
    assert found.facts == (f"1 change not delivered, the oldest is 5 h old and waits for {words}",)
    assert found.cause == f"the oldest change waits for {words}"
    assert (found.command, bool(found.action)) == (command, True)


@pytest.mark.parametrize(
    ("moves", "missing"),
    [
        ([], "no commit changed what is delivered, or the project isn't in git"),
        ([(NOW - DAY, True, 0)], "git couldn't list the commits; a shallow clone lacks them"),
    ],
)
def test_nothing_is_known(moves: list[tuple[float, bool, int]], missing: str) -> None:
    found = number(ChangeTimes(environment="prod", moves=moves))
    assert (found.value, found.missing, found.cause, found.command) == (None, missing, "", "")


def test_what_is_left_out_is_told() -> None:
    times = ChangeTimes(
        environment="prod", delivered=[delivered(2.0)], moves=[(NOW - DAY, True, 0), (NOW - DAY, False, 9)]
    )  # fmt: skip
    assert number(times).facts == (
        "of 1 move to another commit, git couldn't list the commits",
        "9 commits of very long lists not counted",
    )


def test_retrainings_are_apart() -> None:
    retrained = Deployment(
        number=1,
        item="demand",
        at=NOW - DAY,
        stages=set(),
        version="v2",
        triggered=NOW - DAY - HOUR,
        live=NOW - DAY,
        automatic=True,
    )
    found = number(ChangeTimes(environment="prod", deployments={1: retrained}))
    assert found.n == 0
    assert found.facts[-1] == "1 retraining without a change, live after 1 h (p50)"


def test_the_list_of_changes() -> None:
    times = waiting()
    times.delivered = [
        delivered(3.0),
        delivered(2.0, item="", committed=1e30, live=NOW - 2 * DAY),
    ]
    report = report_changes(times, NOW, 28 * DAY)
    text = text_page(changes_page(replace(card(), changes=report)))
    lines = [line.split("  ") for line in text.splitlines()[4:]]
    assert [line[1] for line in lines] == ["commit", "c", "02abcdef01", "03abcdef01"]
    assert "> 5 h" in text
    assert "waits for a run that computes what is delivered" in text
    assert "demand" in text
    assert "published" in text
    assert "There are none." in text_page(changes_page(card()))
