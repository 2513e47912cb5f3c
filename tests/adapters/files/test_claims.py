"""Claims by locks on a file: between processes, over forks, and where there are no locks."""

from __future__ import annotations

import errno
import fcntl
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tidemill.adapters.files import claims
from tidemill.adapters.files.claims import FileClaims

KEY, OTHER = "12ab" * 8, "34cd" * 8

# Takes a key in a process of its own, says whether it got it, and does what follows.
HOLD = """
import os, sys, time
from pathlib import Path
from tidemill.adapters.files.claims import FileClaims

claims = FileClaims(Path(sys.argv[1]))
print(claims.take(sys.argv[2]), flush=True)
"""

FORK = (
    HOLD
    + """
claims.take(sys.argv[3])
there, back = os.pipe(), os.pipe()
if os.fork() == 0:
    said = [claims.take(sys.argv[2]), claims.wait(sys.argv[2], 0.01)]
    claims.release(sys.argv[2])
    os.write(there[1], repr(said).encode())
    os.close(back[1])
    os.read(back[0], 1)  # until the parent is dead
    os.read(0, 1)  # until it is no longer needed
    os._exit(0)
print(os.read(there[0], 100).decode(), flush=True)
sys.stdin.readline()
claims.release(sys.argv[2])
print("given", flush=True)
sys.stdin.readline()
os.kill(os.getpid(), 9)
"""
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "claims.lock"


def start(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_process_holds_a_key_until_it_is_killed(path: Path) -> None:
    process = start(HOLD + "time.sleep(600)", path, KEY)
    assert said(process) == "True"
    mine = FileClaims(path)
    assert not mine.take(KEY)
    assert not mine.wait(KEY, 0.01)
    assert mine.take(OTHER)
    process.kill()
    assert mine.wait(KEY, 60)
    process.communicate()
    assert path.stat().st_size == 0


def test_a_process_sees_what_this_one_holds(path: Path) -> None:
    mine = FileClaims(path)
    assert mine.take(KEY)
    assert start(HOLD, path, KEY).communicate()[0] == "False\n"
    mine.release(KEY)
    assert start(HOLD, path, KEY).communicate()[0] == "True\n"


def test_a_forked_child_holds_nothing(path: Path) -> None:
    process = start(FORK, path, KEY, OTHER)
    assert said(process) == "True"
    # In the child the key is another's, and giving it back does nothing.
    assert said(process) == "[False, False]"
    mine = FileClaims(path)
    assert not mine.take(KEY)
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert said(process) == "given"
    assert mine.take(KEY)
    assert not mine.take(OTHER)
    process.stdin.write("\n")
    process.stdin.flush()
    # The parent dies by SIGKILL; its child, which would have what is inherited, lives on.
    assert mine.wait(OTHER, 60)
    process.communicate()


def test_a_name_by_another_way_is_the_same_file(path: Path) -> None:
    link = path.parent / "link"
    link.symlink_to(path.parent, target_is_directory=True)
    assert FileClaims(path).take(KEY) is True
    first, second = FileClaims(path), FileClaims(link / path.name)
    assert first.take(KEY)
    assert not second.take(KEY)


def test_the_file_is_closed_with_its_last_holder(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    monkeypatch.setattr(os, "close", lambda descriptor, close=os.close: closed.append(descriptor))
    first, second = FileClaims(path), FileClaims(path)
    assert first.take(KEY)
    assert second.take(OTHER)
    del first
    assert closed == []
    del second
    assert len(closed) == 1
    monkeypatch.undo()
    os.close(closed[0])


def test_an_unwritable_folder_blocks_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    one, other = (FileClaims(tmp_path / "file" / "claims.lock") for _ in range(2))
    assert one.take(KEY)
    # In one process holders exclude each other nonetheless.
    assert not other.take(KEY)
    one.release(KEY)
    assert other.take(KEY)


def test_a_file_system_without_locks_blocks_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    process = start(HOLD + "time.sleep(600)", path, KEY)
    assert said(process) == "True"
    monkeypatch.setattr(fcntl, "lockf", refuse)
    assert FileClaims(path).take(KEY)
    process.kill()
    process.communicate()


def without_fcntl(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module as it is imported on Windows."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.delattr(os, "register_at_fork")
    found = importlib.util.spec_from_file_location("tidemill_claims_elsewhere", claims.__file__)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    monkeypatch.setitem(sys.modules, found.name, module)
    found.loader.exec_module(module)
    return module


def test_where_there_are_no_locks_every_process_gets_its_keys(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = start(HOLD + "time.sleep(600)", path, KEY)
    assert said(process) == "True"
    mine = without_fcntl(monkeypatch).FileClaims(path)
    assert mine.take(KEY)
    mine.release(KEY)
    assert mine.wait(KEY, 0.0)
    process.kill()
    process.communicate()
