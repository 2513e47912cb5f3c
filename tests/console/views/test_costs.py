"""What work costs, as a page: whole months, currencies side by side, and budgets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.commands import edit
from tests.support.console import Visitor
from tests.support.governed_shop import governed_shop
from tidemill.console.views.costs import PERIODS, show_costs
from tidemill.costs.cost_line import CostLine
from tidemill.costs.quantities import Quantities
from tidemill.costs.report import CostRow
from tidemill.ledger.price import Price
from tidemill.project.clock import VARIABLE, set_clock
from tidemill.project.project import open_project

DAY = 86_400.0
# In Auckland it is midnight.
NOON = datetime(2026, 5, 3, 12, tzinfo=UTC).timestamp()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    governed_shop(tmp_path)
    (tmp_path / "orders.csv").write_text("id\n1\n")
    with (tmp_path / "pyproject.toml").open("a") as file:
        file.write(
            'cpu_hour = 3600\ncurrency = "EUR"\n[tool.tidemill.metrics]\nzone = "Pacific/Auckland"\n'
            "[tool.tidemill.budget]\nmonthly = 5000\n"
        )
    return tmp_path


@pytest.fixture
def guest(shop: Path) -> Iterator[Visitor]:
    project = open_project(shop)
    project.run(inline=True)
    project.close()
    with Visitor(shop) as found:
        yield found


def test_a_project_that_never_ran_says_so(shop: Path) -> None:
    with Visitor(shop) as guest:
        assert "Nothing has run here since" in guest.page("/costs").words
        assert guest.api("/costs")["rows"] == []
        assert "there is no environment" in guest.page("/costs?env=nope", status=400).words
        assert guest.api("/costs?env=nope&everywhere=true")["rows"] == []


def test_rows_add_up_to_the_total(guest: Visitor) -> None:
    found = guest.api("/costs")
    (total,) = found["total"]["parts"]
    assert total["unit"] == "EUR"
    assert total["amount"] > 0
    assert sum(row["parts"][0]["amount"] for row in found["rows"]) == pytest.approx(total["amount"])
    assert [row["key"] for row in found["rows"]] == ["orders"]
    assert [part["of_largest"] for part in found["rows"][0]["parts"]] == [1.0]
    assert (found["zone"], found["environments"]) == ("Pacific/Auckland", ["prod"])
    (budget,) = found["budgets"]
    assert (budget["limit"], budget["is_used_up"]) == ("5000 EUR", False)
    assert found["prices"][0]["lines"] == [["an hour of a CPU", "3,600.00 EUR"]]
    page = guest.page("/costs")
    assert total["text"] in page.words
    assert "Budget of all environments this month" in page.words


def test_days_are_drawn_with_what_costs_most(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = tmp_path / "clock"
    monkeypatch.setenv(VARIABLE, str(clock))
    for number, at in enumerate((NOON - 3 * DAY, NOON)):
        set_clock(clock, at)
        (shop / "orders.csv").write_text(f"id\n{number}\n")
        with open_project(shop) as project:
            project.run(inline=True)
    with Visitor(shop) as found:
        costs = found.api("/costs")
        assert costs["dates"] == ["2026-05-01", "2026-05-02", "2026-05-03", "2026-05-04"]
        [orders] = costs["daily"]
        assert (orders["key"], orders["unit"], orders["amounts"][1:3]) == ("orders", "EUR", [0, 0])
        assert [orders["amounts"][0], orders["amounts"][3]] == pytest.approx(
            [row["parts"][0]["amount"] for row in costs["by_day"]]
        )
        assert found.api("/costs?by=day")["daily"] == []
        for by in ("stage", "month"):
            page = found.page(f"/costs?by={by}").text
            assert "data-series=" in page
            assert 'style="' not in page
        assert "data-series=" not in found.page("/costs?since=today").text


def test_last_month_is_two_clicks_from_now(guest: Visitor) -> None:
    assert 'href="/costs"' in guest.page("/now").text
    assert "/costs?by=stage&amp;since=last-month" in guest.page("/costs").text
    page = guest.page("/costs?by=stage&since=last-month")
    assert "Nothing has run here from" in page.words


def test_each_way_to_look_answers(guest: Visitor) -> None:
    for by in ("stage", "model", "day", "month", "environment", "endpoint"):
        for since, _ in PERIODS:
            assert guest.api(f"/costs?by={by}&since={since}")["by"] == by
            guest.page(f"/costs?by={by}&since={since}")


def test_other_ways_are_refused(guest: Visitor) -> None:
    for query in ("by=colour", "since=soon", "since=2026-13"):
        guest.api(f"/costs?{query}", status=400)


def test_without_prices_there_are_quantities(guest: Visitor, shop: Path) -> None:
    guest.client.close()
    other = shop / "free"
    other.mkdir()
    governed_shop(other)
    (other / "orders.csv").write_text("id\n1\n")
    project = open_project(other)
    project.run(inline=True)
    project.close()
    with Visitor(other) as free:
        found = free.api("/costs")
        assert {part["unit"] for row in found["rows"] for part in row["parts"]} == {"CPU time"}
        assert found["prices"] == []
        page = free.page("/costs")
        assert "No price is set" in page.words
        assert "of CPU time, which has no price" in page.words


def test_currencies_stand_side_by_side(guest: Visitor, shop: Path) -> None:
    edit(shop / "pyproject.toml", 'currency = "EUR"', 'currency = "USD"')
    (shop / "orders.csv").write_text("id\n1\n2\n")
    project = open_project(shop)
    project.run(inline=True)
    project.close()
    project = open_project(shop)
    found = show_costs(project)
    project.close()
    assert [part.unit for part in found.total.parts] == ["EUR", "USD"]
    assert all(part.share == 1.0 for part in found.total.parts)
    assert any("several currencies" in note for note in found.notes)
    (budget,) = found.budgets
    assert "before the currency changed" in budget.text
    with Visitor(shop) as other:
        assert " + " in other.page("/costs").words


def test_an_amount_of_a_row_is_beside_the_largest_of_its_currency() -> None:
    from tidemill.console.views.costs import _items

    def line(**amounts: float) -> CostLine:
        found = CostLine()
        for currency, amount in amounts.items():
            price = Price(cpu_hour=3600.0, currency=currency)
            found.charge(Quantities(cpu_s=amount), price)
        return found

    rows = [
        CostRow(key="a", line=line(EUR=3.0)), CostRow(key="b", line=line(EUR=1.0, USD=8.0)),
    ]  # fmt: skip
    one, other = _items(rows, line(EUR=4.0, USD=8.0))
    assert [(part.share, part.of_largest) for part in one.parts] == [(0.75, 1.0)]
    assert [(part.text, part.of_largest) for part in other.parts] == [
        ("1.00 EUR", pytest.approx(1 / 3)), ("8.00 USD", 1.0),
    ]  # fmt: skip


def test_the_total_says_of_what_and_what_all_environments_cost(guest: Visitor, shop: Path) -> None:
    assert "all environments: " not in guest.page("/costs").words
    project = open_project(shop, env="dev")
    project.environments.create("dev")
    project.close()
    (shop / "orders.csv").write_text("id\n1\n2\n")
    project = open_project(shop, env="dev")
    project.run(inline=True)
    project.close()
    with Visitor(shop) as other:
        found = other.api("/costs")
        everywhere = other.api("/costs?everywhere=true")
        page = other.page("/costs")
        whole = other.page("/costs?everywhere=1").words
    [own], [every] = found["total"]["parts"], found["all_total"]["parts"]
    assert every["amount"] > own["amount"]
    assert found["all_total"] == everywhere["total"] == everywhere["all_total"]
    assert "Total of prod since" in page.words
    assert f"all environments: {every['text']}" in page.words
    assert "everywhere=1" in page.text
    assert "Total of all environments since" in whole
