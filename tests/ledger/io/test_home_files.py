"""What is created in a shared folder is shared with its group, and everything else is private."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.core.errors import StorageError, UsageError
from tidemill.ledger.io.home_files import (
    SHARED_FOLDER,
    is_shared,
    make_home,
    make_private_folder,
    open_private,
)

OWN_GROUP = grp.getgrgid(os.getegid()).gr_name
NEW = os.O_WRONLY | os.O_CREAT


@pytest.fixture(params=[0o000, 0o022, 0o077], autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_home_is_private_unless_a_group_is_named(tmp_path: Path) -> None:
    make_home(tmp_path / "own")
    make_home(tmp_path / "shared", OWN_GROUP)
    assert (mode(tmp_path / "own"), mode(tmp_path / "shared")) == (0o700, SHARED_FOLDER)
    for name in ("own", "shared"):
        make_private_folder(tmp_path / name / "a" / "b")
        os.close(open_private(tmp_path / name / "a" / "b" / "file", NEW))
        os.close(open_private(tmp_path / name / "a" / "b" / "file", os.O_RDONLY))
        # As before, also when they exist.
        make_home(tmp_path / name, OWN_GROUP if name == "shared" else "")
        make_private_folder(tmp_path / name / "a" / "b")
    assert mode(tmp_path / "own" / "a" / "b") == 0o700
    assert mode(tmp_path / "own" / "a" / "b" / "file") == 0o600
    assert mode(tmp_path / "shared" / "a" / "b") == SHARED_FOLDER
    assert mode(tmp_path / "shared" / "a" / "b" / "file") == 0o660
    assert is_shared(tmp_path / "shared" / "a")
    assert not is_shared(tmp_path / "own" / "a")


def test_a_folder_that_the_group_may_not_write_or_does_not_pass_on_is_private(
    tmp_path: Path,
) -> None:
    for number, bits in enumerate((0o770, 0o2750, 0o2700, 0o777)):
        folder = tmp_path / str(number)
        folder.mkdir()
        folder.chmod(bits)
        os.close(open_private(folder / "file", NEW))
        assert mode(folder / "file") == 0o600


def test_a_home_that_is_not_shared_is_named(tmp_path: Path) -> None:
    make_home(tmp_path / "home")
    with pytest.raises(StorageError, match=rf"isn't shared with the group {OWN_GROUP} .*`chgrp -R"):
        make_home(tmp_path / "home", OWN_GROUP)
    with pytest.raises(UsageError, match="there is no group 'no such group'"):
        make_home(tmp_path / "other", "no such group")
    assert not (tmp_path / "other").exists()


def test_a_group_of_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, uid: int, gid: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(StorageError, match="only root and its members can"):
        make_home(tmp_path / "home", OWN_GROUP)
    assert not (tmp_path / "home").exists()


def test_a_file_of_another_user_is_opened_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_home(tmp_path / "home", OWN_GROUP)
    (tmp_path / "home" / "file").touch(mode=0o600)

    def refuse(descriptor: int, bits: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchmod", refuse)
    os.close(open_private(tmp_path / "home" / "file", NEW))
    assert mode(tmp_path / "home" / "file") == 0o600


def test_a_home_that_was_moved_away_is_not_made_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    make_private_folder(home / "logs" / "run", below=home)
    home.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError, match="was moved or removed") as caught:
        make_private_folder(home / "logs" / "run", below=home)
    assert caught.value.filename == str(home)
    assert not home.exists()
