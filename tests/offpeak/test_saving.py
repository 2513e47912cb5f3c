"""What work saved by waiting, as the receipt of its run says it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tidemill.ledger.off_peak import DeferredWork, OffPeakSaving
from tidemill.ledger.off_peak_events import WorkDeferred
from tidemill.ledger.run import StageTotals
from tidemill.offpeak.offpeak_settings import OffPeakSettings
from tidemill.offpeak.price_curve import PriceCurve, curve_from_starts
from tidemill.offpeak.saving import is_same_timetable, saving_of
from tidemill.testing.off_peak_records import deferred_work

BEGAN = 1_357_030_800.0
CURVE = curve_from_starts([(BEGAN, 0.1), (BEGAN + 3_600, 0.2), (BEGAN + 7_200, 0.2)])
MODEL = StageTotals(stage="model", ran=1, cpu_s=7_200.0)


def saved(
    *totals: StageTotals,
    curve: PriceCurve = CURVE,
    hours: float = 1,
    works: Any = None,
    **settings: Any,
) -> OffPeakSaving | None:
    return saving_of(
        [deferred_work()] if works is None else works,
        totals,
        began=BEGAN,
        ended=BEGAN + hours * 3_600,
        curve=curve,
        settings=OffPeakSettings(**settings),
    )


@pytest.mark.parametrize(
    ("settings", "amount", "unit"),
    [
        ({}, None, ""),
        ({"unit": "EUR/kWh"}, None, "EUR"),
        ({"unit": "EUR/kWh", "per_cpu_hour": 0.02}, 2 * 0.2 * 0.02, "EUR"),
        # Prices of CPU hours are amounts as they are.
        ({"unit": "EUR/CPU-h"}, 2 * 0.2, "EUR"),
        ({"unit": "gCO2/kWh", "per_cpu_hour": 1}, 2 * 0.2, "gCO2"),
    ],
)
def test_savings_are_those_of_cpu_time(
    settings: dict[str, Any], amount: float | None, unit: str
) -> None:
    found = saved(MODEL, StageTotals(stage="other", ran=3, cpu_s=1e9), **settings)
    assert found is not None
    assert (found.stages, found.unit, found.late) == (("model",), unit, ())
    assert found.waited_s == 30_800
    assert found.share == pytest.approx(2 / 3)
    assert found.amount == (None if amount is None else pytest.approx(amount))


def test_a_run_may_have_been_dearer_than_planned() -> None:
    works = [deferred_work(price_at_once=0.15)]
    found = saved(MODEL, hours=3, works=works, unit="EUR/CPU-h")
    assert found is not None
    assert found.share == pytest.approx(1 - (0.5 / 3) / 0.15)


@pytest.mark.parametrize("price", [0.0, -0.2])
def test_a_price_of_nothing_has_no_share(price: float) -> None:
    found = saved(MODEL, works=[deferred_work(price_at_once=price)], unit="EUR/CPU-h")
    assert found is not None
    assert found.share is None
    assert found.amount == pytest.approx(2 * (price - 0.1))


@pytest.mark.parametrize(
    ("curve", "at_once"), [(PriceCurve(), 0.3), (CURVE, None), (PriceCurve(), None)]
)
def test_what_isnt_known_isnt_told(curve: PriceCurve, at_once: float | None) -> None:
    works = [deferred_work(price_at_once=at_once)]
    found = saved(MODEL, curve=curve, works=works, unit="EUR/CPU-h")
    assert found is not None
    assert (found.share, found.amount) == (None, None)


def test_a_run_of_no_time_has_the_price_of_its_moment() -> None:
    found = saved(MODEL, hours=0)
    assert found is not None
    assert found.share == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "totals", [(), (StageTotals(stage="model", failed=1),), (StageTotals(stage="model"),)]
)
def test_what_didnt_run_saved_nothing(totals: tuple[StageTotals, ...]) -> None:
    assert saved(*totals) is None


@pytest.mark.parametrize(("partitions", "ran", "hours"), [(3, 4, 1.5), (3, 2, 2.0), (1, 1, 2.0)])
def test_other_partitions_of_the_stage_saved_nothing(
    partitions: int, ran: int, hours: float
) -> None:
    keys = tuple(map(str, range(partitions)))
    work = deferred_work(stage="old", action="run", partitions=keys)
    tally = StageTotals(stage="old", ran=ran, cpu_s=7_200.0)
    found = saved(tally, works=[work], unit="EUR/CPU-h")
    assert found is not None
    assert found.amount == pytest.approx(hours * 0.2)
    # The trials of a search belong to its training.
    found = saved(replace(tally, stage="model"), unit="EUR/CPU-h")
    assert found is not None
    assert found.amount == pytest.approx(2 * 0.2)


def test_late_work_is_named() -> None:
    found = saved(MODEL, works=[deferred_work(deadline=BEGAN + 60)])
    assert found is not None
    assert found.late == ("model",)


def test_a_timetable_changes_with_its_times_only() -> None:
    def record(*works: DeferredWork, unit: str = "EUR/kWh") -> WorkDeferred:
        return WorkDeferred(environment="prod", works=works, unit=unit)

    one = record(deferred_work())
    assert is_same_timetable(one, record(deferred_work(price=0.2, cpu_s=1.0, because="x")))
    assert not is_same_timetable(one, record(deferred_work(start=1.0)))
    assert not is_same_timetable(one, record())
    assert not is_same_timetable(one, record(deferred_work(), unit="gCO2/kWh"))
    assert is_same_timetable(record(), record(unit="gCO2/kWh"))
