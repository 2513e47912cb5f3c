"""A home that is moved is the same elsewhere, and nobody uses the old one by mistake."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.commands import tidemill
from tests.support.tides import Tides, day, flow_of
from tidemill.adapters.sqlite.integrity import find_damage
from tidemill.core.errors import ConflictError, StorageError, UsageError
from tidemill.project import home_move
from tidemill.project.home_ledger import ledger_file
from tidemill.project.home_move import HomeMove
from tidemill.project.project import Project
from tidemill.project.settings import find_settings

DAYS = 3


class Moving(Tides):
    """A project whose settings say where its home is."""

    def open(self) -> Project:
        project = Project(find_settings(self.root), flow_of(self.root, self.text), "prod")
        project.workspace.tools = self.change(project.tools)
        return project

    def set(self, **values: str) -> None:
        """Write the settings."""
        lines = [
            f'{name} = "{value}"' for name, value in {"workflow": "tides:flow", **values}.items()
        ]
        (self.root / "pyproject.toml").write_text("\n".join(["[tool.tidemill]", *lines, ""]))

    def move(self, target: str, artifacts: str = "") -> home_move.MovedHome:
        with self.open() as project:
            return HomeMove(project.workspace).move(target, artifacts)

    @property
    def file(self) -> Path:
        return ledger_file(find_settings(self.root))


@pytest.fixture
def tides(tmp_path: Path) -> Moving:
    found = Moving(tmp_path / "project")
    found.set()
    for number in range(DAYS):
        found.send(number)
    found.ok()
    found.send(1, (7.0, 8.0))
    found.ok()
    return found


def recorded(path: Path, count: int) -> list[tuple[object, ...]]:
    """The first events of a ledger's file as they are stored, with their links."""
    query = "SELECT * FROM events JOIN links USING (seq) ORDER BY seq LIMIT ?"
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query, (count,)).fetchall()


def test_there_and_back_again(tides: Moving, new_home: Callable[[], str], tmp_path: Path) -> None:
    url, store, contents = new_home(), f"file://{tmp_path}/store", tides.contents()
    with tides.open() as project:
        lease = project.tools.ledger.acquire(
            "run:dev", {}, now=time.time(), ttl=60.0, dead=lambda _: False
        )
        project.tools.ledger.release(lease)
    there = tides.move(url, store)
    before = recorded(tides.root / ".tidemill" / "ledger.db", there.events)
    tides.set(home=url, artifacts=store)
    assert tides.contents() == contents
    assert recorded(tides.file, there.events) == before
    assert tides.ok() == {}
    with tides.open() as project:
        assert project.stored_state.verify(deep=True).problems == ()
        # Nobody gets the token of a lease from before.
        again = project.tools.ledger.acquire(
            "run:dev", {}, now=time.time(), ttl=60.0, dead=lambda _: False
        )
        assert again.token > lease.token
        project.tools.ledger.release(again)
    back = tides.move("home", home_move.IN_HOME)
    assert back.objects == there.objects > 0
    assert back.object_bytes == there.object_bytes > 0
    tides.set(home="home")
    assert find_damage(tides.file) == []
    assert recorded(tides.file, there.events) == before
    assert tides.ok() == {}
    assert tides.contents() == contents
    tides.send(2, (1.0,))
    assert {*tides.ok()} == {"ok run raw", "ok run doubled", "ok run daily"}


def test_the_old_home_is_not_used_any_more(
    tides: Moving, new_home: Callable[[], str], tmp_path: Path
) -> None:
    url, store = new_home(), f"file://{tmp_path}/store"
    tides.move(url, store)
    with pytest.raises(
        StorageError, match=r"was moved to postgresql://.*set home .*delete .*moved-to"
    ):
        tides.run()
    tides.set(home=url, artifacts=store)
    with tides.open() as other:
        other.state()
        with tides.open() as project:
            HomeMove(project.workspace).move("back", home_move.IN_HOME)
        with pytest.raises(StorageError, match=r"was moved to .*/back on "):
            other.state()
    with pytest.raises(StorageError, match=r"was moved to .*/back on "):
        tides.run()


@pytest.mark.parametrize("last", ["_copy_objects", "_require_sound", "open_ledger"])
def test_a_move_that_was_killed_can_be_repeated(
    tides: Moving,
    new_home: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    last: str,
) -> None:
    url, store = new_home(), f"file://{tmp_path}/store"

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(home_move, last, die)
        tides.move(url, store)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with pytest.raises(StorageError, match=r"is being moved to postgresql://.*interrupted.*delete"):
        tides.run()
    (tides.root / ".tidemill" / "moved-to").unlink()
    assert tides.ok() == {}
    tides.set(home=url, artifacts=store)
    with pytest.raises(StorageError, match=r"another home is being moved to .* call it again"):
        tides.run()
    tides.set()
    tides.move(url, store)
    tides.set(home=url, artifacts=store)
    assert tides.ok() == {}


