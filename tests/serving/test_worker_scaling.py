from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.serving.worker_scaling import ProcessLoad, WorkerScaling, surplus_connections

FULL, IDLE = ProcessLoad(busy=0.95), ProcessLoad(busy=0.01)


def after(
    scaling: WorkerScaling, loads: Sequence[ProcessLoad], times: Iterable[float]
) -> WorkerScaling:
    for now in times:
        scaling = scaling.observe(loads, now)
    return scaling


def test_a_process_is_added_after_all_were_full_for_a_while() -> None:
    scaling = WorkerScaling(most=3, grow_s=2.0)
    assert after(scaling, [FULL], [0.0, 1.0, 1.9]).wanted == 1
    assert after(scaling, [FULL], [0.0, 1.0, 2.0]).wanted == 2


def test_waiting_requests_count_as_full() -> None:
    queued = ProcessLoad(busy=0.2, queued=3)
    assert after(WorkerScaling(most=2), [queued], [0.0, 2.0]).wanted == 2


def test_a_pause_starts_the_wait_again() -> None:
    scaling = after(WorkerScaling(most=2), [FULL], [0.0, 1.0])
    scaling = scaling.observe([IDLE], 1.5)
    assert after(scaling, [FULL], [2.0, 3.5]).wanted == 1


def test_one_that_is_not_full_is_enough() -> None:
    scaling = WorkerScaling(most=3, wanted=2)
    assert after(scaling, [FULL, ProcessLoad(busy=0.5)], range(100)).wanted == 2


def test_the_most_are_never_exceeded() -> None:
    assert after(WorkerScaling(most=1), [FULL], range(100)).wanted == 1


def test_a_process_is_released_after_it_was_not_needed() -> None:
    scaling = WorkerScaling(most=3, wanted=2, release_s=60.0)
    assert after(scaling, [IDLE, IDLE], [0.0, 59.0]).wanted == 2
    assert after(scaling, [IDLE, IDLE], [0.0, 59.0, 60.0]).wanted == 1


def test_a_process_that_others_could_not_replace_is_kept() -> None:
    half = ProcessLoad(busy=0.4)
    assert after(WorkerScaling(most=2, wanted=2), [half, half], range(200)).wanted == 2


def test_nothing_is_decided_while_a_process_starts() -> None:
    scaling = after(WorkerScaling(most=3, wanted=2), [FULL], range(100))
    assert (scaling.wanted, scaling.full_since, scaling.idle_since) == (2, None, None)


loads = st.builds(ProcessLoad, busy=st.floats(0, 1.2), queued=st.integers(0, 3))


@given(st.lists(st.lists(loads, min_size=1, max_size=4), max_size=30), st.integers(1, 4))
def test_the_number_moves_by_one_and_stays_in_bounds(
    history: list[list[ProcessLoad]], most: int
) -> None:
    scaling = WorkerScaling(most=most, grow_s=1.0, release_s=2.0)
    for now, found in enumerate(history):
        following = scaling.observe(found, float(now))
        assert abs(following.wanted - scaling.wanted) <= 1
        assert 1 <= following.wanted <= most
        scaling = following


@pytest.mark.parametrize(
    ("loads", "surplus"),
    [
        # None is full: nothing is gained.
        ([(0.5, 8), (0.1, 0)], [0, 0]),
        # All are full: some have far more callers than others, or not.
        ([(0.9, 48), (0.9, 16)], [8, 0]),
        ([(0.9, 36), (0.9, 28)], [0, 0]),
        ([(0.9, 2), (0.9, 1)], [0, 0]),
        # Half of what is beyond the average, at least one.
        ([(0.9, 8), (0.1, 0)], [2, 0]),
        ([(0.9, 2), (0.1, 1)], [1, 0]),
        ([(0.9, 12), (0.9, 9), (0.1, 0)], [3, 1, 0]),
        # A full process with few connections keeps them.
        ([(0.9, 1), (0.1, 9)], [0, 0]),
        ([(0.9, 1)], [0]),
    ],
)
def test_full_processes_close_connections_while_others_have_time(
    loads: list[tuple[float, int]], surplus: list[int]
) -> None:
    found = [ProcessLoad(busy=busy, connections=connections) for busy, connections in loads]
    assert surplus_connections(found) == surplus
