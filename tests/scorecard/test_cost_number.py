"""The cost per inference as a number of the scorecard."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scorecard.test_inference_report import (
    DAY,
    PRICE,
    START,
    ZONE,
    folded,
    published,
    recorded,
    served,
    version,
)
from tidemill.costs.price_history import PriceHistories, PriceHistory
from tidemill.ledger.event import Event
from tidemill.ledger.price import PriceBook
from tidemill.ledger.run import Action
from tidemill.scorecard.cost_number import cost_number
from tidemill.scorecard.inference_costs import InferenceCosts
from tidemill.scorecard.number import ScoreNumber
from tidemill.scorecard.window import score_windows
from tidemill.testing import records

NOW = START + 60 * DAY
BOOK = PriceBook(prices=(PRICE,))
TRAINED: list[tuple[float, Event]] = [
    (START, published("m1", "r0")),
    (START, published("features", "r0")),
    (START, records.delivered_event("m1 r0", name="m1")),
]


def answered(days: float, cpu_s: float, rows: int = 1_000) -> tuple[float, Event]:
    at = START + days * DAY
    return at, served(at, "api", version("m1", "r0"), cpu_s, rows)


def trained(cpu_s: float, run: str = "r0", environment: str = "prod") -> Event:
    return records.attempted_event(
        "m1", action=Action.TRAIN, cpu_s=cpu_s, run=run, environment=environment
    )


def worked(days: float, stage: str, cpu_s: float, action: str = Action.RUN) -> tuple[float, Event]:
    return START + days * DAY, records.attempted_event(stage, action=action, cpu_s=cpu_s)


def number(*events: tuple[float, Event], target: float | None = None) -> ScoreNumber:
    costs = folded(recorded([*TRAINED, *events]))
    return cost_number(costs, score_windows(NOW, 28 * DAY, ZONE), target)[0]


def test_a_number_with_a_trend() -> None:
    found = number(answered(20, 10.0), answered(50, 20.0), target=0.05)
    # A CPU second costs 0.001; with twice as many idle ones, and a GB-second each.
    assert found.value == pytest.approx(0.08)
    assert found.high == pytest.approx(0.02)
    assert (found.n, found.high_name, found.missing) == (1_000, "marginal", "")
    assert found.previous == pytest.approx(0.04)
    assert (found.trend, found.is_met) == ("worse", False)
    assert [point.n for point in found.points if point.n] == [1_000, 1_000]
    assert found.cause == "idle servers of m1: 0.03 EUR more than in the window before"
    assert found.command == "tidemill endpoints"
    assert found.facts == ("m1: 1,000 predictions (1,000 online): serving 0.02 EUR, idle 0.06 EUR",)


def test_the_largest_part_without_a_window_before() -> None:
    found = number(answered(50, 1.0), worked(51, "features", 50.0), worked(52, "table", 2.0))
    assert found.cause == "mostly stage features: 92.6 % of it"
    assert found.command == "tidemill metrics features"
    assert found.previous is None
    assert found.facts[-1] == "0.002 EUR belong to no prediction"


@pytest.mark.parametrize(
    ("events", "missing"),
    [
        ([], "there were no predictions"),
        ([answered(50, 1.0, rows=999)], "of 999 predictions; it needs 1,000"),
    ],
)
def test_no_number(events: list[tuple[float, Event]], missing: str) -> None:
    found = number(*events)
    assert (found.value, found.high, found.missing) == (None, None, missing)
    assert (found.cause, found.action, found.command) == ("", "", "")


def test_a_cost_of_nothing() -> None:
    costs = folded(recorded([*TRAINED, answered(50, 0.0)]))
    found, report = cost_number(costs, score_windows(NOW, 28 * DAY, ZONE), None)
    assert (found.value, found.missing) == (None, "nothing has a price")
    assert "cpu_hour" in found.action
    assert report.total.predictions == 1_000


def test_another_currency_is_not_added() -> None:
    costs = folded(recorded([*TRAINED, answered(50, 10.0)]), currency="USD")
    found, report = cost_number(costs, score_windows(NOW, 28 * DAY, ZONE), None)
    assert (found.value, found.missing) == (None, "a part was spent in EUR")
    assert found.facts[-1] == "what was spent in EUR isn't among these amounts"
    # It is of the window in which it was spent.
    later = score_windows(NOW + 40 * DAY, 28 * DAY, ZONE)
    found, later_report = cost_number(costs, later, None)
    assert (report.omitted, later_report.omitted) == (("EUR",), ())
    assert found.missing == "there were no predictions"
    costs.prune("2999-01-01")
    assert costs.omitted == {}


@pytest.mark.parametrize(
    ("events", "missing"),
    [
        # A version that lives carries the cost of its training, whenever that was.
        ([(START, trained(1_000.0))], "a part was spent in USD"),
        # One that was never live, of another environment, costs this one nothing.
        ([(START + 51 * DAY, trained(5.0, environment="dev", run="other"))], ""),
    ],
)
def test_trainings_in_another_currency_count_where_their_versions_live(
    events: list[tuple[float, Event]], missing: str
) -> None:
    dear = PriceHistory(books=((0, PriceBook(prices=(replace(PRICE, currency="USD"),))), (2, BOOK)))
    prices = PriceHistories(known={"prod": dear, "dev": dear}, otherwise=BOOK)
    costs = InferenceCosts(environment="prod", zone=ZONE, currency="EUR")
    for fact in recorded([*events, *TRAINED, answered(50, 10.0)]):
        costs.add(fact, prices)
    found = cost_number(costs, score_windows(NOW, 28 * DAY, ZONE), None)[0]
    assert (found.missing, found.value is None) == (missing, bool(missing))


def test_nothing_changed() -> None:
    found = number(answered(20, 10.0), answered(50, 10.0))
    assert (found.trend, found.cause, found.command) == ("steady", "", "")
