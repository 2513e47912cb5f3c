"""Nothing is lost: runs that are killed at any moment, interrupted, or meet another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import polars as pl
import pytest

from tests.behaviour.test_models import WINDOW, Sea
from tests.support.commands import UNHURRIED
from tests.support.tides import CHAIN, STAGES, Tides, day, everything, rebuilt
from tests.support.waiting import PATIENCE_S, until
from tidemill.ledger.event import Attempted, EffectDone, EffectQueued, RunEnded, RunStarted
from tidemill.ledger.run import Outcome, Status

REPOSITORY = Path(__file__).parents[2]
DAYS = 40
PROJECT = '[tool.tidemill]\nworkflow = "tides:flow"\n'

# Waits for as long as a file says so; a stage that is slow for the tests' sake.
SLOW = (
    CHAIN.replace("import polars", "import time\nfrom pathlib import Path\n\nimport polars", 1)
    .replace("@flow.transform\ndef doubled", '@flow.transform(version="1")\ndef doubled')
    # What is collected isn't computed in batches: each day ends before the next one begins.
    .replace("return doubled.", "return doubled.collect().lazy().")
    .replace(
        '    return raw.select("day"',
        f'    while Path("slow").exists() and str(raw.collect()["day"][0]) == "{day(2)}":\n'
        "        time.sleep(0.01)\n"
        '    return raw.select("day"',
    )
)  # fmt: skip

# Polars computes for minutes, and Python's signal handlers wait for it.
BUSY = CHAIN.replace(
    '    return raw.select("day", "id", double=times(pl.col("value")))',
    "    big = pl.LazyFrame({'n': range(3_000)})\n"
    "    wave = pl.col('n') * pl.col('n_2')\n"
    "    for _ in range(20):\n"
    "        wave = wave.sin().cos()\n"
    "    waves = [(wave + n).sin().sum().alias(str(n)) for n in range(40)]\n"
    "    heavy = big.join(big, how='cross', suffix='_2').select(waves)\n"
    "    if raw.collect()['day'][0].day == 3 and {slow}:\n"
    "        raw = raw.join(heavy, how='cross')\n"
    '    return raw.select("day", "id", double=times(pl.col("value")))',
)


def start(root: Path, *arguments: str, unhurried: bool = False) -> subprocess.Popen[str]:
    """`tidemill run` in a process of its own."""
    program = ["-c", UNHURRIED] if unhurried else ["-m", "tidemill"]
    return subprocess.Popen(
        [sys.executable, *program, "run", *arguments],
        cwd=root,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def command_line(root: Path, text: str, days: int) -> Tides:
    """A project that the command line can run."""
    tides = Tides(root, text)
    (root / "pyproject.toml").write_text(PROJECT)
    (root / "tides.py").write_text(text)
    for number in range(days):
        tides.send(number, (1.0, float(number)))
    return tides


def wait_for(tides: Tides, attempts: int, process: subprocess.Popen[str]) -> None:
    """Until so many attempts of a run are in the ledger, or it has ended; we read while it writes."""
    project = tides.open()

    def count() -> int:
        return len(list(project.tools.ledger.events(kinds=["Attempted"])))

    known = count()
    until(lambda: process.poll() is not None or count() >= known + attempts)
    project.close()


def ok_attempts(tides: Tides) -> Counter[tuple[str, str]]:
    """How often each partition was done."""
    return Counter(
        (event.attempt.stage, event.attempt.partition)
        for event in tides.events("Attempted")
        if isinstance(event, Attempted) and event.attempt.outcome == Outcome.OK
    )


@pytest.mark.slow
def test_killed_at_random_moments_the_result_is_that_of_an_undisturbed_run(
    tmp_path: Path,
) -> None:
    # Slow enough for a run to be killed in its midst, and it stops at the day that `allowed` names: so
    # there is something to do for each, however long it takes to kill one.
    text = SLOW.replace("time.sleep(0.01)", "pass").replace(
        "    while Path(",
        "    time.sleep(0.03)\n"
        '    allowed, today = Path("allowed"), str(raw.collect()["day"][0])\n'
        "    while allowed.exists() and today > allowed.read_text():\n"
        "        time.sleep(0.01)\n"
        "    while Path(",
    )
    tides = command_line(tmp_path / "project", text, DAYS)
    rng = Random(7)
    killed = 0
    while killed < 9:
        # Most are killed while they work; some before they begin, and some while they publish.
        (tides.root / "allowed").write_text(day(10 + 2 * killed))
        process = start(tides.root)
        if killed % 5 == 4:
            time.sleep(rng.uniform(0.0, 0.5))
        else:
            # Two more days are allowed than before, of which each is two steps.
            wait_for(tides, rng.randrange(1, 5), process)
            time.sleep(rng.uniform(0.0, 0.02))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        killed += 1
    (tides.root / "allowed").unlink()
    last = start(tides.root)
    assert last.communicate()[0]
    assert last.returncode == 0
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
    # What was published once was never done again.
    assert set(ok_attempts(tides).values()) == {1}
    assert len(ok_attempts(tides)) == DAYS * len(STAGES)
    # Every run that began has ended: those that were killed as lost.
    begun = [e.run for e in tides.events("RunStarted") if isinstance(e, RunStarted)]
    ends = {e.run: e.status for e in tides.events("RunEnded") if isinstance(e, RunEnded)}
    assert set(begun) == set(ends)
    assert set(ends.values()) <= {Status.LOST, Status.OK}
    assert list(ends.values()).count(Status.LOST) >= 6
    assert tides.ok() == {}


POINTS = [
    ("fill", "before", 1),
    ("fill", "after", 9),
    ("move", "after", 9),
    ("move", "before", 20),
    ("append", "before", 1),
    ("append", "after", 1),
    ("append", "before", 3),
    ("append", "after", 3),
    ("deliver", "before", 1),
    ("deliver", "after", 1),
    ("deliver", "after", 4),
    ("replace", "before", 2),
    ("replace", "after", WINDOW),
]


@pytest.mark.parametrize(("point", "when", "nth"), POINTS, ids=lambda item: str(item))
def test_killed_around_publishing_each_delivery_is_done_once(
    tmp_path: Path, point: str, when: str, nth: int
) -> None:
    sea = Sea(tmp_path / "project")
    for number in range(WINDOW):
        sea.flood(number)
    child = subprocess.run(
        [sys.executable, "-m", "tests.e2e.child", str(sea.root), point, when, str(nth)],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    before = ok_attempts(sea)
    open_ = sea.open().state().open_runs
    pending = len(sea.open().state().pending_effects)
    receipt = sea.run()
    assert receipt.exit_code == 0
    assert any("died; what it published is kept" in m for m in receipt.messages) == bool(open_)
    assert any("left queued" in m for m in receipt.messages) == bool(pending)
    # The same as if nothing had happened, and nothing that was published twice.
    steps = {
        (stage, day(n)) for stage in ("raw", "features", "labels", "out") for n in range(WINDOW)
    }
    after = ok_attempts(sea)
    assert {key: after[key] for key in steps} == dict.fromkeys(steps, 1)
    assert all(after[key] == 1 for key in before if key in steps)
    assert sea.delivered() == {day(n): 9.0 for n in range(WINDOW)}
    queued = [e.effect.key for e in sea.events("EffectQueued") if isinstance(e, EffectQueued)]
    done = [e.key for e in sea.events("EffectDone") if isinstance(e, EffectDone)]
    assert sorted(queued) == sorted(done)
    assert len(set(queued)) == WINDOW
    assert not list((sea.root / "out").glob(".*.tmp"))
    assert (sea.open().state().open_runs, sea.open().state().pending_effects) == ((), ())
    assert sea.ok() == {}


def interrupt(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C, and wait for the end; what it said."""
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=PATIENCE_S)[1]


