"""Edits count at once, however soon one follows the other."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.tides import CHAIN, Tides, day, rebuilt

TOTAL = "import tidemill as tm; print(tm.open().read('daily').collect()['total'].sum())"


def run(root: Path, code: str = "import tidemill as tm; tm.open().run()") -> str:
    """Run a program of its own, which writes bytecode as usual."""
    known = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env=known,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_an_edit_of_the_same_size_and_second_is_computed(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "project")
    (tides.root / "pyproject.toml").write_text('[tool.tidemill]\nworkflow = "tides:flow"\n')
    for number in range(2):
        tides.send(number)
    file = tides.root / "tides.py"
    file.write_text(CHAIN)
    run(tides.root)
    assert run(tides.root, TOTAL) == "24.0"
    [bytecode] = (tides.root / "__pycache__").glob("tides.*")
    before = file.stat().st_mtime_ns
    # However long Python took to start.
    os.utime(bytecode, ns=(before + 10**9, before + 10**9))
    file.write_text(CHAIN.replace("value * 2", "value * 3"))
    os.utime(file, ns=(before, before))
    run(tides.root)
    assert run(tides.root, TOTAL) == "36.0"
    tides.text = file.read_text()
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
    assert day(0) in tides.published()["daily"]


def test_settled_bytecode_is_used(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("answer = 1\n")
    code = (
        "import sys; from tidemill.project.fresh_imports import import_afresh; "
        f"sys.path.insert(0, {str(tmp_path)!r}); import_afresh({str(tmp_path)!r}); "
        "import helper; print(helper.answer)"
    )
    file = tmp_path / "helper.py"
    os.utime(file, (1e9, 1e9))
    assert run(tmp_path, code) == "1"
    # The bytecode is of long after this change, as Python sees it.
    file.write_text("answer = 2\n")
    os.utime(file, (1e9, 1e9))
    assert run(tmp_path, code) == "1"
    os.utime(file)
    assert run(tmp_path, code) == "2"
