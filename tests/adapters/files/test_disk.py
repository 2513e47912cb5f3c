"""Files and folders that are synced at the same time: each once, and none is said to be that isn't."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from tidemill.adapters.files import disk
from tidemill.adapters.files.disk import sync_all

# Uses all threads, and then those of a fork, which has none of them.
FORK = """
import os, sys
from threading import Barrier
from tidemill.adapters.files.disk import sync_all

def sync_together(count):
    all_there = Barrier(count, timeout=60)
    sync_all(lambda _: all_there.wait(), range(count))

sync_together(8)
child = os.fork()
sync_together(2)
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("count", [0, 1, 2, 8, 9, 100])
def test_each_is_synced_once(count: int) -> None:
    synced: list[int] = []
    sync_all(synced.append, range(count))
    assert sorted(synced) == [*range(count)]


def test_several_are_synced_at_the_same_time() -> None:
    # Nobody passes it alone.
    both = threading.Barrier(2, timeout=60)
    arrived: list[int] = []

    def sync(_: int) -> None:
        arrived.append(both.wait())

    sync_all(sync, range(2))
    assert sorted(arrived) == [0, 1]


@pytest.mark.parametrize("bad", [0, 57, 99])
def test_one_that_cannot_be_synced_is_an_error(bad: int) -> None:
    synced: list[int] = []

    def sync(item: int) -> None:
        if item == bad:
            raise OSError(28, "No space left on device")
        synced.append(item)

    with pytest.raises(OSError, match="No space left"):
        sync_all(sync, range(100))
    assert bad not in synced


def test_without_more_threads_each_is_synced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    disk._threads.cache_clear()
    synced: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        sync_all(synced.append, range(9))
    assert sorted(synced) == [*range(9)]
    # What couldn't be handed over then isn't done now, and threads are used again.
    test_several_are_synced_at_the_same_time()
    assert sorted(synced) == [*range(9)]


def test_nothing_is_still_being_synced_when_it_returns() -> None:
    running: list[int] = []

    def sync(item: int) -> None:
        running.append(item)
        time.sleep(0.001)
        running.remove(item)

    for _ in range(20):
        sync_all(sync, range(9))
        assert not running


def test_others_are_done_when_one_fails() -> None:
    running: list[int] = []

    def sync(item: int) -> None:
        running.append(item)
        if item == 0:
            raise OSError(5, "Input/output error")
        time.sleep(0.01)
        running.remove(item)

    with pytest.raises(OSError, match="Input/output"):
        sync_all(sync, range(20))
    assert running == [0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on Windows")
def test_a_fork_syncs_several_at_the_same_time_and_ends() -> None:
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=300)