def test_only_objects_are_moved(tides: Moving, tmp_path: Path) -> None:
    store = f"file://{tmp_path}/store"
    found = tides.move("other", store)
    assert found.objects > 0
    tides.set(home="other", artifacts=store)
    assert tides.ok() == {}
    assert not (tides.root / "other" / "objects").exists()
    # The other way round the objects stay where they are.
    assert tides.move("third").objects == 0
    tides.set(home="third", artifacts=store)
    assert tides.ok() == {}


def test_what_is_damaged_is_told_and_computed_again(
    tides: Moving, new_home: Callable[[], str], tmp_path: Path
) -> None:
    url, store = new_home(), f"file://{tmp_path}/store"
    with tides.open() as project:
        [name] = project.state().heads["doubled"].partitions[day(2)].product.objects
    stored = next((tides.root / ".tidemill" / "objects").rglob(name))
    stored.write_bytes(b"damaged")
    assert tides.move(url, store).missing == (name,)
    tides.set(home=url, artifacts=store)
    assert tides.ok() == {"ok run doubled": [day(2)]}


def assert_usable(tides: Moving) -> None:
    """The home is where it was, as it was."""
    assert tides.ok() == {}
    assert sorted(path.name for path in tides.root.iterdir()) == [
        ".tidemill", "data", "pyproject.toml", "tides.py",
    ]  # fmt: skip


def test_an_error_leaves_the_home_where_it_is(
    tides: Moving,
    new_home: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, store = new_home(), f"file://{tmp_path}/store"
    with pytest.raises(UsageError, match="so must be the objects"):
        tides.move(url)
    with pytest.raises(UsageError, match=r"is a file: name another folder"):
        tides.move("pyproject.toml")
    with pytest.raises(UsageError, match=r"isn't empty: name another folder"):
        tides.move("data")
    with pytest.raises(UsageError, match=r"is \.tidemill already"):
        tides.move(".tidemill")
    with pytest.raises(UsageError, match="is no place for objects"):
        tides.move(url, "ftp://x")
    with pytest.raises(StorageError, match="can't be reached"):
        tides.move("postgresql://127.0.0.1:1/none", store)
    assert_usable(tides)
    with tides.open() as project:
        ledger = project.tools.ledger
        lease = ledger.acquire(
            "run:prod", {"host": "x"}, now=time.time(), ttl=60.0, dead=lambda _: False
        )
        with pytest.raises(ConflictError, match=r"is at work|a run is active"):
            tides.move(url, store)
        ledger.release(lease)

    def fail(*_: object, **__: object) -> None:
        raise StorageError("the disk failed")

    for name in ("_copy_objects", "_require_sound", "open_ledger"):
        with monkeypatch.context() as patched:
            patched.setattr(home_move, name, fail)
            with pytest.raises(StorageError, match="the disk failed"):
                tides.move(new_home(), store)
        assert_usable(tides)
    # One on the server is opened again.
    tides.move(url, store)
    tides.set(home=url, artifacts=store)
    with monkeypatch.context() as patched:
        patched.setattr(home_move, "_copy_objects", fail)
        with pytest.raises(StorageError, match="the disk failed"):
            tides.move("back", home_move.IN_HOME)
    assert tides.ok() == {}


def test_a_database_with_a_ledger_is_refused(
    tides: Moving, new_home: Callable[[], str], tmp_path: Path
) -> None:
    url, store = new_home(), f"file://{tmp_path}/store"
    other = Moving(tmp_path / "other")
    other.set(home=url, artifacts=f"file://{tmp_path}/other-store")
    other.send(0)
    other.ok()
    with pytest.raises(UsageError, match=r"has a ledger already.*\?schema=NAME"):
        tides.move(url, store)
    assert_usable(tides)
    assert other.ok() == {}


def test_the_command_says_what_to_set(
    tides: Moving, new_home: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tides.root)
    ended = tidemill("home", "move", new_home(), "--artifacts", f"file://{tmp_path}/store")
    assert ended.code == 0, ended.err
    assert "and verified them" in ended.out
    assert f'artifacts = "file://{tmp_path}/store"' in ended.out
