"""A run records which commits it executes for the first time, and nothing about that fails it."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.repository import git
from tests.support.tides import Tides, flow_of
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.ledger.change_events import ChangesSeen
from tidemill.project.project import open_project


class Harbour(Tides):
    """A project whose text is committed."""

    def commit(self, text: str = "", *, name: str = "flow.py") -> str:
        Path(name).write_text(text or self.text)
        git("add", name)
        git("commit", "--quiet", "-m", "secret words")
        return git("rev-parse", "HEAD").strip()

    def seen(self) -> list[ChangesSeen]:
        return [event for event in self.events("ChangesSeen") if isinstance(event, ChangesSeen)]


@pytest.fixture
def harbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harbour:
    found = Harbour(tmp_path)
    found.send(0)
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    return found


def test_what_each_commit_changes_is_recorded_once(harbour: Harbour) -> None:
    first = harbour.commit()
    harbour.ok()
    (seen,) = harbour.seen()
    assert (seen.environment, seen.head, seen.problem) == ("prod", first, "")
    assert [commit.id for commit in seen.commits] == [first]
    assert (seen.stages, seen.delivers) == (("raw", "doubled", "daily"), ())
    assert not seen.edited
    harbour.ok()
    assert len(harbour.seen()) == 1

    # What touches no file of the workflow is seen, and is no change.
    second = harbour.commit("words", name="README.md")
    third = harbour.commit(harbour.text + "\n# a remark\n")
    harbour.ok()
    (_, seen) = harbour.seen()
    assert (seen.head, seen.commits, seen.stages) == (third, (), ())
    assert second != third

    harbour.edit("value * 2", "value * 3")
    fourth = harbour.commit()
    harbour.ok()
    (_, _, seen) = harbour.seen()
    assert [commit.id for commit in seen.commits] == [fourth]
    assert seen.stages == ("doubled",)


def test_what_ran_before_it_was_committed_counts_when_it_is(harbour: Harbour) -> None:
    harbour.commit()
    harbour.ok()
    harbour.edit("value * 2", "value * 3")
    harbour.ok()
    commit = harbour.commit()
    harbour.ok()
    (_, seen) = harbour.seen()
    assert ([each.id for each in seen.commits], seen.stages) == ([commit], ("doubled",))


def test_code_from_elsewhere_counts_with_the_commit_that_is_checked_out(harbour: Harbour) -> None:
    harbour.commit("", name="flow.py")
    harbour.ok()
    harbour.edit("value * 2", "value * 3")
    head = harbour.commit("words", name="README.md")
    harbour.ok()
    assert [each.id for each in harbour.seen()[-1].commits] == [head]


def test_a_home_from_before_has_only_changes_since(harbour: Harbour) -> None:
    harbour.ok()
    harbour.edit("value * 2", "value * 3")
    commit = harbour.commit()
    harbour.ok()
    (seen,) = harbour.seen()
    assert ([each.id for each in seen.commits], seen.stages) == ([commit], ("doubled",))


def test_a_branch_of_the_environment_goes_on_from_production(harbour: Harbour) -> None:
    first = harbour.commit()
    harbour.ok()
    harbour.edit("value * 2", "value * 3")
    second = harbour.commit()
    branch = run_in(harbour, "dev")
    assert branch.environment == "tides/dev"
    assert [each.id for each in branch.commits] == [second]
    git("checkout", "--quiet", "--detach", first)
    harbour.edit("value * 3", "value * 2")
    branch = run_in(harbour, "dev")
    assert (branch.head, branch.gone) == (first, (second,))


def test_what_a_branch_samples_is_no_change(harbour: Harbour) -> None:
    harbour.commit()
    harbour.ok()
    harbour.edit("value * 2", "value * 3")
    commit = harbour.commit()
    seen = run_in(harbour, "dev", sample=0.5)
    assert ([each.id for each in seen.commits], seen.stages) == ([commit], ("doubled",))
    # Nor is that production has all rows.
    harbour.ok()
    assert harbour.seen()[-1].stages == ("doubled",)


def run_in(harbour: Harbour, environment: str, sample: float | None = None) -> ChangesSeen:
    """Run in an environment, and return what was recorded last."""
    flow = flow_of(harbour.root, harbour.text)
    project = open_project(harbour.root, workflow=flow, env=environment, sample=sample)
    try:
        project.run()
    finally:
        project.close()
    with closing(SqliteLedger(harbour.root / ".tidemill" / "ledger.db")) as ledger:
        *_, last = ledger.events(kinds=("ChangesSeen",))
    assert isinstance(last.event, ChangesSeen)
    return last.event


@pytest.mark.parametrize("error", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 1)])
def test_what_a_git_that_gives_no_answer_leaves_unknown_is_asked_again(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    harbour.commit()
    harbour.ok()
    harbour.edit("value * 2", "value * 3")
    commits = [harbour.commit()]

    def fail(*_: Any, **__: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", fail)
        harbour.ok()
    assert len(harbour.seen()) == 1
    harbour.edit("value * 3", "value * 4")
    commits.append(harbour.commit())
    harbour.ok()
    (_, seen) = harbour.seen()
    assert ([each.id for each in seen.commits], seen.stages) == (commits, ("doubled",))


def test_a_git_that_fails_leaves_commits_unknown(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = harbour.commit()

    def fail(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 128, "", "")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", fail)
        harbour.ok()
    harbour.ok()
    (seen,) = harbour.seen()
    assert (seen.head, seen.commits, seen.problem) == (head, (), "git didn't list the commits")


def test_the_first_run_in_an_old_repository_is_no_slow_delivery(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("GIT_COMMITTER_DATE", "2020-01-01T00:00:00Z")
        old = harbour.commit()
    harbour.ok()
    (seen,) = harbour.seen()
    assert (seen.head, seen.commits) == (old, ())
    harbour.edit("value * 2", "value * 3")
    commit = harbour.commit()
    harbour.ok()
    assert [each.id for each in harbour.seen()[-1].commits] == [commit]


def test_a_run_without_anything_to_do_starts_no_git(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    harbour.commit()
    harbour.ok()

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("git was asked")

    monkeypatch.setattr(subprocess, "run", fail)
    harbour.ok()
    assert len(harbour.seen()) == 1


@pytest.mark.parametrize("state", ["no commit", "no repository", "nonsense"])
def test_without_a_commit_nothing_is_recorded(harbour: Harbour, state: str) -> None:
    if state == "nonsense":
        harbour.commit()
        (harbour.root / ".git" / "HEAD").write_text("nonsense")
    elif state == "no repository":
        (harbour.root / ".git" / "HEAD").rename(harbour.root / "HEAD")
        (harbour.root / ".git" / "refs").rename(harbour.root / "refs")
    harbour.ok()
    assert harbour.seen() == []


def test_a_project_behind_a_link_is_in_the_repository_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "repository" / "flow").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "repository" / "flow")
    monkeypatch.chdir(tmp_path / "repository")
    git("init", "--quiet")
    harbour = Harbour(tmp_path / "link")
    harbour.send(0)
    head = harbour.commit(name="flow/flow.py")
    harbour.ok()
    assert [seen.head for seen in harbour.seen()] == [head]
