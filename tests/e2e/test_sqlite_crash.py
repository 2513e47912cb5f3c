"""Whatever a process that writes goes through: acknowledged is kept, and nothing is half done."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.tables import rebuild, tables
from tests.support.thoroughness import examples, thorough
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.replacement import lock_ledger
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import PROD, events_of_every_kind, published_event

WRITER = str(Path(__file__).with_name("writer.py"))


def start(*args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, WRITER, *map(str, args)], stdout=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> list[int]:
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    return [int(line) for line in out.split()]


def assert_derived(path: Path) -> None:
    """The derived tables are what the facts say."""
    copy = path.with_name("copy.db")
    copy.unlink(missing_ok=True)
    rebuild(path, copy)
    assert tables(path) == tables(copy)


@thorough
@pytest.mark.slow
def test_killed_before_every_single_statement(tmp_path: Path) -> None:
    assert finish(start("die", tmp_path)) == []
    deaths = sorted(tmp_path.iterdir())
    assert len(deaths) > 60  # opening, creating every table, and all that an append does
    whole = MemoryLedger()
    whole.append(events_of_every_kind(), now=1.0)
    for death in [*random.sample(deaths[:-1], examples(60, len(deaths) - 1)), deaths[-1]]:
        ledger = SqliteLedger(death / "ledger.db")
        assert list(ledger.events()) == []  # nothing was acknowledged
        assert ledger.state(PROD) == MemoryLedger().state(PROD)
        ledger.append(events_of_every_kind(), now=1.0)
        assert ledger.state(PROD) == whole.state(PROD)
        ledger.close()
    assert_derived(deaths[-1] / "ledger.db")


def test_a_rebuild_that_is_killed_at_any_step_leaves_a_whole_ledger(tmp_path: Path) -> None:
    assert finish(start("replace", tmp_path)) == []
    whole = MemoryLedger()
    whole.append(events_of_every_kind(), now=1.0)
    attempts = sorted(path / "ledger.db" for path in tmp_path.iterdir())
    assert len(attempts) > 12  # copying, removing and replacing are steps
    replaced = {len(list(path.parent.glob("*.kept"))) for path in attempts}
    assert replaced == {0, 1}
    for path in attempts:
        ledger = SqliteLedger(path)
        assert list(ledger.events()) == list(whole.events())
        assert ledger.state(PROD) == whole.state(PROD)
        ledger.append([published_event("next")], now=2.0)
        ledger.close()
        assert find_damage(path) == []
        with lock_ledger(path) as old:
            events, damaged = old.read_events()
        assert (len(events), damaged) == (len(events_of_every_kind()) + 1, [])


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    path, acknowledged = tmp_path / "ledger.db", 0
    draw = random.Random(seed)
    for life in range(2):
        process = start("append", path, f"life-{life}", 100_000)
        assert process.stdout is not None
        for _ in range(draw.randrange(1, 60)):
            acknowledged = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        process.stdout.close()
        process.wait()
        ledger = SqliteLedger(path)
        state = ledger.state(PROD)
        assert acknowledged <= state.seq <= acknowledged + 2
        assert state.seq == 2 * sum(head.version for head in state.heads.values())
        assert state.seq == sum(len(head.partitions) for head in state.heads.values())
        ledger.close()
    assert_derived(path)


def test_processes_that_create_and_append_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    processes = [start("append", path, f"stage-{number}", 40) for number in range(3)]
    seqs = [seq for process in processes for seq in finish(process)]
    assert sorted(seqs) == list(range(2, 242, 2))
    ledger = SqliteLedger(path)
    heads = ledger.state(PROD).heads
    ledger.close()
    assert {stage: head.version for stage, head in heads.items()} == {
        f"stage-{number}": 40 for number in range(3)
    }
    assert_derived(path)


def test_a_ledger_can_be_used_on_both_sides_of_a_fork(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    finish(start("forked", path))
    ledger = SqliteLedger(path)
    found = ledger.state(PROD).heads["features"].partitions
    assert set(found) == {"before", "parent", "child"}
    assert ledger.append([published_event()], now=1.0) == 4
    ledger.close()
