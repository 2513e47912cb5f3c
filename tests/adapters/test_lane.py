"""The process lane keeps what engines promise, and holds nothing that it doesn't need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tidemill.adapters.local.lane import ProcessLane
from tidemill.testing.executor_suite import ProcessesSuite


@pytest.fixture
def executor() -> Iterator[ProcessLane]:
    with ProcessLane(max_workers=2, idle_s=0.3) as lane:
        yield lane


class TestProcessLane(ProcessesSuite):
    pass
