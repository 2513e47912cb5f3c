"""Costs by stage, model, endpoint, environment, day and month."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.costs.test_ledger_costs import History, histories, lines, read
from tidemill.costs.cost_line import CostLine, LineKind
from tidemill.costs.day_range import DayRange
from tidemill.costs.ledger_costs import LedgerCosts
from tidemill.costs.quantities import Quantities
from tidemill.costs.report import (
    GroupBy,
    ModelNames,
    dated_lines,
    endpoint_of,
    group_lines,
    lines_by_group,
    sum_days,
)
from tidemill.ledger.price import Price

EUR, USD = (Price(cpu_hour=3600.0, currency=currency) for currency in ("EUR", "USD"))


def line(cpu_s: float, price: Price = EUR) -> CostLine:
    found = CostLine(events=1)
    found.charge(Quantities(cpu_s=cpu_s), price)
    return found


def costs() -> LedgerCosts:
    prod = {
        "2012-09-30": {
            "stage": {"sales": line(1.0), "model": line(2.0)},
            "storage": {"": line(0.25), "sales": line(0.25)},
        },
        "2012-10-01": {
            "stage": {"model_scores": line(3.0)},
            "endpoint": {"odd@name@one": line(5.0), "odd@name@two": line(1.0)},
            "run": {"": line(0.5)},
        },
    }
    return LedgerCosts(
        zone="UTC",
        models={"model", "old"},
        days={"prod": prod, "dev": {"2012-10-01": {"stage": {"old": line(7.0)}}}},
    )


def since(first: str, last: str = "9999-12-31") -> DayRange:
    return DayRange(first=first, last=last)


NAMES = ModelNames(stages={"model_scores": "model"}, endpoints={"odd@name": "model"})


def keys(by: GroupBy, environment: str | None = "prod", first: str = "2012-01-01") -> list[object]:
    rows, total = group_lines(costs(), by, since(first), environment, NAMES)
    assert sum(row.line.amounts["EUR"] for row in rows) == total.amounts["EUR"]
    return [(row.key, row.line.amounts["EUR"]) for row in rows]


def test_each_grouping_has_all_of_it() -> None:
    assert keys(GroupBy.STAGE) == [
        ("endpoint odd@name", 6.0),
        ("model_scores", 3.0),
        ("model", 2.0),
        ("sales", 1.25),
        ("(runs without steps)", 0.5),
        ("(stored for all)", 0.25),
    ]
    assert keys(GroupBy.MODEL) == [("model", 11.0), ("(no model)", 2.0)]
    assert keys(GroupBy.ENDPOINT) == [
        ("(not served)", 7.0),
        ("odd@name@one", 5.0),
        ("odd@name@two", 1.0),
    ]
    assert keys(GroupBy.DAY) == [("2012-09-30", 3.5), ("2012-10-01", 9.5)]
    assert keys(GroupBy.MONTH) == [("2012-09", 3.5), ("2012-10", 9.5)]
    assert keys(GroupBy.ENVIRONMENT, None) == [("prod", 13.0), ("dev", 7.0)]
    assert keys(GroupBy.MODEL, None)[1] == ("old", 7.0)
    assert keys(GroupBy.DAY, first="2012-10-01") == [("2012-10-01", 9.5)]


def test_an_endpoint_without_a_known_model_stands_for_itself() -> None:
    rows, _ = group_lines(costs(), GroupBy.MODEL, since("2012-10-01"), "prod", ModelNames())
    assert rows[0].key == "endpoint odd@name"
    assert endpoint_of("odd@name@one") == "odd@name"


def test_a_share_is_of_one_currency() -> None:
    rows, _ = group_lines(costs(), GroupBy.DAY, since("2012-01-01"), "prod", NAMES)
    assert [row.share for row in rows] == [3.5 / 13.0, 9.5 / 13.0]
    mixed = LedgerCosts(zone="UTC", days={"prod": {"2012-10-01": {"stage": {"a": line(1.0)}}}})
    mixed.days["prod"]["2012-10-01"]["stage"]["b"] = line(2.0, USD)
    rows, total = group_lines(mixed, GroupBy.STAGE, since("2012-01-01"), None, NAMES)
    assert [(row.key, row.share) for row in rows] == [("b", None), ("a", None)]
    assert total.amounts == {"EUR": 1.0, "USD": 2.0}
    free = LedgerCosts(zone="UTC", days={"prod": {"2012-10-01": {"stage": {"a": CostLine()}}}})
    free.days["prod"]["2012-10-01"]["stage"]["a"].charge(Quantities(cpu_s=1.0), Price())
    (row,), _ = group_lines(free, GroupBy.STAGE, since("2012-01-01"), None, NAMES)
    assert row.share is None


@given(histories(), st.sampled_from(list(GroupBy)))
def test_nothing_is_lost_by_grouping(history: History, by: GroupBy) -> None:
    found = read(history)
    rows, total = group_lines(found, by, since(""), None, NAMES)
    assert sum(row.line.events for row in rows) == total.events
    assert total.events == sum(each.events for each in lines(found).values())
    groups = lines_by_group(found, by, since(""), None, NAMES)
    by_day = {key: sum_days(own) for key, own in groups.items()}
    assert {key: sum(line.events for line in days.values()) for key, days in by_day.items()} == {
        row.key: row.line.events for row in rows
    }
    assert {day for days in by_day.values() for day in days} == {
        day for _, day, _, _ in lines(found)
    }
    assert len(list(dated_lines(found, since("")))) == len(lines(found))
    assert all(isinstance(each.kind, LineKind) for each in dated_lines(found, since("")))


def test_days_after_the_last_one_are_left_out() -> None:
    rows, total = group_lines(
        costs(), GroupBy.DAY, since("2012-09-01", "2012-09-30"), "prod", NAMES
    )
    assert [row.key for row in rows] == ["2012-09-30"]
    assert total.amounts == {"EUR": 3.5}