def test_ctrl_c_ends_a_run_at_once_and_the_next_one_goes_on(tmp_path: Path) -> None:
    tides = command_line(tmp_path / "project", SLOW, 5)
    (tides.root / "slow").touch()
    process = start(tides.root, unhurried=True)
    # Five files are read at once, and two days are made of them.
    wait_for(tides, 9, process)
    # The third would never end: the file that it waits for stays.
    interrupt(process)
    assert process.returncode == 130
    [info] = tides.open().runs()
    assert info.status == Status.INTERRUPTED
    first = set(ok_attempts(tides))
    assert len(first) == 9
    (tides.root / "slow").unlink()
    after = start(tides.root)
    said = after.communicate()
    assert (after.returncode, "died" in said[0] + said[1]) == (0, False)
    assert ok_attempts(tides) == Counter({(stage, day(n)): 1 for stage in STAGES for n in range(5)})
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


@pytest.mark.slow
def test_ctrl_c_while_polars_computes_leaves_without_waiting_for_it(tmp_path: Path) -> None:
    tides = command_line(tmp_path / "project", BUSY.replace("{slow}", "True"), 4)
    process = start(tides.root)
    wait_for(tides, 6, process)
    time.sleep(0.3)
    said = interrupt(process)
    assert process.returncode == 130
    assert "interrupted" in said
    # What Polars computed was never finished.
    assert ("doubled", day(2)) not in ok_attempts(tides)
    # No lease blocks the next one, whether or not the run could still be closed.
    (tides.root / "tides.py").write_text(BUSY.replace("{slow}", "False"))
    after = start(tides.root)
    after.communicate()
    assert after.returncode == 0
    assert all(run.status != Status.RUNNING for run in tides.open().runs())
    assert tides.read("daily")["total"].to_list() == [2.0, 4.0, 6.0, 8.0]


def test_two_runs_at_once(tmp_path: Path) -> None:
    tides = command_line(tmp_path / "project", SLOW, 4)
    (tides.root / "slow").touch()
    first = start(tides.root)
    wait_for(tides, 8, first)
    second = start(tides.root)
    _, said = second.communicate()
    assert second.returncode == 6
    assert f"pid {first.pid}" in said
    assert "tidemill run" in said
    assert "locked" not in said
    # Readers see what is published so far, and plan.
    assert tides.read("daily", day(0)).height == 1
    assert tides.open().plan().steps
    third = start(tides.root, "--wait", "600s")
    time.sleep(0.3)
    (tides.root / "slow").unlink()
    assert first.communicate()[0]
    assert third.communicate()[0]
    assert (first.returncode, third.returncode) == (0, 0)
    assert tides.ran(tides.open().runs()[0].receipt) == {}  # type: ignore[arg-type]
    assert sum(ok_attempts(tides).values()) == sum(map(len, everything(range(4)).values()))


def test_a_stage_that_takes_the_process_along(tmp_path: Path) -> None:
    text = SLOW.replace("        time.sleep(0.01)\n", "        os.kill(os.getpid(), 9)\n").replace(
        "import time\n", "import os\n"
    )
    tides = command_line(tmp_path / "project", text, 4)
    (tides.root / "slow").touch()
    process = start(tides.root)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    # What the stage was given a moment ago may not have been published; nothing else is missing.
    (tides.root / "slow").unlink()
    receipt = tides.run()
    assert receipt.exit_code == 0
    assert "died; what it published is kept" in receipt.messages[0]
    assert set(ok_attempts(tides).values()) == {1}
    assert tides.read("daily").height == 4
    assert isinstance(tides.read("daily"), pl.DataFrame)
    assert os.path.exists(tides.root / ".tidemill" / ".gitignore")
