"""Data for `partitions.py`, and a plan in a process of its own; one line of JSON.

inside_partitions.py values COUNT CHANGED   a file with ten rows for each of COUNT values, some changed
inside_partitions.py days COUNT             a file of ten rows for each of COUNT days
inside_partitions.py plan SAFE              CPU seconds of a plan; without SAFE files are read in this process
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

ROWS = 10


def values(count: str, changed: str) -> dict[str, Any]:
    """Write the file of all values, in no order."""
    import polars as pl

    size = int(count)
    frame = pl.DataFrame(
        {
            "name": [f"v{number:06}" for number in range(size) for _ in range(ROWS)],
            "id": [*range(ROWS)] * size,
            "value": [float(number) for number in range(size * ROWS)],
        }
    )
    frame = frame.with_columns(
        value=pl.when(pl.int_range(pl.len()) < int(changed)).then(-1.0).otherwise("value")
    )
    Path("data").mkdir(exist_ok=True)
    frame.sample(fraction=1.0, shuffle=True, seed=1).write_parquet("data/raw.parquet")
    return {}


def days(count: str) -> dict[str, Any]:
    """Write a file a day."""
    import polars as pl

    folder = Path("data/days")
    folder.mkdir(parents=True)
    for number in range(int(count)):
        day = date(2000, 1, 1) + timedelta(days=number)
        rows = {"day": [day] * ROWS, "id": [*range(ROWS)], "value": [float(number)] * ROWS}
        pl.DataFrame(rows).write_parquet(folder / f"{day}.parquet")
    return {}


def plan(safe: str) -> dict[str, Any]:
    """Plan in a process that never ran a query, as the command does."""
    sys.path.insert(0, "")
    import tidemill as tm

    if not safe:
        from tidemill.project import plans
        from tidemill.sources.io.row_counts import count_rows

        vars(plans)["count_rows"] = lambda sets: [count_rows(*some) for some in sets]
    project = tm.open()
    steps = len(project.plan().steps)
    project.close()
    used = os.times()
    assert steps == len(os.listdir("data/days")), steps
    return {"cpu_s": used.user + used.system + used.children_user + used.children_system}


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    tasks: dict[str, Callable[..., object]] = {"values": values, "days": days, "plan": plan}
    print(json.dumps(tasks[task](*arguments)))
