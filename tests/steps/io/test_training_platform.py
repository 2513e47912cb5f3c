"""What a model was trained with."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest

from tidemill.steps.io import training_platform
from tidemill.steps.io.training_platform import hardware, loaded_packages


def test_loaded_packages_have_their_versions() -> None:
    importlib.import_module("polars")
    found = loaded_packages()
    assert found["python"] == platform.python_version()
    assert found["polars"] == version("polars")
    assert "pip" not in found or "pip" in __import__("sys").modules


@pytest.mark.usefixtures("fresh")
def test_modules_belong_to_the_packages_that_the_standard_library_finds() -> None:
    modules = {name: set(known) for name, known in packages_distributions().items()}
    assert {name: training_platform._names(name) for name in modules} == modules


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
    monkeypatch.setattr(training_platform, "_names", lambda _: {"gone-by-now"})
    monkeypatch.setattr(training_platform, "_editable_folders", dict)
    assert list(loaded_packages()) == ["python"]


def install(folder: Path, name: str, url: str, *lines: str) -> None:
    """An installation from the folder that is edited, which records no modules."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", f"Name: {name}", *lines]))
    (info / "direct_url.json").write_text(url)


@pytest.fixture
def fresh() -> Iterator[None]:
    caches = (
        training_platform._names,
        training_platform._distributions,
        training_platform._editable_folders,
    )
    for each in caches:
        each.cache_clear()
    yield
    for each in caches:
        each.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_packages_that_are_edited_where_they_are_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tide tables", "unused"):
        url = json.dumps({"dir_info": {"editable": True}, "url": (tmp_path / name).as_uri()})
        install(tmp_path / "installed", name.replace(" ", "_"), url, "Version: 2.0+local.1")
        module = tmp_path / name / "src" / f"{name.replace(' ', '_')}_module.py"
        module.parent.mkdir(parents=True)
        module.write_text("")
    # These are no editable installations, or have no version.
    install(tmp_path / "installed", "odd", "[", "Version: 1.0")
    install(tmp_path / "installed", "old", "{}", "Version: 1.0")
    nameless = json.dumps({"dir_info": {"editable": True}, "url": tmp_path.as_uri()})
    install(tmp_path / "installed", "versionless", nameless)
    monkeypatch.syspath_prepend(tmp_path / "installed")
    monkeypatch.syspath_prepend(tmp_path / "tide tables" / "src")
    importlib.import_module("tide_tables_module")
    found = loaded_packages()
    monkeypatch.delitem(sys.modules, "tide_tables_module")
    assert found["tide_tables"] == "2.0+local.1"
    assert {"unused", "odd", "old", "versionless"}.isdisjoint(found)
