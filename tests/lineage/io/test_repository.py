"""Where files are in a repository, and on the pages of its server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.repository import git
from tidemill.lineage.io.repository import find_repository, page_of


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


def test_a_file_is_known_as_it_is_committed(repository: Path) -> None:
    file = repository / "sub folder" / "flow.py"
    assert find_repository(repository).location(file) is None
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    known = find_repository(file.parent)
    found = known.location(file)
    assert found is not None
    page = "https://gitlab.shop.com/team/tides"
    assert found.url == f"{page}/-/blob/{found.commit}/sub%20folder/flow.py"
    assert (found.repository, found.path) == (page, "sub folder/flow.py")
    assert known.location(file) is found
    file.write_text("flow = 2\n")
    assert find_repository(repository).location(file) is None
    (repository / "new.py").write_text("")
    assert known.location(repository / "new.py") is None
    assert known.location(Path("/elsewhere.py")) is None


def test_without_a_server_or_a_repository_there_is_nothing(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    git("remote", "remove", "origin")
    file = repository / "sub folder" / "flow.py"
    assert find_repository(repository).location(file) is None
    monkeypatch.setenv("PATH", "")
    assert find_repository(repository).location(file) is None
