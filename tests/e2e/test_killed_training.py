"""A search, its training, and a training that continues a version, killed at any point: nothing is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.test_models import WINDOW, Sea
from tests.behaviour.test_search import sea_of, study_of, trials, values
from tests.behaviour.test_warm_start import WARM, artifact_of
from tests.e2e.test_crash import REPOSITORY
from tests.support.thoroughness import examples, thorough
from tests.support.tides import day
from tidemill.ledger.event import Attempted, Computed
from tidemill.workflow.model import Artifact
from tidemill.workflow.search import Study


def points(
    quick: Sequence[tuple[str, str, int]], slow: Sequence[tuple[str, str, int]]
) -> list[Any]:
    """Where to kill a process: `make test-full` takes every third of the slow ones, and a soak all."""
    every = len(slow) // examples(len(slow) // 3, len(slow))
    marks = (pytest.mark.slow, thorough)
    return [
        *(pytest.param(*point) for point in quick),
        *(pytest.param(*point, marks=marks) for point in slow[::every]),
    ]


# Eight trials, then the training on the whole window, its evaluation and deliveries.
SEARCHED = points(
    [("call", "after", 5), ("append", "after", 4)],
    [
        ("load", "before", 1),
        ("load", "before", 20),
        ("call", "before", 1),
        ("call", "before", 9),
        ("call", "after", 9),
        ("dump", "before", 9),
        ("dump", "after", 9),
        ("fill", "before", 1),
        ("fill", "after", 1),
        ("move", "before", 1),
        ("move", "after", 1),
        ("append", "before", 2),
        ("append", "after", 2),
        ("append", "before", 3),
        ("append", "before", 4),
        ("append", "after", 6),
    ],
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Study:
    sea = sea_of(tmp_path_factory.mktemp("undisturbed"))
    sea.run()
    return study_of(sea)


def ok_attempts(sea: Sea) -> Counter[tuple[str, str]]:
    return Counter(
        (event.attempt.action, event.attempt.partition)
        for event in sea.events("Attempted")
        if isinstance(event, Attempted)
        and event.attempt.stage == "model"
        and event.attempt.outcome == "ok"
    )


def killed_at(sea: Sea, point: str, when: str, nth: int, what: str) -> None:
    """Run the project in a process that kills itself at a point."""
    child = subprocess.run(
        [sys.executable, "-m", "tests.e2e.training_child", sea.root, point, when, str(nth), what],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr


@pytest.mark.parametrize(("point", "when", "nth"), SEARCHED, ids=lambda item: str(item))
def test_the_next_run_finishes_it(
    tmp_path: Path, undisturbed: Study, point: str, when: str, nth: int
) -> None:
    sea = sea_of(tmp_path / "project")
    for stage in ("features", "labels"):
        sea.run(stage)
    killed_at(sea, point, when, nth, "search")
    before = ok_attempts(sea)
    heads = sea.open().state().heads
    # A model is published as a whole, or not at all.
    assert "model" not in heads or before["train", "all"] == 1
    receipt = sea.run()
    assert receipt.exit_code == 0, receipt.messages
    after = ok_attempts(sea)
    assert set(after.values()) == {1}
    # A trial that is recorded wasn't run again.
    recorded = Counter(e.partition for e in sea.events("Computed") if isinstance(e, Computed))
    assert recorded == Counter(trials(*range(8)))
    assert values(study_of(sea)) == values(undisturbed)
    assert set(sea.delivered()) == {day(n) for n in range(WINDOW)}
    assert sea.open().state().open_runs == ()
    assert sea.ok() == {}


# A new day: its training, which continues the live version, its evaluation and the gates.
CONTINUED = points(
    [("call", "after", 1)],
    [
        ("call", "before", 1),
        ("dump", "after", 1),
        ("fill", "after", 1),
        ("fill", "before", 2),
        ("move", "before", 1),
        ("move", "after", 2),
        ("append", "before", 2),
        ("append", "after", 2),
        ("append", "before", 3),
        ("append", "after", 3),
    ],
)


def with_a_new_day(root: Path) -> Sea:
    """A live version, and a new day that its training is to continue with."""
    sea = Sea(root, WARM)
    for number in range(WINDOW):
        sea.flood(number)
    sea.ok()
    sea.flood(WINDOW)
    for stage in ("features", "labels"):
        sea.run(stage)
    return sea


@pytest.fixture(scope="module")
def continued(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The version that an undisturbed training gives."""
    sea = with_a_new_day(tmp_path_factory.mktemp("continued"))
    sea.ok()
    return artifact_of(sea)


@pytest.mark.parametrize(("point", "when", "nth"), CONTINUED, ids=lambda item: str(item))
def test_a_version_is_continued_once_however_its_training_is_killed(
    tmp_path: Path, continued: Artifact, point: str, when: str, nth: int
) -> None:
    sea = with_a_new_day(tmp_path / "killed")
    first = artifact_of(sea)
    killed_at(sea, point, when, nth, "warm")
    receipt = sea.run()
    assert receipt.exit_code == 0, receipt.messages
    second = artifact_of(sea)
    assert second.parent is not None
    assert (second.parent.id, second.generation) == (first.id, 1)
    expected = (continued.id, continued.key, continued.parent)
    assert (second.id, second.key, second.parent) == expected
    assert sea.open().state().live["model"].artifact == second
    assert sea.open().state().open_runs == ()
    assert sea.ok() == {}
