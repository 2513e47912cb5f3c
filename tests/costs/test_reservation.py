"""Reservations: whatever tasks turn out to use, no budget is exceeded."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.costs.budget import BudgetStatus, SpendingBudget
from tidemill.costs.reservation import LEAST, Reservations, task_margin
from tidemill.costs.spent import NOTHING_SPENT, Spent
from tidemill.ledger.price import Price
from tidemill.workflow.spending_limit import SpendingLimit

PRICE = Price(cpu_hour=3_600.0, currency="EUR")  # a CPU second costs 1 EUR
CLOSING = Spent(cpu_s=0.5)
AMOUNTS = st.floats(min_value=0.0, max_value=20.0)


def status(left: float, spent: float = 0.0, *, in_cpu_hours: bool = False) -> BudgetStatus:
    amount = (left + spent) / (3_600 if in_cpu_hours else 1)
    limit = SpendingLimit(amount=amount, in_cpu_hours=in_cpu_hours)
    return BudgetStatus(
        budget=SpendingBudget(setting="budget.monthly", limit=limit),
        spent=spent / (3_600 if in_cpu_hours else 1),
    )


def reservations(*statuses: BudgetStatus) -> Reservations:
    return Reservations(statuses, PRICE, closing=CLOSING)


def cpu(seconds: float) -> Spent:
    return Spent(cpu_s=seconds)


@dataclass
class Worker:
    """A task that really uses `needs`, at most `pace` between two looks, and ends a look after its stop."""

    needs: float
    expected: float
    pace: float
    used: float = 0.0
    stopped: bool = False


@st.composite
def workers(draw: st.DrawFn) -> Worker:
    return Worker(
        needs=draw(AMOUNTS),
        expected=draw(AMOUNTS),
        pace=draw(st.floats(min_value=0.05, max_value=2.0)),
    )


@given(
    st.lists(workers(), max_size=12),
    st.lists(st.floats(min_value=0.0, max_value=60.0), min_size=1, max_size=3),
    st.integers(min_value=1, max_value=4),
    st.lists(st.floats(min_value=0.0, max_value=0.3), min_size=1, max_size=10),
    st.data(),
)
def test_no_mix_of_steps_exceeds_a_budget(
    waiting: list[Worker],
    budgets: list[float],
    lanes: int,
    beside: list[float],
    data: st.DataObject,
) -> None:
    """Steps with wrong estimates, several at once, and a run that uses something itself.

    A run that uses something beside its steps may exceed a budget only where nothing is left to be stopped.
    """
    room = reservations(*(status(left, in_cpu_hours=n == 1) for n, left in enumerate(budgets)))
    running: dict[str, Worker] = {}
    ended = overhead = 0.0
    left, number, turn = min(budgets), 0, 0
    while waiting or running:
        while waiting and len(running) < lanes:
            worker, number = waiting.pop(), number + 1
            margin = cpu(2 * worker.pace)
            if room.reserve(str(number), cpu(worker.expected), margin) is None:
                running[str(number)] = worker
        for task, worker in [*running.items()]:
            step = data.draw(st.floats(min_value=0.0, max_value=1.0)) * worker.pace
            worker.used = min(worker.needs, worker.used + step)
            if worker.stopped or worker.used >= worker.needs or step < 0.01 * worker.pace:
                ended += worker.used
                del running[task]
                assert room.release(task)
        used = ended + sum(worker.used for worker in running.values())
        assert used + overhead <= left + 1e-6 or not used
        if running and used + overhead + max(beside) + 2 * len(running) < left:
            overhead += beside[turn % len(beside)]
        turn += 1
        used += overhead
        stopped = room.look(cpu(used), {name: cpu(each.used) for name, each in running.items()})
        for task in stopped:
            running[task].stopped = True
    assert not room.tasks


def test_what_is_reserved_is_not_promised_twice() -> None:
    room = reservations(status(10.0))
    assert room.reserve("a", cpu(6.0), cpu(1.0)) is None
    assert room.reserve("b", cpu(6.0), cpu(1.0)) == status(10.0)
    assert room.reserve("b", cpu(3.5), cpu(1.0)) is None
    assert room.tasks == 2
    # a ended with less than it reserved, which is free now.
    assert room.release("a")
    room.look(cpu(1.0), {})
    assert room.reserve("c", cpu(5.0), cpu(1.0)) is None
    assert not room.release("a")


def test_a_step_without_an_estimate_reserves_its_margin() -> None:
    room = reservations(status(1.0))
    assert room.reserve("a", NOTHING_SPENT, cpu(0.6)) is not None
    assert room.reserve("a", NOTHING_SPENT, cpu(0.5)) is None


def test_who_exceeds_its_estimate_grows_while_there_is_room_and_is_stopped_first() -> None:
    room = reservations(status(10.0))
    assert room.reserve("honest", cpu(4.0), cpu(0.5)) is None
    assert room.reserve("greedy", cpu(1.0), cpu(0.5)) is None
    assert room.look(cpu(5.0), {"honest": cpu(1.0), "greedy": cpu(4.0)}) == {}
    assert room.look(cpu(7.1), {"honest": cpu(2.0), "greedy": cpu(5.1), "gone": cpu(9.0)}) == {
        "greedy": status(10.0)
    }
    # It is stopped once.
    assert room.look(cpu(7.2), {"honest": cpu(2.0), "greedy": cpu(5.2)}) == {}


def test_the_run_itself_can_use_a_budget_up() -> None:
    room = reservations(status(4.0))
    assert room.reserve("a", cpu(1.0), cpu(0.5)) is None
    assert room.reserve("b", cpu(0.5), cpu(0.5)) is None
    assert set(room.look(cpu(9.0), {"a": cpu(0.1), "b": cpu(0.1)})) == {"a", "b"}
    assert room.look(cpu(9.5), {"a": cpu(0.2)}) == {}


@pytest.mark.parametrize(
    ("expected", "fits"),
    [
        (Spent(cpu_s=1.0), True),
        (Spent(memory_gb_s=3_600.0), False),
        (Spent(external=2.0), False),
        (Spent(cpu_s=0.4, memory_gb_s=360.0, external=0.4), True),
        (Spent(cpu_s=0.4, memory_gb_s=360.0, external=0.7), False),
    ],
)
def test_memory_and_services_count_as_money(expected: Spent, fits: bool) -> None:
    price = Price(cpu_hour=3_600.0, memory_gb_hour=2.0)
    room = Reservations([status(1.0)], price)
    assert (room.reserve("a", expected, NOTHING_SPENT) is None) == fits
    # They don't count where a budget is CPU time.
    hours = Reservations([status(1.0, in_cpu_hours=True)], price)
    assert (hours.reserve("a", expected, NOTHING_SPENT) is None) == (expected.cpu_s <= 1.0)


def test_a_task_may_use_so_much_until_it_is_looked_at() -> None:
    found = task_margin(2.0, cap=10**9, gpus=3)
    assert (found.cpu_s, found.memory_gb_s) == pytest.approx((0.65, 0.3))
    assert found.gpu_s == pytest.approx(0.9)
    # With less than the least nothing begins, whatever it needs.
    for left, begins in ((LEAST.cpu_s + 0.01, True), (LEAST.cpu_s - 0.01, False)):
        room = Reservations([status(left)], PRICE, closing=CLOSING)
        assert (room.reserve("a", NOTHING_SPENT, task_margin()) is None) == begins
