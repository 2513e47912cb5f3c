"""Globs match what `glob.glob` finds, and folders that may hold files are watched."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.core.file_pattern import FilePattern

NAMES = ("a", "b", "ab", ".h", "c.csv", "d.csv", "[x].csv")
SEGMENTS = ("a", "b", "*", "a*", "**", "*.csv", "[ab]", ".*", "c.csv", "?")

paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)
patterns = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4)


@given(paths=st.lists(paths, min_size=1, max_size=6), pattern=patterns)
def test_a_pattern_matches_the_files_that_glob_finds(
    tmp_path_factory: pytest.TempPathFactory, paths: list[list[str]], pattern: list[str]
) -> None:
    if pattern[-1] == "**":
        # It finds folders as well, of which no source is made.
        pattern = [*pattern, "*"]
    root = tmp_path_factory.mktemp("tree")
    for names in paths:
        place = root.joinpath(*names)
        if not any(parent.is_file() for parent in [place, *place.parents]) and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
    text = os.path.join(glob.escape(str(root)), *pattern)
    known = FilePattern(text)
    found = {path for path in glob.glob(text, recursive=True) if os.path.isfile(path)}
    files = {str(path) for path in root.rglob("*") if path.is_file()}
    assert {path for path in files if known.matches(path)} == found
    for path in found:
        for folder in Path(path).parents:
            assert known.may_hold(str(folder))


@pytest.mark.parametrize(
    ("pattern", "base"),
    [
        ("/data/sales/*.csv", "/data/sales"),
        ("/data/*/x.csv", "/data"),
        ("/data/x.csv", "/data"),
        ("/*.csv", "/"),
    ],
)
def test_everything_that_matches_lies_below_the_base(pattern: str, base: str) -> None:
    assert FilePattern(pattern).base == base


def test_folders_beside_the_base_hold_nothing() -> None:
    pattern = FilePattern("/data/*/in/**/*.csv")
    assert pattern.may_hold("/")
    assert pattern.may_hold("/data/x")
    assert pattern.may_hold("/data/x/in/deep/er")
    assert not pattern.may_hold("/data/x/out")
    assert not pattern.may_hold("/data/x/in/.hidden/er")
    assert not pattern.may_hold("/other")
    assert not FilePattern("/data/*.csv").may_hold("/data/x")
