"""The commit that is checked out, without git."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.repository import git
from tidemill.lineage.io.git_head import find_repository, is_shallow, read_head


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path / "own")
    git("init", "--quiet")
    return tmp_path / "own"


def committed(name: str = "a") -> str:
    Path(name).write_text(name)
    git("add", ".")
    git("commit", "--quiet", "-m", name)
    return git("rev-parse", "HEAD").strip()


def head_of(folder: Path) -> str | None:
    found = find_repository(folder)
    assert found is not None
    return read_head(found)


def test_it_is_found_wherever_git_keeps_it(repository: Path) -> None:
    assert head_of(repository) == ""
    first = committed()
    (repository / "deep" / "er").mkdir(parents=True)
    assert head_of(repository / "deep" / "er") == first
    git("pack-refs", "--all")
    assert head_of(repository) == first
    second = committed("b")
    assert head_of(repository) == second
    git("checkout", "--quiet", "--detach", first)
    assert head_of(repository) == first
    assert not is_shallow(repository / ".git")


def test_work_trees_and_submodules_have_their_own(repository: Path, tmp_path: Path) -> None:
    first = committed()
    git("worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    committed("b")
    assert head_of(tmp_path / "side") == first
    git("pack-refs", "--all")
    assert head_of(tmp_path / "side") == first
    git("clone", "--quiet", "--depth=1", f"file://{repository}", str(tmp_path / "cut"))
    assert is_shallow(tmp_path / "cut" / ".git")
    # The file of a submodule has a relative path.
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".git").write_text("gitdir: ../own/.git\n")
    assert head_of(tmp_path / "sub") == head_of(repository)


def test_without_a_repository_there_is_none(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("no link")
    assert find_repository(tmp_path) is None
    (tmp_path / ".git").unlink()
    # There may be one above the folder of the tests.
    assert find_repository(Path("/")) is None


@pytest.mark.parametrize(
    ("head", "found"),
    [
        ("", None),
        ("nonsense", None),
        ("ref: refs/heads/.invalid\n", None),
        ("ref: refs/heads/none\n", ""),
        ("ref: refs/heads/broken\n", None),
        ("ref: refs/heads/\0\n", ""),
        (f"{'a' * 64}\n", "a" * 64),
    ],
)
def test_what_it_cannot_read_is_left_to_git(tmp_path: Path, head: str, found: str | None) -> None:
    (tmp_path / "refs" / "heads").mkdir(parents=True)
    (tmp_path / "refs" / "heads" / "broken").write_text("xyz")
    (tmp_path / "packed-refs").write_text("# pack-refs\nabc refs/heads/none\n")
    (tmp_path / "HEAD").write_text(head)
    assert read_head(tmp_path) == found


def test_a_folder_without_a_head_says_nothing(tmp_path: Path) -> None:
    assert read_head(tmp_path) is None


def test_refs_in_tables_are_left_to_git(tmp_path: Path) -> None:
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / "reftable").mkdir()
    assert read_head(tmp_path) is None
