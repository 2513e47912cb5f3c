"""Steps in worker processes: what takes a process along takes nothing else, and nobody stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.test_crash import command_line, ok_attempts, start
from tests.support.tides import CHAIN, STAGES, Tides, day, rebuilt
from tests.support.waiting import PATIENCE_S, until
from tidemill.ledger.event import Attempted, RunEnded
from tidemill.ledger.run import Attempt, Outcome, Status

DAYS = 6
LIMITED = 'resources=tm.resources(lane="process", timeout="15s", memory="500MB")'

# What befalls a day is in a file of its name.
BEFALLEN = CHAIN.replace(
    "import polars",
    "import os\nimport time\nfrom pathlib import Path\n\nimport polars",
    1,
).replace(
    "@flow.transform\ndef doubled(raw: tm.Frame[Raw]) -> tm.Frame[Doubled]:\n",
    """def befall(rows: pl.DataFrame) -> pl.DataFrame:
    file = Path(str(rows["day"][0]) if rows.height else "none")
    match file.read_text() if file.exists() else "":
        case "abort":
            os.abort()
        case "kill":
            os.kill(os.getpid(), 9)
        case "exit":
            os._exit(0)
        case "hang":
            time.sleep(600)
        case "hog":
            held = [b"x" * 50_000_000 for _ in range(40)]
            time.sleep(len(held))
        case "raise":
            raise TwoWords("first", "second")
        case "wait":
            while file.exists():
                time.sleep(0.01)
    return rows


