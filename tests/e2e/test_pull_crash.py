"""What a function gives is published once, and its state is that of these rows, whenever it is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.e2e.test_crash import PROJECT, REPOSITORY, start
from tests.sources.io.test_pull_table import KEYLESS, Feed

# One row at a time; it dies before the row whose number the file `die` has, and waits a little.
GIVING = KEYLESS.replace(
    "return (rows[:2], rows[2:])",
    """def one_by_one():
        import os, signal, time

        die = Path(__file__).with_name("die")
        for number, row in enumerate([*rows, None]):
            if die.exists() and die.read_text() == str(number):
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.02)
            if row is not None:
                yield [row]

    return one_by_one()""",
)
ROWS = [(0, 1, 1.0), (0, 1, 1.0), (1, 1, 3.0), (2, 1, 4.0)]
# Rows of days long since published, one of them a second time.
LATE = [(0, 2, 5.0), (0, 1, 1.0)]


def feed_of(root: Path) -> Feed:
    """A feed that the command line can read, of which some was published before."""
    root.mkdir()
    feed = Feed(root, GIVING)
    (root / "pyproject.toml").write_text(PROJECT)
    (root / "tides.py").write_text(GIVING)
    feed.send(*ROWS)
    feed.tides.ok()
    feed.send(*LATE)
    return feed


def known(feed: Feed) -> tuple[int, int]:
    """How many rows the ledger knows, and how many its state says that there were."""
    project = feed.tides.open()
    try:
        files = project.state().sources["raw"]
    finally:
        project.close()
    return sum(sum(file.rows.values()) for file in files.values()), _seen(files["state"].digest)


def _seen(state: str) -> int:
    seen: Any = json.loads(state)["seen"]
    return int(seen)


def all_is_well(feed: Feed) -> None:
    """The next run gives what an undisturbed one would, and so does the one after new rows."""
    rows, state = known(feed)
    assert rows == state
    assert feed.tides.run().exit_code == 0
    for _ in range(2):
        assert feed.published() == sorted(feed.rows)
        assert known(feed) == (len(feed.rows), len(feed.rows))
        feed.send((1, 9, 9.0))
        feed.tides.ok()


@pytest.mark.parametrize("row", range(len(LATE) + 1))
def test_killed_between_rows(tmp_path: Path, row: int) -> None:
    feed = feed_of(tmp_path / "project")
    (feed.tides.root / "die").write_text(str(row))
    process = start(feed.tides.root)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    # The state was handed before the rows, and isn't kept without them.
    assert known(feed) == (len(ROWS), len(ROWS))
    (feed.tides.root / "die").unlink()
    all_is_well(feed)


POINTS = [
    # The batch, before and after it is durable, and under its name.
    ("fill", "before", 1),
    ("fill", "after", 1),
    ("move", "before", 1),
    ("move", "after", 1),
    # What is published of it.
    ("fill", "after", 2),
    ("move", "after", 2),
    ("append", "before", 1),
    ("append", "after", 1),
    ("append", "before", 2),
    ("append", "after", 2),
    ("append", "before", 3),
]


@pytest.mark.parametrize(("point", "when", "nth"), POINTS, ids=lambda item: str(item))
def test_killed_around_publishing(tmp_path: Path, point: str, when: str, nth: int) -> None:
    feed = feed_of(tmp_path / "project")
    child = subprocess.run(
        [sys.executable, "-m", "tests.e2e.puller", str(feed.tides.root), point, when, str(nth)],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    all_is_well(feed)


@pytest.mark.slow
def test_killed_at_random_moments_while_rows_come(tmp_path: Path) -> None:
    feed = feed_of(tmp_path / "project")
    rng = Random(11)
    killed = 0
    for number in range(8):
        process = start(feed.tides.root)
        time.sleep(rng.uniform(0.2, 1.2))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        rows, state = known(feed)
        assert rows == state
        feed.send((number % 3, 20 + number, 1.0))
    assert killed
    all_is_well(feed)
