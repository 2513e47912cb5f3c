"""Copies of objects on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from tidemill.adapters.objectstore.object_cache import ObjectCache
from tidemill.core.fingerprint import object_name


def test_what_was_used_the_longest_time_ago_goes_first(tmp_path: Path) -> None:
    now = [1e9]
    cache = ObjectCache(tmp_path, 1_000, clock=lambda: now[0])
    for number in range(10):
        cache.keep([copy(number)])
        now[0] += 4_000.0
    assert held(cache) == [*range(10)]
    assert cache.has(name_of(0))
    cache.keep([copy(10)])
    # Down to 900 bytes.
    assert held(cache) == [0, *range(3, 11)]


def test_nothing_that_may_be_read_just_now_goes(tmp_path: Path) -> None:
    cache = ObjectCache(tmp_path, 150)
    cache.keep([copy(number) for number in range(5)])
    assert held(cache) == [*range(5)]


def copy(number: int) -> tuple[bytes, str]:
    return bytes([number]) * 100, ".bin"


def name_of(number: int) -> str:
    return object_name(*copy(number))


def held(cache: ObjectCache) -> list[int]:
    return [number for number in range(20) if os.path.exists(cache.path(name_of(number)))]