class TwoWords(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


@flow.transform(version="1", HOW)
def doubled(raw: tm.Frame[Raw]) -> tm.Frame[Doubled]:
    raw = raw.map_batches(befall)
""",
)


def befalls(tides: Tides, **words: str) -> None:
    """What befalls `d0`, `d1`, ..."""
    for name, word in words.items():
        (tides.root / day(int(name[1:]))).write_text(word)


def attempts(tides: Tides) -> list[Attempt]:
    return [e.attempt for e in tides.events("Attempted") if isinstance(e, Attempted)]


def processes_in(folder: Path) -> list[int]:
    """The processes whose current folder is this one."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdecimal() and (process / "cwd").readlink() == folder:
                found.append(int(process.name))
    return found


def is_probe(pid: int) -> bool:
    """Whether a process only reads files, to find out whether they can be read."""
    return b"file_probe" in Path(f"/proc/{pid}/cmdline").read_bytes()


def gone_from(folder: Path) -> bool:
    end = time.monotonic() + PATIENCE_S
    while left := processes_in(folder):
        if time.monotonic() > end:
            for process in left:
                os.kill(process, signal.SIGKILL)
            return False
        time.sleep(0.02)
    return True


@pytest.mark.slow
def test_one_bad_task_never_takes_anything_else_with_it(tmp_path: Path) -> None:
    tides = command_line(tmp_path / "project", BEFALLEN.replace("HOW", LIMITED), 8)
    befalls(tides, d0="abort", d1="kill", d2="exit", d3="hang", d4="hog", d5="raise")
    process = start(tides.root)
    out, err = process.communicate()
    assert process.returncode == 1, out + err

    own = [a for a in attempts(tides) if a.stage == "doubled"]
    ends = {a.partition: a for a in own if a.outcome is not Outcome.RETRIED}
    assert {key: str(a.outcome) for key, a in ends.items()} == {
        day(n): "failed" if n < 6 else "ok" for n in range(8)
    }
    assert {key: a.fate for key, a in ends.items()} == {
        day(n): fate for n, fate in enumerate(["lost"] * 3 + ["timeout", "oom", "error", "", ""])
    }
    # Who was lost was tried once more, and nobody else was disturbed.
    assert Counter(a.partition for a in own if a.outcome is Outcome.RETRIED) == {
        day(n): 1 for n in range(3)
    }
    for n, words in enumerate(
        ["SIGABRT", "SIGKILL", "exit code 0", "timeout of 15 s", "memory cap of 500 MB", "TwoWords"]
    ):
        assert words in ends[day(n)].message, ends[day(n)].message
        # In the table lines are broken where there is a space.
        assert words.split()[0] in out
    assert "first and second" in ends[day(5)].message
    assert "tides.py" in ends[day(5)].trace
    assert all(a.worker for a in own)
    assert min(a.peak_rss for a in own if a.fate == "oom") > 500e6
    assert gone_from(tides.root)

    # What is repaired runs, and only that.
    for n in range(6):
        (tides.root / day(n)).unlink()
    again = start(tides.root)
    assert again.communicate()[0]
    assert again.returncode == 0
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
    assert set(ok_attempts(tides).values()) == {1}


def test_what_took_the_run_along_is_held_apart_by_the_next(tmp_path: Path) -> None:
    tides = command_line(tmp_path / "project", BEFALLEN.replace(", HOW", ""), DAYS)
    befalls(tides, d2="abort")
    first = start(tides.root)
    first.communicate()
    assert first.returncode == -signal.SIGABRT
    second = start(tides.root)
    out = "".join(second.communicate())
    assert second.returncode == 1, out
    assert "died" in out

    bad = [a for a in attempts(tides) if a.partition == day(2) and a.stage == "doubled"]
    assert [(a.outcome, a.fate) for a in bad] == [
        (Outcome.RETRIED, "lost"), (Outcome.FAILED, "lost")
    ]  # fmt: skip
    assert set(ok_attempts(tides)) == {
        (stage, day(n)) for stage in STAGES for n in range(DAYS) if n != 2 or stage == "raw"
    }
    ends = {e.run: e.status for e in tides.events("RunEnded") if isinstance(e, RunEnded)}
    assert [*ends.values()] == [Status.LOST, Status.FAILED]


def test_when_the_run_is_killed_its_workers_go_with_it(tmp_path: Path) -> None:
    limited = LIMITED.replace("15s", "1h")
    tides = command_line(tmp_path / "project", BEFALLEN.replace("HOW", limited), 2)
    befalls(tides, d0="hang", d1="hang")
    process = start(tides.root)
    until(lambda: len(processes_in(tides.root)) >= 2, process)
    process.kill()
    process.communicate()
    assert gone_from(tides.root)


def test_an_interrupt_leaves_nobody_behind(tmp_path: Path) -> None:
    limited = LIMITED.replace("15s", "1h")
    tides = command_line(tmp_path / "project", BEFALLEN.replace("HOW", limited), DAYS)
    befalls(tides, d1="hang")
    process = start(tides.root)
    until(lambda: any(a.stage == "doubled" for a in attempts(tides)), process)
    process.send_signal(signal.SIGINT)
    out = "".join(process.communicate())
    assert process.returncode == 130, out
    assert gone_from(tides.root)
    (tides.root / day(1)).unlink()
    again = start(tides.root)
    again.communicate()
    assert again.returncode == 0
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
    assert set(ok_attempts(tides).values()) == {1}


# Each waits for the other to have begun.
BESIDE = CHAIN.replace("import polars", "import time\nfrom pathlib import Path\n\nimport polars", 1)
for one, other in (("doubled", "daily"), ("daily", "doubled")):
    BESIDE = BESIDE.replace(
        f"@flow.transform\ndef {one}(",
        f"""def meet_{one}(rows: pl.DataFrame) -> pl.DataFrame:
    if rows.height:
        Path("{one}").touch()
        end = time.monotonic() + 120
        while not Path("{other}").exists() and time.monotonic() < end:
            time.sleep(0.01)
        assert Path("{other}").exists()
    return rows


@flow.transform(version="1", resources=tm.resources(cpus=1, lane="LANE"))
def {one}(""",
    )
BESIDE = (
    BESIDE.replace("    return raw.select(", "    return raw.map_batches(meet_doubled).select(")
    .replace("def daily(doubled: tm.Frame[Doubled])", "def daily(raw: tm.Frame[Raw])")
    .replace("    return doubled.group_by", "    return raw.map_batches(meet_daily).group_by")
    .replace('pl.col("double").sum()', 'pl.col("value").sum()')
)


@pytest.mark.parametrize("lane", ["process", "thread"])
def test_branches_that_need_nothing_of_each_other_run_side_by_side(
    lane: str, tmp_path: Path
) -> None:
    tides = command_line(tmp_path / "project", BESIDE.replace("LANE", lane), 1)
    (tides.root / "pyproject.toml").write_text(
        '[tool.tidemill]\nworkflow = "tides:flow"\nworkers = 2\n'
    )
    process = start(tides.root)
    out = "".join(process.communicate())
    assert process.returncode == 0, out
    workers = {a.stage: a.worker for a in attempts(tides)}
    assert len({workers["doubled"], workers["daily"], ""}) == 3


def test_limits_and_retries_are_no_part_of_what_a_stage_does(tmp_path: Path) -> None:
    tides = command_line(tmp_path / "project", CHAIN, 2)
    tides.ok()
    tides.edit("@flow.transform\ndef doubled", f"@flow.transform({LIMITED})\ndef doubled")
    assert tides.ok() == {}
    tides.edit("memory=", "cpus=1, memory=")
    tides.edit(LIMITED[-1:] + ")\ndef doubled", "), retries=tm.retries(2))\ndef doubled")
    assert tides.ok() == {}


def test_inline_is_one_process(tmp_path: Path) -> None:
    tides = command_line(tmp_path / "project", BEFALLEN.replace("HOW", LIMITED), 2)
    befalls(tides, d0="wait")
    process = start(tides.root, "--inline")
    until(lambda: any(a.stage == "raw" for a in attempts(tides)), process)
    # A program of its own reads new files, since a damaged one may crash it.
    seen = [pid for pid in processes_in(tides.root) if not is_probe(pid)]
    (tides.root / day(0)).unlink()
    out = "".join(process.communicate())
    assert process.returncode == 0, out
    assert seen == [process.pid]
    assert {a.worker for a in attempts(tides)} == {""}


@pytest.mark.slow
def test_several_commands_at_once_with_workers_share_the_work(tmp_path: Path) -> None:
    tides = command_line(tmp_path / "project", BEFALLEN.replace("HOW", LIMITED), DAYS)
    both: list[subprocess.Popen[str]] = [
        start(tides.root),
        start(tides.root, "--env", "dev", "--create"),
    ]
    said = ["".join(process.communicate()) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    done = Counter(
        (e.attempt.stage, e.attempt.partition)
        for e in tides.events("Attempted")
        if isinstance(e, Attempted) and e.attempt.outcome is Outcome.OK
    )
    assert set(done) == {(stage, day(n)) for stage in STAGES for n in range(DAYS)}
    assert done.total() <= 1.2 * len(done)


@pytest.mark.parametrize("lane", ["process", "thread"])
def test_every_lane_gives_the_same_values(lane: str, tmp_path: Path) -> None:
    text = CHAIN.replace(
        "@flow.transform\n", f'@flow.transform(resources=tm.resources(lane="{lane}"))\n'
    )
    tides = command_line(tmp_path / "project", text, DAYS)
    process = start(tides.root)
    out = "".join(process.communicate())
    assert process.returncode == 0, out
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
    elsewhere = {a.stage for a in attempts(tides) if a.worker}
    assert elsewhere == {"doubled", "daily"}
    # Threads are in the run's process, and have its number before theirs.
    apart = {a.worker.partition("/")[0] for a in attempts(tides) if a.worker}
    assert (apart == {str(process.pid)}) == (lane == "thread")
