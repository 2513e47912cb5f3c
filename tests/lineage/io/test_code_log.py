"""The commits between two heads of real repositories, and a git that doesn't answer."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.repository import git
from tidemill.ledger.commit import Commit
from tidemill.lineage.code_changes import CommitRange
from tidemill.lineage.io.code_log import ask_head, is_edited, read_commit, read_commits


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project below the root of its repository."""
    (tmp_path / "top" / "flow").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "top")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    git("init", "--quiet", "--initial-branch=main")
    return tmp_path / "top" / "flow"


def committed(path: str, monkeypatch: pytest.MonkeyPatch, at: int = 1_000_000_000) -> str:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{at} {file.read_text() if file.exists() else ''}")
    monkeypatch.setenv("GIT_COMMITTER_DATE", f"{at} +0530")
    monkeypatch.setenv("GIT_AUTHOR_DATE", f"{at - 60} -0800")
    git("add", ".")
    git("commit", "--quiet", "-m", f"an address: ann@example.org {path}")
    return git("rev-parse", "HEAD").strip()


def found(root: Path, before: str, head: str) -> CommitRange:
    return read_commits(root, root.parent / ".git", before, head)


def ids(seen: CommitRange) -> list[str]:
    return [commit.id for commit in seen.commits]


def test_commits_that_touch_the_workflow_are_listed_without_what_is_personal(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = committed("flow/flow.py", monkeypatch)
    for other in (
        "README.md",
        "other/a.py",
        "flow/tests/test_a.py",
        "flow/test_b.py",
        "flow/a.csv",
    ):
        committed(other, monkeypatch)
    # The times of commits go backwards.
    second = committed("flow/pyproject.toml", monkeypatch, at=900_000_000)
    third = committed("flow/deep/$(touch owned) \n[x].py", monkeypatch, at=1_100_000_000)
    assert found(root, first, third) == CommitRange(
        commits=(
            Commit(id=second, at=900_000_000.0, authored=899_999_940.0),
            Commit(id=third, at=1_100_000_000.0, authored=1_099_999_940.0),
        )
    )
    assert ids(found(root, "", second)) == [second]
    assert ids(read_commit(root, first)) == [first]
    assert ask_head(root) == third


def test_a_merge_is_no_change_but_what_it_merges(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = committed("flow/a.py", monkeypatch)
    git("checkout", "--quiet", "-b", "side")
    side = committed("flow/b.py", monkeypatch)
    git("checkout", "--quiet", "main")
    main = committed("flow/c.py", monkeypatch)
    git("merge", "--quiet", "--no-edit", "side")
    assert sorted(ids(found(root, first, ask_head(root)))) == sorted([side, main])


def test_a_history_that_was_rewritten_takes_commits_back(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed("flow/a.py", monkeypatch)
    before = committed("flow/b.py", monkeypatch)
    git("reset", "--quiet", "--hard", "HEAD~1")
    after = committed("flow/b.py", monkeypatch, at=1_000_000_500)
    seen = found(root, before, after)
    assert (ids(seen), seen.gone) == ([after], (before,))


def test_a_commit_that_is_not_there_any_more_leaves_the_newest(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed("flow/a.py", monkeypatch)
    head = committed("flow/b.py", monkeypatch)
    seen = found(root, "f" * 40, head)
    assert (ids(seen), seen.gone, seen.problem) == (
        [head], (), "the commit of the run before isn't in this clone"
    )  # fmt: skip


def test_a_shallow_clone_takes_nothing_back(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = committed("flow/a.py", monkeypatch)
    git("checkout", "--quiet", "-b", "side")
    committed("flow/b.py", monkeypatch)
    head = committed("flow/c.py", monkeypatch)
    clone = tmp_path / "cut"
    git("clone", "--quiet", "--depth=1", "--branch=side", f"file://{root.parent}", str(clone))
    monkeypatch.chdir(clone)
    assert read_commits(clone / "flow", clone / ".git", before, head).problem
    # Also where the commit before is there, but not what it has in common with this one.
    git("fetch", "--quiet", "--depth=1", "origin", "main")
    seen = read_commits(clone / "flow", clone / ".git", before, head)
    assert (ids(seen), seen.gone) == ([head], ())


def test_what_a_hook_sets_is_not_followed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = committed("flow/a.py", monkeypatch)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert ids(found(root, "", head)) == [head]
    assert not is_edited(root)


def test_tracked_files_are_edited_or_not(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed("flow/a.py", monkeypatch)
    committed("other.py", monkeypatch)
    (root / "new.py").write_text("untracked")
    (root.parent / "other.py").write_text("another project")
    assert not is_edited(root)
    (root / "a.py").write_text("edited")
    assert is_edited(root)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (FileNotFoundError("git"), "git can't be started"),
        (subprocess.TimeoutExpired("git", 1.0), "git took longer than 10 s"),
    ],
    ids=["none", "slow"],
)
def test_without_an_answer_commits_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, problem: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    unknown = CommitRange(problem=problem, passing=True)
    assert read_commits(tmp_path, tmp_path, "a" * 40, "b" * 40) == unknown
    assert read_commits(tmp_path, tmp_path, "", "b" * 40) == unknown
    assert read_commit(tmp_path, "b" * 40) == unknown
    assert (ask_head(tmp_path), is_edited(tmp_path)) == ("", True)


def test_a_folder_without_a_repository_has_no_commits(tmp_path: Path) -> None:
    failed = CommitRange(problem="git didn't list the commits")
    assert read_commits(tmp_path, tmp_path, "", "b" * 40) == failed
