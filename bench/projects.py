"""The projects that are measured: the flights template, and generated ones with trivial stages."""

from __future__ import annotations

import os
import shutil
import time
from importlib.util import find_spec
from pathlib import Path

from bench.common import inside

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
    """The whole year's data; an hour old, as data mostly is: a file as young as a second or two is
    read again by the next run, because its time can't tell yet whether it still changes."""
    inside(folder.parent, "lay", str(folder))
    hour_ago = time.time() - 3600
    for path in folder.rglob("*.parquet"):
        os.utime(path, (hour_ago, hour_ago))
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


def forget(folder: Path) -> Path:
    """The project without its state."""
    shutil.rmtree(folder / ".tidemill", ignore_errors=True)
    return folder


def _generated(folder: Path, module: str, text: str, rows: str) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    (folder / "pyproject.toml").write_text(SETTINGS.format(module=module), encoding="utf-8")
    file = folder / "data" / "rows.csv"
    file.write_text(rows, encoding="utf-8")
    os.utime(file, (time.time() - 3600,) * 2)
    return folder
