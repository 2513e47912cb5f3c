"""Moving a module of Tidemill changes no fingerprint of the code that uses what it defines."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tidemill
from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.analysis.code.module_origin import public_name
from tidemill.contracts.column import Column
from tidemill.contracts.table_rules import Rows
from tidemill.core.callsite import caller
from tidemill.memos.io.decorator import memo
from tidemill.workflow.workflow import Workflow

USER = '''
import polars as pl
import tidemill as tm
from tidemill import Int64, Rows
from {column} import Column
from {caller} import caller


class Flights(tm.Contract, key=("hour",)):
    """Departures."""

    hour = Int64(max=23)
    volume = Rows(min=1)


SOURCE = tm.files("flights.csv")
LATER = frozenset([tm.Frame, tm.Contract, Column, caller])
flow = tm.Workflow("flights")


@tm.memo(gives=pl.Int64, version="1")
def double(hour: int) -> int:
    return 2 * hour


def stage(frame: tm.Frame[Flights], kind: type = Column):
    return Flights.hour, Flights.reads("hour"), SOURCE, LATER, caller, double, flow, tm.Scores
'''
SCRIPT = "import user; from {code_of} import code_of; print(code_of(user.stage))"
MOVED = [Column, Rows, memo, caller, Workflow]


def rewritten(text: str, moves: dict[str, str]) -> str:
    """The imports, and the names in strings, of modules that moved."""
    for old, new in moves.items():
        text = re.sub(rf"\b{re.escape(old)}\b", new, text)
        parent, _, name = old.rpartition(".")
        to, _, renamed = new.rpartition(".")
        text = text.replace(
            f"from {parent} import {name}\n", f"from {to} import {renamed} as {name}\n"
        )
    return text


def described(folder: Path, moves: dict[str, str]) -> str:
    """What the code of the user's stage is, to a process that finds Tidemill in `folder`."""
    names = {"column": Column.__module__, "caller": caller.__module__}
    (folder / "user.py").write_text(rewritten(USER.format(**names), moves))
    script = rewritten(SCRIPT.format(code_of=code_of.__module__), moves)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_moving_modules_changes_no_fingerprint(tmp_path: Path) -> None:
    package = Path(tidemill.__file__).parent
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in (before, after):
        shutil.copytree(package, folder / "tidemill", ignore=shutil.ignore_patterns("__pycache__"))
    modules = sorted({kind.__module__ for kind in MOVED})
    moves = {module: f"tidemill.elsewhere.moved_{number}" for number, module in enumerate(modules)}
    (after / "tidemill" / "elsewhere").mkdir()
    (after / "tidemill" / "elsewhere" / "__init__.py").touch()
    for old, new in moves.items():
        (after / (old.replace(".", "/") + ".py")).rename(after / (new.replace(".", "/") + ".py"))
    for path in (after / "tidemill").rglob("*.py"):
        path.write_text(rewritten(path.read_text(encoding="utf-8"), moves), encoding="utf-8")
    found = described(before, {})
    assert found.count("Unresolved(") == 1, "a workflow is no value, and the reason names its type"
    assert described(after, moves) == found


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("tidemill.Int64", "tidemill.Int64"),
        ("tidemill", "tidemill"),
        (f"{Column.__module__}.Column", "tidemill.Column"),
        (f"{Column.__module__}.Column.reads", "tidemill.Column.reads"),
        (Column.__module__, f"tidemill.{Column.__module__.rpartition('.')[2]}"),
        ("tidemill.nothing.of.the.kind", "tidemill.nothing.of.the.kind"),
        ("polars.DataFrame", "polars.DataFrame"),
        ("tidemillion.contracts.Contract", "tidemillion.contracts.Contract"),
    ],
)
def test_what_is_tidemills_counts_by_its_public_name(name: str, public: str) -> None:
    assert public_name(name) == public
