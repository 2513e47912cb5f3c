"""The four numbers of a scorecard from a million events, and what is charged against what was metered.

`python -m bench.four_numbers [PART...]` prints a table, writes results/four_numbers.json. The ledger is made
to build/numbers (1.3 GB, a few minutes) and used again; `make clean` removes it. With
TIDEMILL_NUMBER_EVENTS=100000 a smaller one is tried. That the numbers are those of a naive recomputation is
tested in tests/scorecard.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.common import PYTHON, Row, Used, drive, inside, measure
from bench.ledger_files import write_history
from bench.number_history import number_history
from tidemill.project.clock import VARIABLE, set_clock

EVENTS = int(os.environ.get("TIDEMILL_NUMBER_EVENTS", "1_000_000"))
KEPT = Path(__file__).parents[1] / "build" / "numbers"
GOAL_S, GOAL_PERCENT = 1.0, 0.1
TIMES = 3
COMMAND = ("scorecard", "--json")


def command() -> list[Row]:
    """The command with and without what it keeps, and whether both say the same."""
    folder = _project()
    scratch = [_call(folder, forget=True) for _ in range(1)]
    kept = [_call(folder) for _ in range(TIMES)]
    differ = sum(_numbers(each.out) != _numbers(scratch[0].out) for each in kept)
    return [
        Row(name=f"tidemill scorecard with {EVENTS:,} events and kept sums, CPU", unit="s", goal=GOAL_S,
            value=statistics.median(each.cpu_s for each in kept), runs=tuple(each.cpu_s for each in kept)),
        Row(name="the same, wall time", unit="s", value=statistics.median(each.wall_s for each in kept),
            runs=tuple(each.wall_s for each in kept)),
        Row(name="tidemill scorecard from scratch, CPU", unit="s", value=scratch[0].cpu_s),
        Row(name="figures that differ between both", unit="", value=differ, goal=0),
    ]  # fmt: skip


def numbers() -> list[Row]:
    """The four numbers in a process that is there, and what is charged against what was metered."""
    folder = _project()
    found = inside(folder, script="inside_numbers.py")
    charged, spent = found["charged"], found["spent"]
    return [
        Row(name="the four numbers of kept sums, in a process that is there", unit="s", goal=GOAL_S,
            value=statistics.median(found["kept_s"]), runs=tuple(found["kept_s"])),
        Row(name=f"read {found['events']:,} events of them from scratch", unit="s", value=found["scratch_s"],
            baseline=f"{found['events'] / found['scratch_s']:,.0f} a second"),
        Row(name="what is charged to predictions and others, against what was metered", unit="%",
            goal=GOAL_PERCENT, value=abs(charged / spent - 1) * 100, baseline=f"{spent:,.2f} metered"),
        Row(name="kept sums", unit="MB", value=found["kept_bytes"] / 1e6),
    ]  # fmt: skip


def _project() -> Path:
    folder = KEPT / str(EVENTS)
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        measure([PYTHON, "-m", "tidemill", "init", folder], folder.parent)
        settings = folder / "pyproject.toml"
        text = settings.read_text(encoding="utf-8")
        priced = text.replace("# cpu_hour = 0.04", "cpu_hour = 0.04")
        settings.write_text(priced, encoding="utf-8")
        ledger = folder / ".tidemill" / "ledger.db"
        last = write_history(ledger, EVENTS, number_history(EVENTS))
        set_clock(folder / "clock", last + 60)
        (folder / "ready").touch()
    return folder


def _call(folder: Path, *, forget: bool = False) -> Used:
    if forget:
        shutil.rmtree(folder / ".tidemill" / "metrics", ignore_errors=True)
    variables = {VARIABLE: str(folder / "clock")}
    return measure([PYTHON, "-m", "tidemill", *COMMAND], folder, variables=variables)


def _numbers(document: str) -> Any:
    return json.loads(document)["numbers"]


def parts(_: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name."""
    return {"command": command, "numbers": numbers}


if __name__ == "__main__":
    drive("four_numbers", sys.argv[1:], parts)
