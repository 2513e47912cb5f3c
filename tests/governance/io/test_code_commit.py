"""The commit of the code in a folder."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.repository import git
from tidemill.governance.io.code_commit import code_commit


def test_the_commit_and_changes_since_it_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert code_commit(tmp_path) == {}
    git("init", "--quiet")
    assert code_commit(tmp_path) == {}
    (tmp_path / "a.py").write_text("1")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    commit = git("rev-parse", "HEAD").strip()
    (tmp_path / "untracked.csv").write_text("1")
    assert code_commit(tmp_path) == {"commit": commit}
    (tmp_path / "a.py").write_text("2")
    assert code_commit(tmp_path) == {"commit": commit, "changed": "yes"}


@pytest.mark.parametrize(
    "error", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 1.0)], ids=["none", "slow"]
)
def test_without_an_answer_of_git_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert code_commit(tmp_path) == {}
