"""Commands on a ledger of 10 million events against the same commands on a small one, and what appends cost.

`python -m bench.ledger [PART...]` prints a table and writes results/ledger.json. The large ledger is written
once to build/ledger (6 GB, half an hour) and used again; `make clean` removes it. With
TIDEMILL_LEDGER_EVENTS=100000 a smaller one is tried. Commands believe that it is a minute after the last
event. What is measured are CPU seconds of processes, with those of the kernel: the time that people wait
also depends on whether the file is in memory.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.common import PYTHON, Row, Used, alternate, cpu, drive, inside, measure
from bench.ledger_files import write_history
from bench.ledger_history import PER_RUN, run_name
from tidemill.project.clock import VARIABLE, set_clock

EVENTS = int(os.environ.get("TIDEMILL_LEDGER_EVENTS", "10_000_000"))
SMALL = 20_000
KEPT = Path(__file__).parents[1] / "build" / "ledger"
GOAL_MS = 250
TIMES = 3
# RUN, REVIEW, DECISION and VERSION stand for those of the middle of each history.
COMMANDS = (
    "runs", "runs show last", "runs show RUN", "runs logs RUN", "runs stages",
    "models list", "models show demand", "models history demand",
    "review list", "review list --all", "policy list", "policy explain latest",
    "policy explain DECISION", "policy waivers", "audit show", "audit show --since 7d",
    "audit show --who ana --limit 20", "env list", "show features", "show demand", "explain features",
    "explain forecast", "quarantine list", "drift sales", "tokens list", "endpoints", "plan", "check",
    "lineage status", "contract history features", "whoami", "graph", "doctor", "status", "metrics",
    "incidents list", "schedules list", "slo", "silence list",
)  # fmt: skip


class Projects:
    """The same project with a large and with a small ledger, each written when it is first needed."""

    def __init__(self) -> None:
        self._folders: dict[int, Path] = {}

    def folder(self, events: int) -> Path:
        """A project whose ledger has so many events of a history, and then those of a run of its own."""
        if events not in self._folders:
            self._folders[events] = _project(events)
        return self._folders[events]

    def commands(self) -> list[Row]:
        """What each command takes on the large ledger beyond what it takes on the small one."""
        return [self._compare(command) for command in COMMANDS]

    def verify(self) -> list[Row]:
        """Whether the history is a sound ledger, as far as `verify` can say of the small one."""
        folder = self.folder(SMALL)
        report = measure([PYTHON, "-m", "tidemill", "doctor"], folder, code=0).out
        return [
            Row(name="faults of a small ledger of the same history", value=report.count("fault "),
                unit="", goal=0),
        ]  # fmt: skip

    def _compare(self, command: str) -> Row:
        large, small = self.folder(EVENTS), self.folder(SMALL)
        more, less = alternate(
            TIMES, partial(_call, large, EVENTS, command), partial(_call, small, SMALL, command)
        )
        return Row(
            name=f"tidemill {command}",
            value=max(0.0, cpu(more) - cpu(less)) * 1000,
            unit="ms",
            goal=GOAL_MS,
            baseline=f"{cpu(less) * 1000:.0f} ms with {SMALL:,} events",
            runs=tuple(each.cpu_s * 1000 for each in more),
        )


def append(work: Path) -> list[Row]:
    """10,000 events as a team appends them, with and without what listings need."""
    found = inside(work, script="inside_ledger.py")
    with_it, without = (statistics.median(found[name]) for name in ("with", "without"))
    return [
        Row(name="append 10,000 events: CPU that indexes and subjects add", unit="%", goal=10,
            value=(with_it / without - 1) * 100, baseline=f"{without:.3g} s without",
            runs=tuple(found["with"])),
    ]  # fmt: skip


def _project(events: int) -> Path:
    folder = KEPT / str(events)
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        measure([PYTHON, "-m", "tidemill", "init", folder], folder.parent)
        last = write_history(folder / ".tidemill" / "ledger.db", events)
        set_clock(folder / "clock", last + 60)
        # Rules may keep back a model that replaces one of the history.
        _measured(folder, ["run"], (0, 1))
        (folder / "ready").touch()
    return folder


def _call(folder: Path, events: int, command: str) -> Used:
    run = events // PER_RUN // 2 // 120 * 120
    names = {"RUN": run_name(run)[:15], "REVIEW": f"r{run + 10}", "DECISION": f"p{run}"}
    words = [names.get(word, word) for word in command.split()]
    # Some say by their exit code that something is wrong.
    codes = (0, 1) if words[0] in ("status", "doctor", "slo") else (0,)
    return _measured(folder, words, codes)


def _measured(folder: Path, words: Sequence[str], codes: Sequence[int]) -> Used:
    problem: RuntimeError | None = None
    for code in codes:
        try:
            return measure(
                [PYTHON, "-m", "tidemill", *words],
                folder,
                code=code,
                variables={VARIABLE: str(folder / "clock")},
            )
        except RuntimeError as error:
            problem = error
    assert problem is not None
    raise problem


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name."""
    projects = Projects()
    return {
        "verify": projects.verify,
        "append": partial(append, work),
        "commands": projects.commands,
    }


if __name__ == "__main__":
    drive("ledger", sys.argv[1:], parts_of)
