"""Commands on a ledger of 10 million events against the same commands on a small one.

`python -m bench.ledger [PART...]` prints a table and writes results/ledger.json. The large ledger is written
once to build/ledger (12 GB, 10 to 20 minutes) and used again; TIDEMILL_LEDGER_EVENTS=100000 tries a smaller
one. What a command takes are CPU seconds of its process, with those of the kernel.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from bench.common import PYTHON, Row, alternate, cpu, measure
from bench.ledger_files import write_history

EVENTS = int(os.environ.get("TIDEMILL_LEDGER_EVENTS", "10_000_000"))
SMALL = 2_000
KEPT = Path(__file__).parents[1] / "build" / "ledger"
GOAL_MS = 250
TIMES = 3


class Projects:
    """The same project with a large and with a small ledger."""

    def __init__(self) -> None:
        self._folders: dict[int, Path] = {}

    def folder(self, events: int) -> Path:
        """A project whose ledger begins with so many events, and ends with a run of its own."""
        if events not in self._folders:
            self._folders[events] = _project(events)
        return self._folders[events]

    def compare(self, large: Sequence[str], small: Sequence[str]) -> Row:
        """What a command takes on the large ledger beyond what it takes on the small one."""
        more, less = alternate(
            TIMES,
            partial(_call, self.folder(EVENTS), large),
            partial(_call, self.folder(SMALL), small),
        )
        return Row(
            name=f"tidemill {' '.join(large)}",
            value=(cpu(more) - cpu(less)) * 1000,
            unit="ms",
            goal=GOAL_MS,
            baseline=f"{cpu(less) * 1000:.0f} ms with {SMALL:,} events",
            runs=tuple(each.cpu_s * 1000 for each in more),
        )


def _project(events: int) -> Path:
    folder = KEPT / str(events)
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        measure([PYTHON, "-m", "tidemill", "init", folder], folder.parent)
        write_history(folder / ".tidemill" / "ledger.db", events)
        _call(folder, ("run",))
        (folder / "ready").touch()
    return folder


def _call(folder: Path, arguments: Sequence[str]):  # type: ignore[no-untyped-def]
    return measure([PYTHON, "-m", "tidemill", *arguments], folder)
