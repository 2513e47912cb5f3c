"""Edits of code: of the workflow `delays`, and the kinds of edit that must and must not run anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

# A text as it stands in a module, once, and what it becomes.
Change: TypeAlias = tuple[str, str]
Edit: TypeAlias = Sequence[Change]


def edit(module: Path, changes: Edit) -> None:
    """Make the changes in a module; RuntimeError when a text isn't there just once."""
    text = module.read_text(encoding="utf-8")
    for old, new in changes:
        if text.count(old) != 1:
            raise RuntimeError(f"{module.name} has {old!r} {text.count(old)} times, not once")
        text = text.replace(old, new)
    module.write_text(text, encoding="utf-8")


def import_lazily(module: Path) -> None:
    """Import Polars where it is used: in the stages of a workflow, not at its top."""
    top, *stages = re.split(r"^(?=@flow)", module.read_text(encoding="utf-8"), flags=re.MULTILINE)
    line = "import polars as pl\n"
    moved = [
        re.sub(r"^(def .*\n)", rf"\1    {line}\n", stage, count=1, flags=re.MULTILINE)
        if "pl." in stage
        else stage
        for stage in stages
    ]
    module.write_text("".join([top.replace(line, ""), *moved]), encoding="utf-8")


FILTER = """    arrived = joined.filter(\
pl.col("dep_delay").is_not_null() & pl.col("arr_delay").is_not_null())
"""
HOUR = '    hour = pl.col("hour")\n'
# Edits of the stage `features` after which nothing has to run.
WORDS: Mapping[str, Edit] = {
    "comment": [(FILTER, f"    # A cancelled flight has no delay.\n{FILTER}")],
    "docstring": [(FILTER, f'    """What is known at take-off."""\n{FILTER}')],
    "format": [
        (HOUR, '    hour = (\n        pl.col( "hour" )\n    )\n'),
        ("rush=hour.is_between(16, 20),", "rush=hour.is_between(\n            16,\n 20),"),
    ],
    "annotation": [(HOUR, '    hour: pl.Expr = pl.col("hour")\n')],
    "rename": [
        ("    arrived = joined", "    landed = joined"),
        ("return arrived.select", "return landed.select"),
        (HOUR, '    at = pl.col("hour")\n'),
        ("rush=hour", "rush=at"),
        ("night=(hour < 6) | (hour >= 22)", "night=(at < 6) | (at >= 22)"),
    ],
}
# The same query, written in another way.
MEANINGS: Mapping[str, Edit] = {
    "helper extracted, names changed": [
        (
            "@flow.transform\ndef features(",
            "def known(one: str, other: str) -> pl.Expr:\n"
            "    return pl.col(one).is_not_null() & pl.col(other).is_not_null()\n\n\n"
            "def over(name: str, bound: float) -> pl.Expr:\n"
            "    return pl.col(name) > bound\n\n\n"
            "@flow.transform\ndef features(",
        ),
        (FILTER, '    landed = joined.filter(known("dep_delay", "arr_delay"))\n'),
        ("return arrived.select", "return landed.select"),
        (HOUR, '    at = pl.col("hour")\n'),
        ("rush=hour", "rush=at"),
        ("night=(hour < 6) | (hour >= 22)", "night=(at < 6) | (at >= 22)"),
        ('gale=pl.col("wind_speed") > 25', 'gale=over("wind_speed", 25)'),
        ('far=pl.col("distance") > 1000', 'far=over("distance", 1000)'),
    ],
    "filters split, redundant select": [
        (
            FILTER,
            "    arrived = (\n"
            "        joined.select(pl.all())\n"
            '        .filter(pl.col("dep_delay").is_not_null())\n'
            '        .filter(pl.col("arr_delay").is_not_null())\n'
            "    )\n",
        )
    ],
}
FEATURE: Edit = [("rush=hour.is_between(16, 20)", "rush=hour.is_between(15, 20)")]

# A workflow with a bit of everything that code can hang on; {collect} makes its stage opaque.
CODED = """import polars as pl

import shapes
import tidemill as tm

LIMIT = 3.0


class Limits:
    far = 2


class Row(tm.Contract, key=("date", "n")):
    date = tm.Date(partition="1d")
    n = tm.Int64()
    x = tm.Float64()


class Marked(tm.Contract, key=("date", "n")):
    date, n = Row.date, Row.n
    own, far, late = tm.Float64(), tm.Bool(), tm.Bool()
    more, near = tm.Float64(), tm.Float64()


flow = tm.Workflow("coded", owner="bench")


def unrelated(value: int) -> int:
    return value + 1


def deeper(value: pl.Expr) -> pl.Expr:
    return value * 2


def more(value: pl.Expr, by: float = 1.0) -> pl.Expr:
    return deeper(value) + by - 4.0


@flow.ingest
def rows() -> tm.Source[Row]:
    return tm.files("data/*.csv")


@flow.transform
def marked(rows: tm.Frame[Row]) -> tm.Frame[Marked]:
    table = rows{collect}
    x = pl.col("x")
    return table.select(
        "date", "n", own=x + 5.0, far=pl.col("n") > Limits.far, late=x > LIMIT, more=more(x),
        near=shapes.near(x),
    ){lazy}
"""
SHAPES = """import polars as pl


def near(value: pl.Expr) -> pl.Expr:
    return value / 2
"""
QUERY = {"collect": "", "lazy": ""}
OPAQUE = {"collect": ".collect()", "lazy": ".lazy()"}

MUST: Mapping[str, Edit] = {
    "own body": [("own=x + 5.0", "own=x + 6.0")],
    "default argument": [("by: float = 1.0", "by: float = 1.5")],
    "helper of the module": [("+ by - 4.0", "+ by - 3.0")],
    "global constant": [("LIMIT = 3.0", "LIMIT = 1.0")],
    "class attribute": [("far = 2", "far = 1")],
    "helper of another module": [("return value / 2", "return value / 4")],
    "helper of a helper": [("return value * 2", "return value * 3")],
}
NEED_NOT: Mapping[str, Edit] = {
    "comment": [("    table = rows", "    # All of them.\n    table = rows")],
    "docstring": [("    table = rows", '    """Mark rows."""\n    table = rows')],
    "format": [("own=x + 5.0, far", "own=(\n            x  +  5.0\n        ),\n        far")],
    "annotation": [("by: float = 1.0", "by: 'float' = 1.0")],
    "name of a local": [
        ("    table = rows", "    kept = rows"),
        ("return table.select", "return kept.select"),
    ],
    "unrelated function": [("return value + 1", "return value + 2")],
    "lines moved": [("LIMIT = 3.0", "\n\n\nLIMIT = 3.0")],
}
