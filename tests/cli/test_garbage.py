"""A process that ends with its command searches only what its steps made, which is told of its end."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import process
from tests.support.start_up import FLOW, build
from tidemill.cli.garbage import THRESHOLDS, ends_with_command, leave_out_all

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
    done: list[object] = []
    monkeypatch.setattr(gc, "freeze", lambda: done.append("frozen"))
    monkeypatch.setattr(gc, "set_threshold", lambda *limits: done.append(limits))
    monkeypatch.setattr(ends_with_command, "is_set", lambda: ends)
    leave_out_all()
    assert done == (["frozen", THRESHOLDS] if ends else [])


def test_a_run_with_nothing_to_do_searches_only_at_its_end(tmp_path: Path) -> None:
    shops = build(tmp_path)
    code = """
import gc, sys
import tidemill.cli
sys.argv[1:] = ["run"]
gc.callbacks.append(lambda phase, info: print(phase, info["generation"], file=sys.stderr))
tidemill.cli.main()
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=shops, capture_output=True, text=True, check=False
    )
    # Python itself searches all that isn't left out.
    assert (ran.returncode, ran.stderr.splitlines()) == (0, ["start 2", "stop 2"])


def test_what_a_step_made_is_told_of_the_end(tmp_path: Path) -> None:
    settings = '[tool.tidemill]\nworkflow = "shops:flow"\n'
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    (tmp_path / "shops.py").write_text(FLOW.replace("    return sales", STEP), encoding="utf-8")
    (tmp_path / "held.py").write_text(HELD, encoding="utf-8")
    rows = "day,shop,amount\n2026-01-01,a,1.5\n"
    (tmp_path / "sales.csv").write_text(rows, encoding="utf-8")
    ran = process("run", "--inline", cwd=tmp_path)
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (0, "the end")
