"""Several users of one machine share a home by choice: each acts under its own name."""

from __future__ import annotations

import grp
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.people import open_as, write_settings
from tests.support.tides import LENIENT, Tides, day
from tests.support.users import USER
from tidemill.core.errors import TidemillError

_GID = next((each.gr_gid for each in grp.getgrall() if each.gr_gid not in (0, os.getegid())), -1)
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or _GID < 0,
    reason="only root can become other users, of a group that there is",
)


@pytest.fixture
def sea() -> Iterator[Tides]:
    """A project in a folder that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="tidemill-shared-") as name:
        root = Path(name)
        root.chmod(0o755)
        group = grp.getgrgid(_GID).gr_name
        write_settings(root, f'[tool.tidemill]\nworkflow = "tides:flow"\nhome_group = "{group}"\n')
        yield Tides(root, LENIENT)


@contextmanager
def user(uid: int, *groups: int) -> Iterator[None]:
    """Act as another user of the machine, with the umask that most have."""
    before, umask = os.getgroups(), os.umask(0o022)
    os.setgroups(groups)
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)
        os.umask(umask)


def test_members_of_the_group_run_rule_and_read(sea: Tides) -> None:
    def run_as_member() -> list[str]:
        with open_as(sea) as project:
            assert project.run().exit_code == 0
            return [run.actor for run in project.runs()]

    # What is imported late is in folders that other users may not enter.
    sea.send(0, (5000.0, 1.0))
    assert run_as_member() == [USER]
    with open_as(sea) as project:
        project.quarantine.drop("raw", day(0), reason="so")
    sea.send(1)
    with user(54_321, _GID):
        assert run_as_member() == ["uid:54321", USER]
    sea.send(2)
    with user(54_322, _GID):
        assert run_as_member() == ["uid:54322", "uid:54321", USER]
        with open_as(sea) as project:
            assert project.stored_state.verify().problems == ()
    sea.send(0, (5000.0, 1.0, 7000.0))
    assert run_as_member()[0] == USER
    home = sea.root / ".tidemill"
    for path in (home, *home.rglob("*")):
        found = path.lstat()
        assert found.st_gid == _GID, path
        wanted = 0o2770 if path.is_dir() else 0o660
        assert stat.S_IMODE(found.st_mode) == wanted, path


def test_others_are_kept_out(sea: Tides) -> None:
    sea.send(0)
    with open_as(sea) as project:
        project.run()
    with (
        user(54_323),
        open_as(sea) as project,
        pytest.raises(TidemillError, match="Permission denied"),
    ):
        project.runs()
