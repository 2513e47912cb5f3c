"""Where files are in a repository, and on the pages of its server."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.repository import git
from tidemill.lineage.io.repository import find_code, page_of
from tidemill.lineage.openlineage.facets import CodeLocation


@pytest.mark.parametrize(
    ("remote", "page"),
    [
        ("git@github.com:shop/tides.git", "https://github.com/shop/tides"),
        ("https://ana:s3cret@github.com/shop/tides.git", "https://github.com/shop/tides"),
        ("https://s3cret@git.shop.com:8443/a/b/tides/", "https://git.shop.com/a/b/tides"),
        ("ssh://git@git.shop.com:22/a/b.git", "https://git.shop.com/a/b"),
        ("git.shop.com:a b.git", "https://git.shop.com/a%20b"),
        ("/srv/git/tides.git", ""),
        ("../tides", ""),
        ("file:///srv/tides", ""),
        ("", ""),
    ],
)
def test_pages(remote: str, page: str) -> None:
    assert page_of(remote) == page


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    git("remote", "add", "origin", "https://gitlab.shop.com/team/tides.git")
    (tmp_path / "sub folder").mkdir()
    (tmp_path / "sub folder" / "flow.py").write_text("flow = 1\n")
    return tmp_path


def location(file: Path, folder: Path) -> CodeLocation | None:
    return find_code(folder, [file]).get(file)


@pytest.mark.parametrize("name", ["flow.py", "[f]*?.py", ":(top)ü \n.py"])
def test_a_file_is_known_as_it_is_committed(repository: Path, name: str) -> None:
    file = repository / "sub folder" / name
    file.write_text("flow = 1\n")
    assert location(file, repository) is None
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    found = location(file, file.parent)
    assert found is not None
    page = "https://gitlab.shop.com/team/tides"
    assert found.url == f"{page}/-/blob/{found.commit}/sub%20folder/{quote(name)}"
    assert (found.repository, found.path) == (page, f"sub folder/{name}")
    others = [repository / "new.py", Path("/elsewhere.py"), Path("no\0file")]
    others[0].write_text("")
    assert find_code(repository, [file, *others]) == {file: found}
    file.write_text("flow = 2\n")
    assert location(file, repository) is None
    git("add", ".")
    assert location(file, repository) is None


def test_without_a_server_or_a_repository_there_is_nothing(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    file = repository / "sub folder" / "flow.py"
    assert location(file, repository) is not None
    assert find_code(repository, [file], limit_s=0) == {}
    git("remote", "remove", "origin")
    assert location(file, repository) is None
    monkeypatch.setenv("PATH", "")
    assert location(file, repository) is None


def test_git_isnt_asked_for_each_file(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    asked: list[object] = []
    run = subprocess.run

    def count(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        return run(*arguments, **options)

    monkeypatch.setattr(subprocess, "run", count)
    files = [repository / "sub folder" / f"{number}.py" for number in range(50)]
    assert find_code(repository, [*files, repository / "sub folder" / "flow.py"])
    assert len(asked) == 4


def test_git_that_fails_in_between(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    run = subprocess.run

    def fail(arguments: list[str], **options: Any) -> Any:
        if "ls-tree" in arguments:
            raise subprocess.TimeoutExpired(arguments, 1.0)
        return run(arguments, **options)

    monkeypatch.setattr(subprocess, "run", fail)
    assert location(repository / "sub folder" / "flow.py", repository) is None
