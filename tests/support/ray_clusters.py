"""A Ray cluster that the tests of a module share, which the environment of this process can reach."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tools.ray_cluster import Cluster


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[Cluster]:
    """A new cluster with a node of two CPUs and two devices; tests say why they are skipped without one."""
    # Where the wheel is tried, there are no tools.
    from tools import ray_cluster

    if reason := ray_cluster.missing():
        pytest.skip(reason)
    with ExitStack() as stack:
        try:
            found = stack.enter_context(ray_cluster.cluster(num_cpus=2, num_gpus=2))
        except ray_cluster.NotStarted as error:
            pytest.skip(str(error))
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in found.environment.items():
            patched.setenv(name, value)
        yield found
