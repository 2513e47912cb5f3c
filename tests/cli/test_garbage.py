"""A process that ends with its command searches only what its steps made, which is told of its end."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from tests.support.commands import process
from tests.support.start_up import FLOW
from tidemill.cli.garbage import ends_with_command, leave_out_all

# An object in a cycle, of which only the search for garbage can rid the process.
HELD = """import os


class Held:
    def __init__(self):
        self.own = self

    def __del__(self, write=os.write):
        write(2, b"the end\\n")
"""
STEP = """    import held
    held.kept = held.Held()
    return sales"""


@pytest.mark.parametrize("ends", [False, True])
def test_objects_are_left_out_in_a_process_that_ends(
    monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    frozen: list[bool] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(True))
    monkeypatch.setattr(ends_with_command, "is_set", lambda: ends)
    leave_out_all()
    assert frozen == [True] * ends


def test_what_a_step_made_is_told_of_the_end(tmp_path: Path) -> None:
    settings = '[tool.tidemill]\nworkflow = "shops:flow"\n'
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    (tmp_path / "shops.py").write_text(FLOW.replace("    return sales", STEP), encoding="utf-8")
    (tmp_path / "held.py").write_text(HELD, encoding="utf-8")
    rows = "day,shop,amount\n2026-01-01,a,1.5\n"
    (tmp_path / "sales.csv").write_text(rows, encoding="utf-8")
    ran = process("run", "--inline", cwd=tmp_path)
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (0, "the end")
