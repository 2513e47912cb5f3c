"""Whatever machines that share a ledger go through: acknowledged is kept, and nothing is half done."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.shared_homes import as_address, copy_on
from tests.support.tables import tables
from tests.support.thoroughness import examples, thorough
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.testing.records import PROD, published_event

WRITER = Path(__file__).with_name("writer.py")
ROOT = Path(__file__).parents[2]


def start(*args: object) -> "subprocess.Popen[str]":
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(WRITER), *map(str, args)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def finish(process: "subprocess.Popen[str]") -> list[int]:
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    return [int(line) for line in out.split()]


def assert_equal_copies(folder: Path, url: str, *machines: str) -> None:
    """All machines have what the server has, and it is sound."""
    for each in (*machines, "fresh"):
        with closing(PostgresLedger(copy_on(folder, each), as_address(url))):
            pass
        assert find_damage(copy_on(folder, each)) == []
        assert tables(copy_on(folder, each)) == tables(copy_on(folder, machines[0]))


@thorough
@pytest.mark.parametrize("seed", range(examples(3, 40)))
def test_killed_at_any_moment(tmp_path: Path, new_home: Callable[[], str], seed: int) -> None:
    """One of two writers is killed, on the machine of the other one or on its own."""
    url, draw = new_home(), random.Random(seed)
    machines = ("one", draw.choice(["one", "other"]))
    acknowledged = 0
    for life in range(2):
        pair = [
            start("append", copy_on(tmp_path, name), f"{life}-{number}", 100_000, url)
            for number, name in enumerate(machines)
        ]
        for process in pair:
            assert process.stdout is not None
            for _ in range(draw.randrange(1, 40)):
                acknowledged = max(acknowledged, int(process.stdout.readline()))
        for process in draw.sample(pair, 2):
            os.kill(process.pid, signal.SIGKILL)
        for process in pair:
            assert process.stdout is not None
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
            process.stdout.close()
            process.wait()
        with closing(PostgresLedger(copy_on(tmp_path, "one"), as_address(url))) as ledger:
            state = ledger.state(PROD)
            # What a writer was killed in may have been recorded.
            assert acknowledged <= state.seq <= acknowledged + 4
            assert state.seq == 2 * sum(head.version for head in state.heads.values())
            assert state.seq == sum(len(head.partitions) for head in state.heads.values())
    assert_equal_copies(tmp_path, url, *machines)


def test_processes_that_create_and_append_at_once_lose_nothing(
    tmp_path: Path, new_home: Callable[[], str]
) -> None:
    url, machines = new_home(), ("one", "one", "other", "third")
    processes = [
        start("append", copy_on(tmp_path, name), f"stage-{number}", 25, url)
        for number, name in enumerate(machines)
    ]
    seqs = [seq for process in processes for seq in finish(process)]
    assert sorted(seqs) == list(range(2, 2 * 25 * len(machines) + 2, 2))
    assert_equal_copies(tmp_path, url, *dict.fromkeys(machines))


def test_a_shared_ledger_can_be_used_on_both_sides_of_a_fork(
    tmp_path: Path, new_home: Callable[[], str]
) -> None:
    url = new_home()
    finish(start("forked", copy_on(tmp_path, "one"), url))
    with closing(PostgresLedger(copy_on(tmp_path, "one"), as_address(url))) as ledger:
        found = ledger.state(PROD).heads["features"].partitions
        assert set(found) == {"before", "parent", "child"}
        assert ledger.append([published_event()], now=1.0) == 4
    assert_equal_copies(tmp_path, url, "one")
