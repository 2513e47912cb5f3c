"""The same conditions for every test, wherever it runs: the shell's settings, Hypothesis, the order."""

from __future__ import annotations

import functools
import gc
import itertools
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from tests.support.bakery import built, built_template, committed, fresh, fresh_template
from tests.support.browser import chromium, page_at
from tests.support.modules import Project
from tests.support.object_stores import s3
from tests.support.shared_homes import address, machine, new_home, postgres_url
from tests.support.thoroughness import draw_all_examples
from tidemill.cli.terminal import live_progress
from tidemill.core.spin_limit import spin_limit

# Fixtures that are made elsewhere are found by their names here.
__all__ = [
    "address", "built", "built_template", "chromium", "committed", "fresh", "fresh_template", "machine",
    "new_home", "page_at", "postgres_url", "project", "s3",
]  # fmt: skip

# What a shell sets for whoever sits before it, and what would change output. Commands that tests start
# take over these as well. Time zone and locale stay: they must change nothing.
os.environ.update(COLUMNS="80", LINES="24")
for name in ("NO_COLOR", "FORCE_COLOR", "JPY_PARENT_PID", "TIDEMILL_TOKEN"):
    os.environ.pop(name, None)

# Processes test side by side, and threads of OpenMP would take the CPUs from each other.
os.environ.update(spin_limit(os.environ))

# Most processes that tests start train a booster or load one. What needs the interface of LightGBM that
# is scikit-learn's unsets QUICK_BOOSTERS.
BOOSTERS = Path(__file__).parent / "support" / "quick_boosters"
os.environ["QUICK_BOOSTERS"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(BOOSTERS), *filter(None, [os.environ.get("PYTHONPATH")])]
)

# Nothing here is timed (a deadline and the check for slow data are clocks in disguise), and `make
# test` draws the same examples each time: red means that the code changed. The search for new
# examples is `make soak`: a wide one with all properties, and a long one with some of them.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", UNTIMED, derandomize=True, max_examples=100, print_blob=True)
settings.register_profile("wide", UNTIMED, max_examples=200, print_blob=True)
settings.register_profile("soak", UNTIMED, max_examples=5_000, print_blob=True)
settings.load_profile("steady")


# How many examples of a property run with coverage, if not all.
TRACED_EXAMPLES = int(os.environ.get("TRACED_EXAMPLES", "0"))

# On a busy machine any run lasts long enough for a line that says how far it is. What such lines say is
# tested with a clock that stands still.
live_progress._LOG_S = 86_400.0


# What is collected stays until the end. Looking through it for garbage took a third of the collection.
gc.disable()


@pytest.fixture(autouse=True)
def _search_path() -> Iterator[None]:
    """Opening a project imports from its folder: its modules must not take the place of a later test's."""
    before = list(sys.path)
    yield
    added = {*sys.path} - {*before}
    sys.path[:] = before
    if not added:
        return
    # Threads that earlier tests left may import.
    for name, module in sys.modules.copy().items():
        file = getattr(module, "__file__", None)
        if file and os.path.dirname(file) in added:
            del sys.modules[name]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--random-order SEED` shows whether a test depends on those before it."""
    parser.addoption(
        "--thorough", action="store_true", help="draw all examples of costly properties"
    )
    parser.addoption(
        "--random-order", type=int, metavar="SEED", help="shuffle modules, and the tests of each"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Test modules are imported later, and ask for the number of their examples then."""
    if not config.getoption("--hypothesis-profile"):
        # Hypothesis also draws constants that it finds in modules: those which happen to be imported.
        assert hasattr(providers, "_get_local_constants")
        providers._get_local_constants = Constants
    if config.getoption("thorough"):
        draw_all_examples()


def pytest_collection_finish() -> None:
    # Python takes bytecode for that of a module which was edited in the same second to the same size, as
    # tests edit the projects that they import.
    sys.dont_write_bytecode = True
    gc.collect()
    gc.freeze()
    gc.enable()


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Let coverage follow the first examples of a property: following all takes three times as long."""
    trace, handle = sys.gettrace(), getattr(getattr(item, "obj", None), "hypothesis", None)
    if trace is not None and TRACED_EXAMPLES and item.get_closest_marker("untraced"):
        sys.settrace(None)
        try:
            return (yield)
        finally:
            sys.settrace(trace)
    if trace is None or handle is None or not TRACED_EXAMPLES:
        return (yield)
    count, inner_test = itertools.count(1), handle.inner_test

    @functools.wraps(inner_test)
    def counted(*args: Any, **named: Any) -> Any:
        if next(count) > TRACED_EXAMPLES:
            sys.settrace(None)
        return inner_test(*args, **named)

    handle.inner_test = counted
    try:
        return (yield)
    finally:
        handle.inner_test = inner_test
        sys.settrace(trace)


def pytest_runtest_logstart(nodeid: str) -> None:
    """`tools/unit.py` names the test during which a process died."""
    if running := os.environ.get("TEST_RUNNING"):
        Path(running).write_text(nodeid, encoding="utf-8")


def pytest_runtest_logfinish() -> None:
    if running := os.environ.get("TEST_RUNNING"):
        Path(running).write_text("", encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A folder of modules that can be written, imported and edited."""
    made = Project(tmp_path, monkeypatch)
    yield made
    made.forget()
