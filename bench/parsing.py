"""Text files read by the contract: CSV of a million rows and 10 columns, as a ratio to Polars' typed read.

`python -m bench.parsing [PART...]` prints a table and writes results/parsing.json. What is measured is
reading, casting and checking; the floor is `scan_csv` with the contract's types as its schema, which checks
nothing and knows only ISO times. CPU seconds are compared in turns within one process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.common import Row, drive, inside

SCRIPT = "inside_parsing.py"
READ, BAD = 1.3, 2.0


def ratio(work: Path, name: str, kind: str, mix: str, goal: float | None) -> list[Row]:
    """Reading by the contract as a multiple of the floor beside it."""
    found = inside(work, kind, mix, script=SCRIPT)
    against = f"{found['job']:.2f} CPU s, floor {found['floor']:.2f}, {found['bad']} bad rows"
    return [
        Row(
            name=name,
            value=found["job"] / found["floor"],
            unit="x",
            goal=goal,
            baseline=against,
        )
    ]


def csv(work: Path) -> list[Row]:
    """Clean files, with the columns of an ordinary table and with nothing but numbers."""
    rows = ratio(work, "CSV, mixed columns", "csv", "mixed", READ)
    rows += ratio(work, "CSV, numbers only", "csv", "numbers", READ)
    return rows + ratio(work, "CSV, text only", "csv", "text", READ)


def bad(work: Path) -> list[Row]:
    """Files in which 1 % of the cells aren't values, so that up to a tenth of the rows are bad."""
    rows = ratio(work, "CSV, mixed columns, 1 % bad cells", "bad", "mixed", BAD)
    return rows + ratio(work, "CSV, numbers only, 1 % bad cells", "bad", "numbers", BAD)


def json(work: Path) -> list[Row]:
    """The same rows as NDJSON; told, not judged."""
    return ratio(work, "NDJSON, mixed columns", "json", "mixed", None)


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    return {"csv": partial(csv, work), "bad": partial(bad, work), "json": partial(json, work)}


def main(chosen: Sequence[str]) -> None:
    drive("parsing", chosen, parts_of)


if __name__ == "__main__":
    main(sys.argv[1:])
