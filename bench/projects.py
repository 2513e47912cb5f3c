"""The projects that are measured: workflows over a year of flights, and generated ones."""

from __future__ import annotations

import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

from bench.common import BENCH, inside

SETTINGS = '[tool.tidemill]\nworkflow = "{module}:flow"\n'
HEAD = """import polars as pl

import tidemill as tm


class Item(tm.Contract):
    n = tm.Int64()


flow = tm.Workflow("{name}", owner="bench")


@flow.ingest
def s0() -> tm.Source[Item]:
    return tm.files("data/*.csv")
"""
STAGE = """

@flow.transform
def s{number}(s{before}: tm.Frame[Item]) -> tm.Frame[Item]:
    return s{before}.select(pl.col("n") + {number})
"""
SCALED = """import polars as pl

import tidemill as tm


class Item(tm.Contract, key=("at",)):
    at = tm.Datetime(partition="1h")
    {columns} = (
        {types},
    )


flow = tm.Workflow("scaled", owner="bench")


@flow.ingest
def s0() -> tm.Source[Item]:
    return tm.files("data/*.parquet")
"""
PASS = """

@flow.transform
def s{number}(s{before}: tm.Frame[Item]) -> tm.Frame[Item]:
    return s{before}.with_columns(c1=pl.col("c1") + {number})
"""
JOIN = """

@flow.transform
def joined({parameters}) -> tm.Frame[Item]:
    return pl.concat([{names}]).select(pl.col("n").sum())
"""
VALUES = """import polars as pl

import tidemill as tm


class Item(tm.Contract, key=("tenant",)):
    tenant = tm.String(partition="value")
    n = tm.Int64()


class Total(tm.Contract):
    n = tm.Int64()


flow = tm.Workflow("values", owner="bench")


@flow.ingest
def items() -> tm.Source[Item]:
    return tm.files("data/*.csv")


@flow.transform
def doubled(items: tm.Frame[Item]) -> tm.Frame[Item]:
    return items.with_columns(n=pl.col("n") * 2)


@flow.transform
def joined(doubled: tm.Frame[Item]) -> tm.Frame[Total]:
    return doubled.select(pl.col("n").sum())
"""


def lay(folder: Path) -> Path:
    """The whole year's data, as old as data mostly is."""
    inside(folder.parent, "lay", str(folder))
    return age(folder)


def age(folder: Path, hours: float = 1) -> Path:
    """Make a file, or those in a folder, some hours old: one as young as a second or two is read again
    by the next run, because its time can't tell yet whether it still changes."""
    then = time.time() - hours * 3600
    for path in (folder, *folder.rglob("*.*")):
        if path.is_file():
            os.utime(path, (then, then))
    # The time at which the inode changed can't be set.
    time.sleep(2.5)
    return folder


def flights(folder: Path, data: Path) -> Path:
    """The template's project on a copy of the data."""
    spec = find_spec("tidemill")
    assert spec is not None
    assert spec.origin is not None
    template = Path(spec.origin).parent / "templates" / "flights"
    folder.mkdir(parents=True)
    for name in ("flights.py", "pyproject.toml"):
        shutil.copy2(template / name, folder / name)
    shutil.copytree(data, folder / "data")
    return folder


def delays(folder: Path, data: Path) -> Path:
    """The workflow whose reuse is measured, on a copy of the data."""
    (folder / "data").mkdir(parents=True)
    shutil.copy2(BENCH / "delays.py", folder / "delays.py")
    (folder / "pyproject.toml").write_text(SETTINGS.format(module="delays"), encoding="utf-8")
    for name in ("flights", "weather"):
        shutil.copytree(data / name, folder / "data" / name)
    return folder


def chain(folder: Path, stages: int) -> Path:
    """One row through a chain of stages, the ingest among them."""
    text = HEAD.format(name="chain")
    text += "".join(STAGE.format(number=n, before=n - 1) for n in range(1, stages))
    return _generated(folder, "chain", text, "n\n0\n")


def wide(folder: Path, width: int) -> Path:
    """One row into `width` stages side by side, and one stage that joins them all."""
    text = HEAD.format(name="wide")
    text += "".join(STAGE.format(number=n, before=0) for n in range(1, width + 1))
    names = [f"s{n}" for n in range(1, width + 1)]
    parameters = ", ".join(f"{name}: tm.Frame[Item]" for name in names)
    text += JOIN.format(parameters=parameters, names=", ".join(names))
    return _generated(folder, "wide", text, "n\n0\n")


def values(folder: Path, width: int) -> Path:
    """`width` partitions by value through ingest and transform, and one stage that joins them."""
    rows = "".join(f"t{n:03},{n}\n" for n in range(width))
    return _generated(folder, "values", VALUES, f"tenant,n\n{rows}")


def scaled(folder: Path, stages: int, columns: int) -> Path:
    """A chain of stages over hours of some columns; without data."""
    names = [f"c{n}" for n in range(1, columns)]
    text = SCALED.format(columns=", ".join(names), types=", ".join(["tm.Float64()"] * len(names)))
    text += "".join(PASS.format(number=n, before=n - 1) for n in range(1, stages))
    (folder / "data").mkdir(parents=True)
    (folder / "scaled.py").write_text(text, encoding="utf-8")
    (folder / "pyproject.toml").write_text(SETTINGS.format(module="scaled"), encoding="utf-8")
    return folder


def edit_last(folder: Path) -> None:
    """Change what the last stage of such a chain computes."""
    file = folder / "scaled.py"
    text = file.read_text(encoding="utf-8").rstrip()
    file.write_text(f"{text.removesuffix(')')} + 1)\n", encoding="utf-8")


def coded(folder: Path, text: str, other: str, days: int) -> Path:
    """A workflow of the text, beside a module `shapes`, on some days of three rows."""
    rows = "".join(f"2013-01-{day:02},{n},{n * day / 4}\n" for day in range(1, days + 1)
                   for n in (1, 2, 3))  # fmt: skip
    _generated(folder, "coded", text, f"date,n,x\n{rows}")
    (folder / "shapes.py").write_text(other, encoding="utf-8")
    return folder


def forget(folder: Path) -> Path:
    """The project without its state."""
    set_aside(folder / ".tidemill", folder)
    return folder


def set_aside(folder: Path, beside: Path) -> None:
    """Move a folder, if it exists, next to `beside`.

    For a minute after many files were deleted, ext4 takes up to 2 ms of CPU to create one: what is measured
    next would pay for it.
    """
    if folder.exists():
        folder.rename(beside.with_name(f"aside-{time.time_ns()}"))


def _generated(folder: Path, module: str, text: str, rows: str) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    (folder / "pyproject.toml").write_text(SETTINGS.format(module=module), encoding="utf-8")
    (folder / "data" / "rows.csv").write_text(rows, encoding="utf-8")
    age(folder / "data")
    return folder
