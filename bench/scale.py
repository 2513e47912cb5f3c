"""Large states against their goals: `python -m bench.scale`.

A state of two million partitions can't be made by running the stages. Its products are made up;
everything else is written by the code that a run executes (`inside_scale.py`). The largest takes ten
minutes and several gigabytes to make.

Prints a table and writes it to `results/scale.json`. With names (`python -m bench.scale commit`) only
those parts are measured, and saved only with `--save`; `million` is measured only when it is named, and
then saved.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.common import Row, drive
from bench.scaling import States

SMALL, LARGE, LONG = (10_000, 20), (100_000, 20), (1_000_000, 2)


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    states = States(work)
    return {
        "commit": lambda: states.commits(10_000),
        "small": lambda: states.plans(*SMALL, judged=False),
        "large": lambda: [*states.plans(*LARGE, judged=True), *states.linear(SMALL, LARGE)],
        "million": lambda: [*states.plans(*LONG, judged=False), *states.linear(LARGE, LONG)],
    }


if __name__ == "__main__":
    drive("scale", sys.argv[1:], parts_of, asked=("million",))
