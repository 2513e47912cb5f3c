"""The files of a project's folder that pin packages are found, whatever state they are in."""

from __future__ import annotations

from pathlib import Path

from tidemill.governance.io.project_pins import project_pins


def test_pins_are_read_from_the_folder(tmp_path: Path) -> None:
    assert project_pins(tmp_path) == frozenset()
    (tmp_path / "requirements-model.txt").write_text("lightgbm==4.5.0\n")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "dev.txt").write_text("ruff==0.1\n")
    (tmp_path / "uv.lock").write_bytes(b"\xff\xfe")
    (tmp_path / "poetry.lock").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["polars==1.2"]\n')
    assert project_pins(tmp_path) == {"lightgbm", "ruff", "polars"}
