"""A module is run as a program that ends with its parent."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tidemill.operations.io import with_parent

PROGRAM = """
import sys
from pathlib import Path

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(" ".join(sys.argv[1:]))
"""


def test_a_module_gets_its_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipes: list[int] = []
    monkeypatch.setattr(with_parent, "exit_with_parent", pipes.append)
    monkeypatch.setattr(sys, "argv", ["tidemill"])
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "small_program.py").write_text(PROGRAM)
    pipe, other = os.pipe()
    os.set_inheritable(pipe, True)
    file = tmp_path / "out"
    with_parent.main(pipe, "small_program", [str(file), "-C", "shop"])
    assert file.read_text() == f"{file} -C shop"
    assert pipes == [pipe]
    # What the module starts doesn't get the pipe.
    assert not os.get_inheritable(pipe)
    os.close(pipe)
    os.close(other)
