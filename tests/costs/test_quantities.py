"""Quantities, and what they cost."""

from __future__ import annotations

from dataclasses import fields

from tidemill.costs.quantities import (
    Quantities,
    add_amounts,
    attempt_quantities,
    idle_quantities,
    request_quantities,
    total_quantities,
)
from tidemill.ledger.price import MONTH_S, Price
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.ledger.usage import ServedUsage
from tidemill.workflow.memo import MemoUsage

TRAINED = Attempt(
    stage="model",
    partition="*",
    action=Action.TRAIN,
    outcome=Outcome.FAILED,
    wall_s=10.0,
    cpu_s=20.0,
    peak_rss=2 * 10**9,
    gpus=2,
    egress_bytes=10**9,
    units={"tokens": 3.0},
    memo=MemoUsage(spent=0.5),
)


def test_an_attempt_used_what_it_held_all_the_time() -> None:
    assert attempt_quantities(TRAINED) == Quantities(
        cpu_s=20.0, memory_gb_s=20.0, gpu_s=20.0, egress_gb=1.0, units={"tokens": 3.0}, spent=0.5
    )
    assert total_quantities((TRAINED, TRAINED)).units == {"tokens": 6.0}
    assert TRAINED.units == {"tokens": 3.0}


def test_every_quantity_is_added_and_priced() -> None:
    one = Quantities(
        cpu_s=3600.0,
        memory_gb_s=3600.0,
        gpu_s=3600.0,
        storage_gb_s=MONTH_S,
        egress_gb=1.0,
        units={"calls": 1.0},
        spent=1.0,
    )
    price = Price(
        cpu_hour=1.0,
        memory_gb_hour=1.0,
        gpu_hour=1.0,
        storage_gb_month=1.0,
        egress_gb=1.0,
        units={"calls": 1.0},
    )
    assert one.cost(price) == len(fields(Quantities))
    one.add(one)
    assert one.cost(price) == 2 * len(fields(Quantities))
    assert one.cost(Price()) == 2.0


def test_requests_and_what_is_beside_them() -> None:
    usage = ServedUsage(
        endpoint="delays", version="one", requests=1, rows=5, cpu_s=1.0, idle_cpu_s=2.0,
        memory_gb_s=3.0, wall_s=1.0,
    )  # fmt: skip
    assert request_quantities(usage) == Quantities(cpu_s=1.0)
    assert idle_quantities(usage) == Quantities(cpu_s=2.0, memory_gb_s=3.0)


def test_amounts_are_added_by_currency() -> None:
    amounts = {"EUR": 1.0}
    add_amounts(amounts, {"EUR": 2.0, "USD": 5.0})
    assert amounts == {"EUR": 3.0, "USD": 5.0}
