"""The spine's figures against their goals: `python -m bench.spine`, or `make bench`.

Prints a table and writes it to `results/spine.json`. Nothing fails when a goal is missed: a figure
depends on the machine, and on what else that machine does. With names (`python -m bench.spine chain
help`) only those parts are measured, and saved only with `--save`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import building, crash, footprint, projects, stages
from bench.common import Row, drive


class Parts:
    """The parts of the benchmark, over one folder and one copy of the data."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._data: Path | None = None
        self._built: Path | None = None

    @property
    def data(self) -> Path:
        """The whole year, laid out when it is first needed."""
        if self._data is None:
            self._data = projects.lay(self._work / "data")
        return self._data

    @property
    def built(self) -> Path:
        """A project with everything current."""
        if self._built is None:
            self.build(times=1)
        assert self._built is not None
        return self._built

    def build(self, times: int = 5) -> list[Row]:
        """The full build."""
        rows, self._built = building.full_build(self._work, self.data, times)
        return rows

    def nothing(self) -> list[Row]:
        """A run with nothing to do."""
        return building.nothing_to_do(self.built, times=9)

    def day(self) -> list[Row]:
        """One new day."""
        return building.new_day(self._work, self.data, times=5)

    def chain(self) -> list[Row]:
        """A chain of 100 stages."""
        return stages.chain(self._work, stages=100, times=7)

    def fan(self) -> list[Row]:
        """A fan-out over 200 items."""
        return stages.fan_out(self._work, width=200, times=7)

    def crash(self) -> list[Row]:
        """Kill and run again."""
        return crash.recovery(self._work, self.data, self.built)

    def help(self) -> list[Row]:
        """The start of the program."""
        return footprint.help_text(self._work, times=25)

    def install(self) -> list[Row]:
        """What is installed."""
        return footprint.install()


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    parts = Parts(work)
    return {
        "build": parts.build,
        "nothing": parts.nothing,
        "day": parts.day,
        "chain": parts.chain,
        "fan": parts.fan,
        "crash": parts.crash,
        "help": parts.help,
        "install": parts.install,
    }


if __name__ == "__main__":
    drive("spine", sys.argv[1:], parts_of)
