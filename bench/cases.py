"""Cases of stages: `tidemill test` of 50 cases over 10 stages, as a whole process.

`python -m bench.cases [PART...]` prints a table and writes results/cases.json. The cases name a few columns,
so that the others are generated; half of them run several stages one after the other. Beside it stands what
the process takes that imports Polars and does nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.common import PYTHON, TIDEMILL, Row, cpu, drive, measure, wall

STAGES, CASES, RUNS = 10, 50, 5
GOAL_S = 3.0

HEAD = """\
import polars as pl

import tidemill as tm


class Orders(tm.Contract, key=("id",)):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=1)
    shop = tm.Enum(["a", "b", "c"])
    price = tm.Float64(min=0, max=1000)
    weight = tm.Float64(min=0, nullable=True)
    note = tm.String(max_length=20)
    sent = tm.Datetime(nullable=True)
    cheap = tm.rule(pl.col("price") <= 1000)


flow = tm.Workflow("shop")


@flow.ingest
def step0() -> tm.Source[Orders]:
    return tm.files("orders/*.csv")
"""
STEP = """

@flow.transform
def step{number}(step{before}: tm.Frame[Orders]) -> tm.Frame[Orders]:
    return step{before}.with_columns(price=pl.col("price") + 1).filter(pl.col("id") > 1)
"""
CASE = """
[[case]]
name = "case {number}"
stage = "step{stage}"
given.step{given} = [{{ id = 1, price = 2.5 }}, {{ id = 2, price = {price} }}, {{ id = 3 }}]
expect.includes = [{{ id = 2, price = {total} }}]
expect.count = {count}
"""


def project(work: Path) -> Path:
    """A project with the stages and their cases."""
    folder = work / "shop"
    (folder / "cases").mkdir(parents=True)
    steps = (STEP.format(number=n, before=n - 1) for n in range(1, STAGES))
    (folder / "shop.py").write_text(HEAD + "".join(steps), encoding="utf-8")
    settings = '[tool.tidemill]\nworkflow = "shop:flow"\n'
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")
    for stage in range(STAGES):
        text = "".join(case_text(stage, number) for number in range(CASES // STAGES))
        (folder / "cases" / f"step{stage}.toml").write_text(text, encoding="utf-8")
    return folder


def case_text(stage: int, number: int) -> str:
    """A case of a stage; every second one gives the rows of the first stage."""
    given = 0 if number % 2 or not stage else stage - 1
    price = number + 0.5
    return CASE.format(
        number=number,
        stage=stage,
        given=given,
        price=price,
        total=price + stage - given,
        count=2 if stage else 3,
    )


def tests(work: Path) -> list[Row]:
    """All cases in one process, from its start to its end."""
    folder = project(work)
    # As users run it: compiled modules are kept.
    variables = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(work / "compiled")}
    measure([TIDEMILL, "test"], folder, variables=variables)
    used = [measure([TIDEMILL, "test"], folder, variables=variables) for _ in range(RUNS)]
    assert all(f"{CASES} cases: {CASES} passed" in each.out for each in used), used[0].out
    empty = measure([PYTHON, "-c", "import polars"], folder, variables=variables)
    about = f"{cpu(used):.2f} CPU s, of which importing Polars {empty.cpu_s:.2f}"
    runs = tuple(each.wall_s for each in used)
    name = f"tidemill test, {CASES} cases over {STAGES} stages"
    return [
        Row(name=name, value=wall(used), unit="s", goal=GOAL_S, baseline=about, runs=runs),
    ]


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    return {"tests": partial(tests, work)}


def main(chosen: Sequence[str]) -> None:
    drive("cases", chosen, parts_of)


if __name__ == "__main__":
    main(sys.argv[1:])
