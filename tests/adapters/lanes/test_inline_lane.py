"""The engine in the caller's own process keeps what engines promise, as far as it can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tidemill.adapters.lanes.inline_lane import Inline
from tidemill.core.errors import UsageError
from tidemill.testing.suites.executor import ExecutorSuite, task


@pytest.fixture
def executor() -> Iterator[Inline]:
    engine = Inline()
    yield engine
    engine.close()


class TestInline(ExecutorSuite):
    blockers = ()


@pytest.mark.parametrize("limit", [{"timeout_s": 1.0}, {"memory": 10}, {"gpus": 1}])
def test_limits_that_it_cannot_hold_are_refused(executor: Inline, limit: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="a task in this process can't"):
        executor.submit(task("one", **limit))
