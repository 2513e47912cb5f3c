"""Reuse against its goals: `python -m bench.reuse`.

A year of flights, one file a day, is joined with the weather, made into features, added up by day and
in total, and a model is fitted to the last 60 days, anew whenever they change. Each change of data or
code is made in a fresh copy of the built project, and each run is a process of its own. The plain
script `reuse_by_hand.py`, which does all of it each time, runs beside them.

Prints a table and writes it to `results/reuse.json`. Nothing fails when a goal is missed. With names
(`python -m bench.reuse nothing row`) only those parts are measured, and saved only with `--save`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench import coding, reusing
from bench.common import Row, drive
from bench.scenes import Year


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    year = Year(work)
    return {
        "build": lambda: reusing.full_build(year, times=3),
        "nothing": lambda: reusing.nothing(year, times=7),
        "day": lambda: reusing.day(year, times=5),
        "words": lambda: reusing.words(year),
        "meaning": lambda: reusing.meanings(year),
        "feature": lambda: reusing.feature(year, times=3),
        "unread": lambda: reusing.unread(year, times=3),
        "restated": lambda: reusing.restated(year, times=3),
        "row": lambda: reusing.row(year, times=5),
        "revert": lambda: reusing.revert(year, times=3),
        "code": lambda: coding.kinds_of_edit(work),
        "hashing": lambda: reusing.hashing(year, times=5),
    }


if __name__ == "__main__":
    drive("reuse", sys.argv[1:], parts_of)
