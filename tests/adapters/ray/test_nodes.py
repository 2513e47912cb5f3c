"""Why no node of a cluster holds a worker."""

from __future__ import annotations

import pytest

from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.adapters.ray.nodes import NodeFacts, explain_pending

SMALL = NodeFacts(
    address="10.0.0.1", resources={"CPU": 2.0, "memory": 4e9}, labels={"pool": "spot"}
)
GPU = NodeFacts(address="10.0.0.2", resources={"CPU": 8.0, "memory": 32e9, "GPU": 1.0}, labels={})


@pytest.mark.parametrize(
    ("shape", "small", "gpu"),
    [
        (WorkerShape(cpus=2), True, True),
        (WorkerShape(cpus=2.5), False, True),
        (WorkerShape(memory=5_000_000_000), False, True),
        (WorkerShape(gpus=1), False, True),
        (WorkerShape(labels=(("pool", "spot"),)), True, False),
        (WorkerShape(labels=(("pool", "on-demand"),)), False, False),
    ],
)
def test_a_node_holds_what_it_has_enough_for(shape: WorkerShape, small: bool, gpu: bool) -> None:
    assert (SMALL.can_hold(shape), GPU.can_hold(shape)) == (small, gpu)


def test_a_request_that_fits_nowhere_is_compared_with_the_cluster() -> None:
    shape = WorkerShape(cpus=16, memory=2_000_000_000, gpus=2)
    text = explain_pending(shape, [SMALL, GPU], 300.0)
    assert text.startswith(
        "no worker of 16 CPUs, 2 GB, 2 GPUs was placed within 300 s: no node is "
    )
    assert "10.0.0.1 (2 CPUs, 4 GB, pool=spot); 10.0.0.2 (8 CPUs, 32 GB, 1 GPUs)" in text


def test_a_busy_cluster_isnt_called_too_small() -> None:
    text = explain_pending(WorkerShape(cpus=1), [SMALL] * 6, 5.0)
    assert "other work uses the nodes that could hold it" in text
    assert text.endswith("and 2 more")


def test_a_cluster_without_nodes_says_so() -> None:
    assert explain_pending(WorkerShape(), [], 1.0).endswith("the cluster has no nodes")
