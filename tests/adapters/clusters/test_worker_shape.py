"""What a worker asks for."""

from __future__ import annotations

import pytest

from tidemill.adapters.clusters.worker_shape import WorkerShape


@pytest.mark.parametrize(("cpus", "slots"), [(0.5, 1), (1, 1), (1.5, 2), (4, 4)])
def test_a_worker_runs_as_many_tasks_as_it_has_cpus(cpus: float, slots: int) -> None:
    assert WorkerShape(cpus=cpus).slots == slots


def test_a_shape_is_named_by_what_it_asks_for() -> None:
    shape = WorkerShape(
        cpus=2, memory=4_000_000_000, gpus=1, labels=(("partition", "debug"),), lifetime_s=5400
    )
    assert str(shape) == "2 CPUs, 4 GB, 1 GPUs, partition=debug, 90 min"
