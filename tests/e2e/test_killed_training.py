"""A search and its training, killed at any point: nothing is half published or paid twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.behaviour.test_models import WINDOW, Sea
from tests.behaviour.test_search import sea_of, study_of, trials, values
from tests.e2e.test_crash import REPOSITORY
from tests.support.tides import day
from tidemill.ledger.event import Attempted, Computed
from tidemill.workflow.search import Study

# Eight trials, then the training on the whole window, its evaluation and deliveries.
POINTS = [
    ("call", "after", 5),
    ("append", "after", 4),
    *(
        pytest.param(*point, marks=pytest.mark.slow)
        for point in [
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
        ]
    ),
]


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


@pytest.mark.parametrize(("point", "when", "nth"), POINTS, ids=lambda item: str(item))
def test_the_next_run_finishes_it(
    tmp_path: Path, undisturbed: Study, point: str, when: str, nth: int
) -> None:
    sea = sea_of(tmp_path / "project")
    for stage in ("features", "labels"):
        sea.run(stage)
    child = subprocess.run(
        [sys.executable, "-m", "tests.e2e.training_child", str(sea.root), point, when, str(nth)],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
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
