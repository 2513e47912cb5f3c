"""What a model was trained with."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from tidemill.steps.io import training_platform
from tidemill.steps.io.training_platform import hardware, loaded_packages


def test_loaded_packages_have_their_versions() -> None:
    found = loaded_packages()
    assert found["python"] == platform.python_version()
    assert found["polars"] == version("polars")
    assert "pip" not in found or "pip" in __import__("sys").modules


def test_the_machine_is_described() -> None:
    found = hardware()
    assert found["cores"] == str(os.cpu_count())
    assert int(found["memory"]) > 2**20
    assert found["system"].startswith(platform.system())


def test_a_machine_without_proc_and_one_with_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_platform, "_CPU_INFO", tmp_path / "none")
    monkeypatch.setattr(training_platform, "_NVIDIA", tmp_path)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    monkeypatch.delattr(os, "sysconf")
    (tmp_path / "0000").mkdir()
    (tmp_path / "0000" / "information").write_text("Model: \t\t NVIDIA L4\nIRQ: 12\n")
    hardware.cache_clear()
    found = hardware()
    hardware.cache_clear()
    assert (found["cpu"], found["gpu"]) == ("arm", "NVIDIA L4")
    assert "memory" not in found


def test_a_package_that_was_uninstalled_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_platform, "_distributions", lambda: {"os": ["gone-by-now"]})
    assert list(loaded_packages()) == ["python"]
