"""Sums of what was spent, which are kept between commands."""

from __future__ import annotations

from tidemill.costs.price_history import price_histories
from tidemill.ledger.event import Event, RecordedEvent, Served
from tidemill.ledger.price import Price, PriceBook
from tidemill.ledger.run import Action
from tidemill.ledger.usage import ServedUsage
from tidemill.scorecard.inference_costs import InferenceCosts, ServedDay, WorkDay
from tidemill.testing import records

PRICES = price_histories((), PriceBook(prices=(Price(cpu_hour=3_600.0),)))
NOW = 1_000_000_000.0  # 2001-09-09 in UTC
DAY = 86_400.0


def empty() -> InferenceCosts:
    return InferenceCosts(environment="prod", zone="UTC", currency="USD")


def test_what_is_noted() -> None:
    usage = ServedUsage(
        endpoint="e", version="v", requests=2, rows=3, cpu_s=4.0, idle_cpu_s=5.0, memory_gb_s=6.0, wall_s=1.0
    )  # fmt: skip
    served = Served(
        environment="prod", since=NOW - 60, until=NOW, usages=(usage,), cpu_hour=3_600.0
    )
    elsewhere = Served(environment="dev", since=NOW - 60, until=NOW, usages=(usage,), cpu_hour=1.0)
    events: tuple[Event, ...] = (
        served,
        elsewhere,
        records.attempted_event("a", cpu_s=2.0, rows_out=7),
        records.attempted_event("a", cpu_s=2.0, environment="dev"),
        records.attempted_event("m", cpu_s=1.0, environment="dev", action=Action.TRAIN),
        records.removed_event(),
    )
    costs = empty()
    for seq, event in enumerate(events):
        costs.add(RecordedEvent(seq=seq, at=NOW, event=event), PRICES)
    day = "2001-09-09"
    assert costs.served == {
        "e": {"v": {day: ServedDay(predictions=3, serving=4 * 10**9, idle=5 * 10**9)}}
    }
    assert costs.work == {"a": {day: WorkDay(spent=2 * 10**9, rows=7)}}
    assert costs.trainings["m"]["run-1"].foreign
    costs.prune("2001-09-10")
    assert (costs.served, costs.work, costs.trainings) == ({"e": {}}, {}, {"m": {}})


def test_the_training_of_a_live_version_is_kept() -> None:
    costs = empty()
    product = records.product()
    trained = records.model_artifact("one")
    events: tuple[Event, ...] = (
        records.attempted_event("delay_model", run="run-1", action=Action.TRAIN, cpu_s=1.0),
        records.published_event(
            stage=trained.stage,
            bound=records.binding(
                output=type(product)(content="one", artifact=trained), run="run-1"
            ),
        ),
        records.delivered_event("one"),
    )
    for seq, event in enumerate(events):
        costs.add(RecordedEvent(seq=seq, at=NOW, event=event), PRICES)
    costs.prune("2001-12-31")
    assert [*costs.trainings["delay_model"]] == ["run-1"]
    other = records.delivered_event("two")
    costs.add(RecordedEvent(seq=9, at=NOW + DAY, event=other), PRICES)
    costs.prune("2001-12-31")
    assert costs.trainings["delay_model"] == {}
