"""Settings and fixtures that all tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.modules import Project

# Nothing here is timed (a deadline and the check for slow data are clocks in disguise), and `make
# test` draws the same examples each time: red means that the code changed. The search for new
# examples is `make soak`.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", UNTIMED, derandomize=True, max_examples=100, print_blob=True)
settings.register_profile("soak", UNTIMED, max_examples=5_000, print_blob=True)
settings.load_profile("steady")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A folder of modules that can be written, imported and edited."""
    made = Project(tmp_path, monkeypatch)
    yield made
    made.forget()
