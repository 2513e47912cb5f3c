"""The page about the architecture names modules that exist, all packages, and the enforced import order."""

from __future__ import annotations

import configparser
import re

import pytest

from tests.docs.pages import ROOT

PACKAGE = ROOT / "src" / "tidemill"
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w./]*/[\w./]*|[\w.]+\.(?:py|toml)")
FOLDERS = ("src/", "tools/", "tests/")
BLOCK = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def named_paths(text: str) -> list[str]:
    """What is set as code and looks like a file or a folder; a folder ends with a slash."""
    words = {word for code in CODE.findall(text) for word in code.split()}
    return sorted(word for word in words if PATH.fullmatch(word) and word not in (*FOLDERS, "io/"))


def blocks() -> tuple[str, str]:
    tree, order = BLOCK.findall(TEXT)
    return tree, order


def test_paths_are_found_in_prose() -> None:
    text = "in `planning/plan.py` and `adapters/lanes/`, `python tools/reference.py`, `tm.memo`, `a | b`"
    assert named_paths(text) == ["adapters/lanes/", "planning/plan.py", "tools/reference.py"]


@pytest.mark.parametrize("path", named_paths(TEXT))
def test_a_named_path_exists(path: str) -> None:
    found = [folder / path for folder in (PACKAGE, ROOT) if (folder / path).exists()]
    assert found, (
        f"docs/architecture.md names {path}, which is neither in src/tidemill nor in the root"
    )
    assert found[0].is_dir() == path.endswith("/")


def test_the_tree_names_every_package_once() -> None:
    named = [line.partition("/")[0] for line in blocks()[0].splitlines()]
    packages = [folder.name for folder in PACKAGE.iterdir() if any(folder.glob("**/*.py"))]
    assert sorted(named) == sorted(packages)


def test_every_package_of_the_tree_is_described() -> None:
    assert [
        line for line in blocks()[0].splitlines() if not re.match(r"\w+/ +\w.{9,}$", line)
    ] == []


def test_the_import_order_is_the_enforced_one() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / ".importlinter")
    layers = config["importlinter:contract:order"]["layers"].strip().splitlines()
    assert [existing(line) for line in layers if existing(line)] == [
        line.split(" | ") for line in blocks()[1].splitlines()
    ]


def existing(layer: str) -> list[str]:
    """The packages of a layer that are there; a name in parentheses may be absent."""
    names = [name.strip("() ") for name in layer.split("|")]
    return [n for n in names if any(PACKAGE.glob(f"{n}/*.py")) or (PACKAGE / f"{n}.py").is_file()]
