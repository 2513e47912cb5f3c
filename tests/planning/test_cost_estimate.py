"""What a run should cost, by what earlier ones did cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.ledger.price import Price
from tidemill.ledger.run import Action, Attempt, Outcome, Receipt, StageTotals, Status
from tidemill.planning.cost_estimate import PastWork, estimate_cost
from tidemill.planning.plan import Step
from tidemill.workflow.memo import MemoUsage

PRICE = Price(
    cpu_hour=3600.0,
    memory_gb_hour=3600.0,
    gpu_hour=3600.0,
    egress_gb=1.0,
    units={"calls": 1.0},
)


def step(cpu_s: float | None = 2.0, wall_s: float | None = 4.0, **changes: Any) -> Step:
    given_fields = {"stage": "a", "partition": "p", "action": Action.RUN, "reasons": ()} | changes
    return Step(**given_fields, cpu_s=cpu_s, wall_s=wall_s)


def attempt(**changes: Any) -> Attempt:
    given_fields = {"stage": "a", "partition": "*", "action": Action.RUN, "outcome": Outcome.OK}
    return Attempt(**(given_fields | changes))


def receipt(steps: int, cpu_s: float, beside: float, memory: float = 0.0) -> Receipt:
    stage = StageTotals(stage="a", ran=steps, cpu_s=cpu_s)
    return Receipt(
        run="r", status=Status.OK, stages=(stage,), cpu_s=cpu_s + beside, memory_gb_s=memory
    )


def test_steps_cost_their_cpu_time_and_what_earlier_ones_used_with_it() -> None:
    tried = [
        attempt(wall_s=1.0, peak_rss=10**9, gpus=1, egress_bytes=10**9, units={"calls": 2.0}),
        attempt(wall_s=3.0, peak_rss=10**9, gpus=1, memo=MemoUsage(spent=4.0)),
        attempt(wall_s=9.0, peak_rss=10**10, outcome=Outcome.FAILED, units={"calls": 99.0}),
        attempt(wall_s=9.0, peak_rss=10**10, action=Action.TRAIN),
    ]
    past = PastWork(attempts={"a": tried})
    # CPU, memory and GPU for 4 seconds; half a gigabyte, a call and 2 of memos per step.
    assert estimate_cost([step()], past, PRICE) == pytest.approx(2 + 4 + 4 + 0.5 + 1 + 2)
    assert estimate_cost([step(), step()], past, PRICE) == pytest.approx(2 * 13.5)
    assert estimate_cost([step(wall_s=None)], past, PRICE) == pytest.approx(2 + 3.5)
    assert estimate_cost([step(stage="new")], past, PRICE) == pytest.approx(2.0)


def test_a_run_costs_something_beside_its_steps() -> None:
    past = PastWork(receipts=[receipt(1, 1.0, 2.1), receipt(1, 1.0, 2.1), receipt(1, 1.0, 50.0)])
    price = Price(cpu_hour=3600.0)
    assert estimate_cost([step()], past, price) == pytest.approx(2.0 + 2.1)
    # 22 steps take twice what one takes, since beginning a run counts as 20.
    assert estimate_cost([step()] * 22, past, price) == pytest.approx(44.0 + 2 * 2.1)
    held = PastWork(receipts=[receipt(1, 1.0, 1.0, memory=6.0)])
    assert estimate_cost([step()], held, Price(memory_gb_hour=3600.0)) == pytest.approx(9.0)


def test_steps_without_history_are_left_out() -> None:
    """A new stage hides nothing of what others cost."""
    tried = [attempt(wall_s=1.0, units={"calls": 100.0})]
    past = PastWork(attempts={"a": tried}, receipts=[receipt(1, 1.0, 2.1)])
    known = estimate_cost([step()], past, PRICE)
    assert known == pytest.approx(2 + 100 + 2.1)
    new = step(stage="new", cpu_s=None, wall_s=None)
    assert estimate_cost([new, step(), new], past, PRICE) == known


def test_without_history_nothing_is_estimated() -> None:
    assert estimate_cost([step(cpu_s=None)], PastWork(), PRICE) is None
    assert estimate_cost([], PastWork(receipts=[receipt(1, 1.0, 1.0)]), PRICE) == 0.0
    idle = [receipt(0, 1.0, 1.0), replace(receipt(1, 1.0, 0.0), cpu_s=0.0)]
    assert estimate_cost([step()], PastWork(receipts=idle), PRICE) == pytest.approx(2.0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=5), st.floats(0, 1e3))
def test_estimates_are_proportional_to_prices(seconds: list[float], price: float) -> None:
    steps, past = [step(cpu_s=each) for each in seconds], PastWork(receipts=[receipt(3, 1.0, 1.0)])
    one = estimate_cost(steps, past, Price(cpu_hour=1.0))
    assert one is not None
    assert estimate_cost(steps, past, Price(cpu_hour=price)) == pytest.approx(one * price)
