"""Machines whose clocks are minutes apart: none takes another's run away, publishes twice or misses data."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from operator import ne
from pathlib import Path

import pytest

from tests.support.shared_homes import as_address, copy_on
from tests.support.thoroughness import examples, thorough
from tests.support.tides import CHAIN, Tides, write_whole
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.ledger.event import Published, RecordedEvent
from tidemill.project.project import open_project

# How far ahead of the server's clock each machine is, in seconds.
SKEWS = {"ahead": 420, "behind": -420}
DAYS = 3


def skewed(seconds: int) -> dict[str, str]:
    """The environment of a process whose clock is so far ahead of ours."""
    from tools import programs

    if reason := programs.missing("faketime"):
        pytest.skip(reason)
    program = programs.find("faketime")
    assert program is not None
    [library, *_] = sorted((program.parents[1] / "lib").rglob("libfaketime.so.1"))
    return {
        **os.environ,
        "LD_PRELOAD": str(library),
        "FAKETIME": f"{seconds:+d}",
        # Durations are measured by another clock.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


class Skewed(Tides):
    """A checkout on a machine whose clock is wrong; all of them share a home."""

    def __init__(self, root: Path, url: str, seconds: int) -> None:
        super().__init__(root)
        self.environment = skewed(seconds)
        settings = (
            f'workflow = "tides:flow"\nhome = "{url}"\nartifacts = "file://{root.parent}/store"'
        )
        write_whole(root / "pyproject.toml", f"[tool.tidemill]\n{settings}\n")

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command."""
        write_whole(self.root / "tides.py", self.text)
        return subprocess.Popen(
            [sys.executable, "-m", "tidemill", *words],
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


def finish(process: "subprocess.Popen[str]") -> str:
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    return out


def publications(facts: Iterable[RecordedEvent]) -> dict[tuple[str, str], list[str]]:
    """The keys under which each partition was published, in order."""
    found: dict[tuple[str, str], list[str]] = {}
    for fact in facts:
        if isinstance(fact.event, Published):
            place = (fact.event.stage, fact.event.partition)
            found.setdefault(place, []).append(fact.event.binding.key)
    return found


@thorough
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(examples(1, 20)))
def test_clocks_that_are_minutes_apart_change_nothing(
    tmp_path: Path, new_home: Callable[[], str], seed: int
) -> None:
    url, draw, began = new_home(), random.Random(seed), time.time()
    machines = [Skewed(tmp_path / name, url, by) for name, by in SKEWS.items()]
    values = dict.fromkeys(range(DAYS), (1.0, 2.0))
    factor = 2
    for round_ in range(5):
        values[draw.randrange(DAYS)] = (float(round_), draw.random())
        factor = draw.choice([factor, round_ + 3])
        for each in machines:
            each.text = CHAIN.replace("value * 2", f"value * {factor}")
            for number, rows in values.items():
                each.send(number, rows)
        runs = [each.start("run", "--wait", "5m") for each in draw.sample(machines, 2)]
        if draw.random() < 0.5:
            time.sleep(draw.uniform(0.0, 2.0))
            os.kill(runs[0].pid, signal.SIGKILL)
            runs[0].communicate(timeout=600)
        else:
            finish(runs[0])
        finish(runs[1])
        # Whichever machine looks finds all done.
        for each in machines:
            assert "nothing to do" in finish(each.start("plan"))
    with closing(PostgresLedger(copy_on(tmp_path, "fresh"), as_address(url))) as ledger:
        facts = [*ledger.events()]
    times = [fact.at for fact in facts]
    assert began <= times[0]
    assert times == sorted(times)
    assert times[-1] <= time.time()
    for place, keys in publications(facts).items():
        assert all(map(ne, keys, keys[1:])), f"{place} was published twice"
    expected = sum(value for rows in values.values() for value in rows) * factor
    with open_project(machines[0].root) as project:
        total = project.read("daily").select("total").collect()["total"].sum()
    assert total == pytest.approx(expected)
