"""A Unix socket that only its owner, or a group, may connect to; what was left there is replaced."""

from __future__ import annotations

import grp
import os
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tidemill.core.errors import UsageError
from tidemill.serving.io.unix_listener import unix_listener


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def reaches(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_only_its_owner_may_connect_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        with unix_listener(path) as listener:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert reaches(path)
            assert not listener.getblocking()
    finally:
        os.umask(before)
    assert not path.exists()


def test_the_members_of_a_group_may_connect(path: Path) -> None:
    own = grp.getgrgid(os.getegid())
    with unix_listener(path, own.gr_name):
        found = path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, own.gr_gid)


def test_an_unknown_group_is_named(path: Path) -> None:
    with pytest.raises(UsageError, match="no group 'nobodies' in this system"):  # noqa: SIM117
        with unix_listener(path, "nobodies"):
            pass
    assert not path.exists()


def test_what_a_killed_server_left_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    with unix_listener(path):
        assert reaches(path)


def test_another_server_is_left_alone(path: Path) -> None:
    with unix_listener(path):
        with pytest.raises(UsageError, match=f"another server listens on {path}"):  # noqa: SIM117
            with unix_listener(path):
                pass
        assert reaches(path)


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone(path: Path, kind: str) -> None:
    if kind == "file":
        path.write_text("mine")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("elsewhere")
    with pytest.raises(UsageError, match="is no socket: name another path"):  # noqa: SIM117
        with unix_listener(path):
            pass
    assert os.path.lexists(path)


def test_a_socket_that_took_its_place_is_left_alone(path: Path) -> None:
    with unix_listener(path):
        path.rename(path.with_suffix(".old"))
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
    assert path.is_socket()


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="longer than the 103 bytes"):  # noqa: SIM117
        with unix_listener(tmp_path / ("x" * 100)):
            pass


def test_a_folder_that_is_missing_is_said_by_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):  # noqa: SIM117
        with unix_listener(tmp_path / "absent" / "s"):
            pass


def test_of_servers_that_begin_at_once_one_listens(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    begin, done = threading.Barrier(8), threading.Barrier(8)

    def listen(_: int) -> bool:
        begin.wait(60)
        try:
            with unix_listener(path):
                done.wait(60)
                return reaches(path)
        except UsageError:
            done.wait(60)
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(listen, range(8))) == [False] * 7 + [True]
