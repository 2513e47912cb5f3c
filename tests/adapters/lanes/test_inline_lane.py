"""The inline lane passes the executor suite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tidemill.adapters.lanes.inline_lane import InlineLane
from tidemill.core.errors import UsageError
from tidemill.testing.suites.executor import ExecutorSuite, task


@pytest.fixture
def executor() -> Iterator[InlineLane]:
    engine = InlineLane()
    yield engine
    engine.close()


class TestInline(ExecutorSuite):
    blockers = ()


@pytest.mark.parametrize("limit", [{"timeout_s": 1.0}, {"memory": 10}, {"gpus": 1}])
def test_limits_that_it_cannot_enforce_are_rejected(
    executor: InlineLane, limit: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match="a task in this process can't"):
        executor.submit(task("one", **limit))
