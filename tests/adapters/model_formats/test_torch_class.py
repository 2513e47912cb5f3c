"""Which modules a PyTorch model file may have imported: nothing here needs PyTorch."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tidemill.adapters.model_formats.torch_class import find_class, import_fault
from tidemill.core.errors import TidemillError

CODE = "LOADED = True\n\n\nclass Net(dict):\n    class Inner(dict):\n        pass\n\n\nvalue = 3\n"
REQUIRES = "Metadata-Version: 2.1\nName: {name}\nVersion: 1\nRequires-Dist: {needs}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, and a folder of installed packages, from which nothing was imported."""
    packages = tmp_path / "site-packages"
    packages.mkdir()
    for folder in (tmp_path, packages):
        monkeypatch.syspath_prepend(folder)
    return tmp_path


def install(root: Path, name: str, needs: str) -> None:
    """Install a package of one module."""
    folder = root / "site-packages"
    (folder / f"{name}.py").write_text(CODE)
    described = folder / f"{name}-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(REQUIRES.format(name=name, needs=needs))
    (described / "top_level.txt").write_text(f"{name}\n")


def test_a_class_of_the_project_is_found(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "tc_nets.py").write_text(CODE)
    assert find_class("tc_nets:Net", dict).__name__ == "Net"
    assert find_class("tc_nets:Net.Inner", dict).__name__ == "Inner"
    for reference in ("tc_nets:value", "tc_nets:Net"):
        with pytest.raises(TidemillError, match=f"{reference}, which is no module of PyTorch"):
            find_class(reference, list)
    for reference in ("tc_nets:Gone", "tc_gone:Net", "tc_gone.deeper:Net", ":Net", "..x:Net"):
        with pytest.raises(TidemillError, match=r"can't be imported .*: restore it, or train the"):
            find_class(reference, dict)
    monkeypatch.delitem(sys.modules, "tc_nets")


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("antigravity:Net", "which is a module of Python"),
        ("idlelib.idle:Net", "which is a module of Python"),
        ("tidemill.cli.run:Net", "which is a module of tidemill"),
        ("torch.hub:Net", "which is a module of torch"),
        ("tc_other:Net", "and the package of tc_other doesn't require torch"),
        ("tc_stray:Net", "and the package of tc_stray doesn't require torch"),
    ],
)
def test_what_no_model_comes_from_is_not_imported(project: Path, reference: str, why: str) -> None:
    install(project, "tc_other", "polars")
    (project / "site-packages" / "tc_stray.py").write_text(CODE)
    before = {*sys.modules}
    with pytest.raises(TidemillError, match=f"names {reference}, {why}: it isn't imported"):
        find_class(reference, dict)
    assert reference.partition(":")[0] not in {*sys.modules} - before


@pytest.mark.parametrize("needs", ["torch>=2", 'Torch; extra == "nets"', "tc_base"])
def test_packages_that_require_pytorch_have_models(project: Path, needs: str) -> None:
    install(project, "tc_base", "torch")
    install(project, "tc_tabular", needs)
    assert import_fault("tc_tabular.networks") == ""


def test_the_extras_of_requirements_do_not_count(project: Path) -> None:
    install(project, "tc_base", 'torch; extra == "nets"')
    install(project, "tc_tabular", "tc_base")
    assert "doesn't require torch" in import_fault("tc_tabular")
