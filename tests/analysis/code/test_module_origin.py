"""Whose code it is, and under which version a package counts."""

import json
import sys
from pathlib import Path

import pytest

from tests.support.modules import Project
from tidemill.analysis.code.code_fingerprint import Code, code_of
from tidemill.analysis.code.module_origin import distribution_of, origin_of_file, origin_of_module

METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: {}\n"


@pytest.fixture
def installed(project: Project) -> Path:
    """A folder of installed packages that is first on the import path."""
    folder = project.folder / "site-packages"
    folder.mkdir()
    sys.path.insert(0, str(folder))  # taken off again with the project's folder
    distribution_of.cache_clear()
    return folder


def install(folder: Path, name: str, version: str, *modules: str, **files: str) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA.format(name, version))
    (info / "top_level.txt").write_text("\n".join(modules))
    for module in modules:
        (folder / module).mkdir(exist_ok=True)
    for file, text in files.items():
        (info / file).write_text(text)


def stage_using(project: Project, module: str) -> Code:
    project.write(main=f"def stage():\n    import {module}\n    return {module}.call()")
    return code_of(project.load().stage)


@pytest.mark.parametrize(
    ("file", "origin"),
    [
        ("/env/lib/python3.13/site-packages/polars/__init__.py", "package"),
        ("/usr/lib/python3/dist-packages/numpy/__init__.py", "package"),
        (r"C:\env\Lib\site-packages\polars\__init__.py", "package"),
        (json.__file__, "standard"),
        ("<frozen importlib._bootstrap>", "standard"),
        ("/home/ana/flights.py", "project"),
        ("<cell 1>", "project"),
    ],
)
def test_files(file: str, origin: str) -> None:
    assert origin_of_file(file) == origin


@pytest.mark.parametrize(
    ("module", "origin"),
    [
        ("polars.io.csv", "package"),
        ("lightgbm", "package"),
        ("json.decoder", "standard"),
        ("sys", "standard"),
        ("tidemill.domain", "tidemill"),
        ("__main__", "project"),
        ("nowhere_to_be_found", None),
    ],
)
def test_modules(module: str, origin: str | None) -> None:
    assert origin_of_module(module) == origin


def test_a_module_without_a_file_is_the_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "made_by_hand", type(sys)("made_by_hand"))
    assert origin_of_module("made_by_hand") == "project"


def test_a_namespace_package_is_where_its_folders_are(project: Project, installed: Path) -> None:
    (project.folder / "ours").mkdir()
    (installed / "theirs").mkdir()
    assert origin_of_module("ours") == "project"
    assert origin_of_module("theirs") == "package"
    assert origin_of_module("theirs") == "package"  # it remembers


def test_a_standard_module_that_is_not_loaded_and_has_no_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "xxsubtype", raising=False)
    if "xxsubtype" not in sys.builtin_module_names:
        pytest.skip("this build of Python has no such module")
    assert origin_of_module("xxsubtype") == "standard" or "xxsubtype" not in sys.stdlib_module_names


def test_a_distribution_may_have_another_name_than_its_module(installed: Path) -> None:
    install(installed, "tidal-things", "1.2", "tidal_one", "tidal_two")
    assert distribution_of("tidal_one") == ("tidal-things", "1.2")


def test_several_distributions_may_share_a_module(installed: Path) -> None:
    install(installed, "tidal-a", "1.2", "tidal")
    install(installed, "tidal-b", "0.3", "tidal")
    assert distribution_of("tidal") == ("tidal-a, tidal-b", "1.2, 0.3")


def test_what_was_not_installed_from_an_index_counts_by_its_files(installed: Path) -> None:
    install(
        installed,
        "tidal",
        "1.2",
        "tidal",
        **{"direct_url.json": "{}", "RECORD": "tidal/__init__.py,sha256=a,1\n"},
    )
    one = distribution_of("tidal")
    (installed / "tidal-1.2.dist-info" / "RECORD").write_text("tidal/__init__.py,sha256=b,1\n")
    distribution_of.cache_clear()
    other = distribution_of("tidal")
    assert one != other
    assert [version.partition("+")[0] for _, version in (one, other)] == ["1.2", "1.2"]


def test_the_version_is_part_of_the_digest(project: Project, installed: Path) -> None:
    install(installed, "tidal", "1.2", "tidal")
    one = stage_using(project, "tidal")
    (installed / "tidal-1.2.dist-info" / "METADATA").write_text(METADATA.format("tidal", "1.3"))
    distribution_of.cache_clear()
    other = stage_using(project, "tidal")
    assert (one.packages, other.packages) == ((("tidal", "1.2"),), (("tidal", "1.3"),))
    assert one.digest != other.digest


def test_a_package_without_a_version_is_named(project: Project, installed: Path) -> None:
    (installed / "nameless").mkdir()
    code = stage_using(project, "nameless")
    assert "version of the package 'nameless'" in code.unresolved[0].reason
