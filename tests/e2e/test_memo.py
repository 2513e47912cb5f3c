"""Memos and several processes: a crash loses the calls in flight, and nobody asks what another is at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import tidemill as tm
from tests.e2e.asker import AT_ONCE, BATCH
from tests.memos.io.test_decorator import FLOW
from tests.support.tides import Tides, flow_of
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]


def start(folder: Path, first: int, last: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.e2e.asker", str(folder), str(first), str(last)]
    return subprocess.Popen(command, cwd=ROOT)


def asked(folder: Path) -> Counter[int]:
    file = folder / "asked.txt"
    return Counter(map(int, file.read_text().split())) if file.exists() else Counter()


def settle(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        assert process.wait(timeout=600) == 0


def test_processes_do_not_ask_what_others_are_at(tmp_path: Path) -> None:
    settle(*[start(tmp_path, first, first + 200) for first in (0, 100, 0)])
    assert asked(tmp_path) == Counter(range(300))


@pytest.mark.parametrize("enough", [1, 60, 150])
def test_a_crash_loses_no_more_than_the_calls_in_flight(tmp_path: Path, enough: int) -> None:
    doomed = start(tmp_path, 0, 300)
    try:
        until(lambda: len(asked(tmp_path)) >= enough, doomed)
        # Whoever waits for it goes on when it is dead.
        other = start(tmp_path, 0, 300)
        time.sleep(0.05)
    finally:
        doomed.kill()
        doomed.wait()
    settle(other)
    again = sum(number - 1 for number in asked(tmp_path).values())
    assert sorted(asked(tmp_path)) == list(range(300))
    # What was answered is kept once it is on the disk; a batch or two wait for that meanwhile.
    assert again <= 3 * BATCH * AT_ONCE
    settle(start(tmp_path, 0, 300))
    assert sum(asked(tmp_path).values()) == 300 + again


# Without a wish they go to processes, where nobody waits for their calls.
@pytest.mark.parametrize("lane", ["auto", "process", "thread"])
def test_steps_that_are_made_elsewhere_tell_what_their_memos_took(
    tmp_path: Path, lane: str
) -> None:
    tides = Tides(tmp_path, FLOW)
    if lane != "auto":
        wish = f"@flow.transform(resources=tm.resources(lane={lane!r}))\n"
        tides.edit("@flow.transform\n", wish)
    for number in range(4):
        tides.send(number, (1.0, 2.0, float(number)))
    (tmp_path / "tides.py").write_text(tides.text)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.tidemill]\nworkflow = 'tides:flow'\nmemo = 'shared'\n"
    )
    command = [sys.executable, "-m", "tidemill", "run", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ}, capture_output=True, text=True, check=True
    )
    receipt = json.loads(done.stdout)["receipt"]
    stages = receipt["stages"]
    used = next(tally["memo"] for tally in stages if tally["stage"] == "squared")
    asked = (tmp_path / "asked.txt").read_text().split()
    assert {*asked} == {"0.0", "1.0", "2.0", "3.0"}
    # In a thread that waits, Polars may begin another query, which can't wait for the first.
    assert len(asked) == 4 or lane == "thread"
    count = len(asked)
    assert (used["asked"], used["known"]) == (count, 12 - count)
    assert (used["spent"], used["saved"]) == (count / 2, (12 - count) / 2)
    # Where others look, too.
    assert any((tmp_path / "shared").iterdir())
    assert not (tmp_path / ".tidemill" / "memo").exists()
    assert receipt["cost"] == count / 2
    project = tm.open(tmp_path, workflow=flow_of(tmp_path, tides.text))
    attempts = [a for a in project.history.attempts(receipt["run"]) if a.stage == "squared"]
    project.close()
    assert all(attempt.worker for attempt in attempts)
    assert len(attempts) == 4


POLARS_INSIDE = """
import polars as pl
import tidemill as tm
from tidemill.memos.io import batched_calls
from tidemill.memos.io.lookup import MemoSession
from tidemill.memos.io.in_memory import InMemoryMemos

batched_calls._LONG_S = 1.0


@tm.memo(gives=pl.Int64, version="1")
def sorted_(number):
    return pl.LazyFrame({"n": number}).sort("n").collect()["n"].to_list()


with MemoSession(InMemoryMemos()).activate():
    more = sorted_(pl.col("number") + 2).alias("more")
    query = pl.LazyFrame({"number": [1, 2]}).select(sorted_("number"), more)
query.collect(engine="in-memory")
"""


def test_polars_in_the_function_is_an_error_and_no_standstill(tmp_path: Path) -> None:
    # The one thread of Polars' waits for the function, which waits for it.
    ended = subprocess.run(
        [sys.executable, "-c", POLARS_INSIDE],
        cwd=tmp_path,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 1
    assert "has no value for 2 of 2 rows: UsageError: it uses Polars" in ended.stderr


TWO_QUERIES = """
import sys
import threading
import time
import polars as pl
import tidemill as tm
from tidemill.memos.io.in_memory import InMemoryMemos
from tidemill.memos.io.lookup import MemoSession

begun = threading.Event()
asked = []


@tm.memo(gives=pl.Int64, version="1")
def doubled(number):
    asked.extend(number)
    begun.set()
    time.sleep(0.5)
    return [2 * n for n in number]


store = InMemoryMemos()
shelves = {} if sys.argv[1] == "shared" else None


def collect(first):
    numbers = pl.LazyFrame({"number": range(first, first + 3)})
    with MemoSession(store, shelves).activate():
        query = numbers.select(doubled("number").alias("found"), twice=pl.col("number") * 2)
        rows = query.collect(engine="in-memory")
    assert rows["found"].to_list() == rows["twice"].to_list()


one = threading.Thread(target=collect, args=(0,))
one.start()
begun.wait()
collect(1)
one.join()
print(sorted(asked))
"""


@pytest.mark.parametrize("shelves", ["shared", "own"])
def test_a_query_that_polars_begins_within_another_one_does_not_wait_for_it(
    tmp_path: Path, shelves: str
) -> None:
    # While the only thread of Polars stores the results of the first query, it begins the second one.
    ended = subprocess.run(
        [sys.executable, "-c", TWO_QUERIES, shelves],
        cwd=tmp_path,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    asked = json.loads(ended.stdout)
    assert set(asked) == {0, 1, 2, 3}
    # Each of them costs: none is asked for twice where both see what isn't stored yet.
    assert len(asked) == 4 or shelves == "own"
