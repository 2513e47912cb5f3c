"""Files and folders that are synced at the same time: each once, and none is said to be that isn't."""

from __future__ import annotations

import threading

import pytest

from tidemill.adapters.files.disk import sync_all


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
