"""How tasks share the devices of nodes, beside what holds on this machine."""

from __future__ import annotations

import pytest

from tidemill.ports.execution import Executor
from tidemill.testing.suites.executor import run_tasks, task
from tidemill.testing.suites.executor_sharing import SharingSuite


class NodeSharingSuite(SharingSuite):
    """The suite of shared resources, for executors whose tasks run on nodes of a cluster."""

    def test_only_tasks_with_devices_get_the_variable(
        self, executor: Executor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The devices of this machine mean nothing on a node; tasks that ask for none see none there."""
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "as it was")
        assert run_tasks(executor, task("1", "devices", params=b"0"))[0].result == b""
