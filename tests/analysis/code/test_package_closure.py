"""The packages that packages need, as they are installed, and what they are installed on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.modules import Project
from tidemill.analysis.code.package_closure import dependency_closure, requirements_of

Packages = tuple[tuple[str, str], ...]


@pytest.fixture
def installed(project: Project) -> Iterator[Path]:
    """A folder of installed packages that is first on the import path."""
    folder = project.folder / "site-packages"
    folder.mkdir()
    sys.path.insert(0, str(folder))  # taken off again with the project's folder
    requirements_of.cache_clear()
    yield folder
    requirements_of.cache_clear()


def install(folder: Path, name: str, version: str, *needs: str, **files: str) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    lines += [f"Requires-Dist: {need}" for need in needs]
    text = "\n".join(lines) + "\n\nRequires-Dist: nothing\nVersion: of another thing\n"
    (info / "METADATA").write_text(text)
    for file, said in files.items():
        (info / file).write_text(said)


def test_what_is_needed_by_what_is_needed(installed: Path) -> None:
    install(installed, "tidal", "1.0", "tidal-b>=2", "tidal_c (>=1,<2)")
    install(installed, "tidal-b", "2.1", "Tidal.D")
    install(installed, "tidal-c", "1.1", "tidal-d~=3.0 ; python_version >= '3'")
    install(installed, "tidal-d", "3.0")
    install(installed, "tidal-e", "9.0")
    assert dependency_closure([("tidal", "1.0")]) == (
        ("tidal", "1.0"), ("tidal-b", "2.1"), ("tidal-c", "1.1"), ("tidal-d", "3.0"),
    )  # fmt: skip
    assert dependency_closure([("tidal-d", "3.0")]) == (("tidal-d", "3.0"),)
    assert dependency_closure([]) == ()


def test_what_is_not_installed_is_skipped(installed: Path) -> None:
    install(installed, "tidal", "1.0", "missing-one", "tidal-b")
    install(installed, "tidal-b", "2.1")
    assert dependency_closure([("tidal", "1.0")]) == (("tidal", "1.0"), ("tidal-b", "2.1"))
    assert dependency_closure([("missing-one", "")]) == (("missing-one", ""),)


def test_cycles(installed: Path) -> None:
    install(installed, "tidal", "1.0", "tidal-b")
    install(installed, "tidal-b", "2.1", "tidal[more]")
    both = (("tidal", "1.0"), ("tidal-b", "2.1"))
    assert dependency_closure([("tidal", "1.0")]) == both
    assert dependency_closure([("tidal-b", "2.1")]) == both


def test_optional_parts_count_when_they_are_asked_for(installed: Path) -> None:
    install(installed, "tidal", "1.0", "tidal-b", "tidal-c; extra == 'more'")
    install(installed, "tidal-b", "2.1", "tidal-d ; extra == 'D_part'", "tidal-e; extra == 'e'")
    install(installed, "tidal-c", "1.1")
    install(installed, "tidal-d", "3.0")
    install(installed, "tidal-e", "9.0")
    assert dependency_closure([("tidal", "1.0")]) == (("tidal", "1.0"), ("tidal-b", "2.1"))
    install(installed, "tidal-f", "1.0", "tidal-b", "tidal-b[d.part, other]", "tidal[all]")
    assert dependency_closure([("tidal-f", "1.0")]) == (
        ("tidal", "1.0"), ("tidal-b", "2.1"), ("tidal-d", "3.0"), ("tidal-f", "1.0"),
    )  # fmt: skip


def test_packages_count_as_they_are_given(installed: Path) -> None:
    install(installed, "tidal-a", "1.0", "tidal-b", "tidal-c")
    install(installed, "tidal-b", "2.1", "tidal-d")
    install(installed, "tidal-c", "1.1")
    install(installed, "tidal-d", "3.0")
    given = [("tidal-a, tidal-b", "1.0, 2.1"), ("Tidal_C", "1.1+abc"), ("numpy", "")]
    found = dependency_closure(given)
    assert found == (*sorted([*given, ("tidal-d", "3.0")]),)


def test_what_was_not_installed_from_an_index_counts_by_its_files(installed: Path) -> None:
    install(installed, "tidal", "1.0", "tidal-b")
    files = {"direct_url.json": "{}", "RECORD": "tidal_b.py,sha256=a,1\n"}
    install(installed, "tidal-b", "2.1", **files)
    one = dependency_closure([("tidal", "1.0")])
    (installed / "tidal_b-2.1.dist-info" / "RECORD").write_text("tidal_b.py,sha256=b,1\n")
    assert dependency_closure([("tidal", "1.0")]) == one  # it is read once a process
    requirements_of.cache_clear()
    other = dependency_closure([("tidal", "1.0")])
    assert one != other
    assert one[1][1].startswith("2.1+")


def test_an_older_format(installed: Path) -> None:
    info = installed / "tidal-1.0.egg-info"
    info.mkdir()
    (info / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: tidal\nVersion: 1.0\n\nText\n")
    (info / "requires.txt").write_text("tidal-b>=2\n\n[more]\ntidal-c\n")
    install(installed, "tidal-b", "2.1")
    install(installed, "tidal-c", "1.1")
    assert dependency_closure([("tidal", "1.0")]) == (("tidal", "1.0"), ("tidal-b", "2.1"))
    install(installed, "tidal-d", "1.0", "tidal[more]")
    assert ("tidal-c", "1.1") in dependency_closure([("tidal-d", "1.0")])


def test_a_distribution_that_says_nothing(installed: Path) -> None:
    install(installed, "tidal", "1.0", "tidal-b", "!")
    (installed / "tidal_b-2.1.dist-info").mkdir()
    assert dependency_closure([("tidal", "1.0")]) == (("tidal", "1.0"), ("tidal-b", ""))


def test_the_real_thing() -> None:
    names = [name for name, _ in dependency_closure([("lightgbm", "")])]
    assert {"lightgbm", "numpy", "scipy"} <= set(names)
    assert names == sorted(names)
    assert not {"pytest", "pandas", "tidemill"} & set(names)  # only optional parts need them
