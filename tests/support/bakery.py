"""The project that `tidemill init` writes, made and run once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.commands import process
from tests.support.repository import git
from tidemill.cli.init import create_project


@pytest.fixture(scope="session")
def fresh_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "bakery"
    create_project(folder)
    return folder


@pytest.fixture(scope="session")
def built_template(fresh_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "bakery"
    shutil.copytree(fresh_template, folder)
    ended = process("run", cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


@pytest.fixture
def fresh(fresh_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project as `init` left it, which is also the current folder."""
    shutil.copytree(fresh_template, tmp_path / "bakery")
    monkeypatch.chdir(tmp_path / "bakery")
    return tmp_path / "bakery"


@pytest.fixture
def built(built_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same after its first run."""
    shutil.copytree(built_template, tmp_path / "bakery")
    monkeypatch.chdir(tmp_path / "bakery")
    return tmp_path / "bakery"


@pytest.fixture
def committed(fresh: Path) -> Path:
    """The fresh project in a repository with one commit."""
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    return fresh
