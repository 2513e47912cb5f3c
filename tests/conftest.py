"""The same conditions for every test, wherever it runs: the shell's settings, Hypothesis, the order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, settings

from tests.support.modules import Project

# What a shell sets for whoever sits before it, and what would change output. Commands that tests start
# take over these as well. Time zone and locale stay: they must change nothing.
os.environ.update(COLUMNS="80", LINES="24")
for name in ("NO_COLOR", "FORCE_COLOR", "JPY_PARENT_PID"):
    os.environ.pop(name, None)

# Nothing here is timed (a deadline and the check for slow data are clocks in disguise), and `make
# test` draws the same examples each time: red means that the code changed. The search for new
# examples is `make soak`.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", UNTIMED, derandomize=True, max_examples=100, print_blob=True)
settings.register_profile("soak", UNTIMED, max_examples=5_000, print_blob=True)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--random-order SEED` shows whether a test depends on those before it."""
    parser.addoption(
        "--random-order", type=int, metavar="SEED", help="shuffle modules, and the tests of each"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Modules stay together, so that a fixture of a module is made once."""
    seed = config.getoption("random_order")
    if seed is None:
        return
    random, modules = Random(seed), dict[object, list[pytest.Item]]()
    for item in items:
        modules.setdefault(item.path, []).append(item)
    shuffled = list(modules.values())
    random.shuffle(shuffled)
    for module in shuffled:
        random.shuffle(module)
    items[:] = [item for module in shuffled for item in module]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A folder of modules that can be written, imported and edited."""
    made = Project(tmp_path, monkeypatch)
    yield made
    made.forget()
