"""Collect garbage rarely while a run makes thousands of small records, of which hardly any is garbage."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (50_000, 20, 100)

_lock = threading.Lock()
# The thresholds before each run that is active; the first ones are those of the program.
_before: list[tuple[int, int, int]] = []


@contextmanager
def rare_collections() -> Iterator[None]:
    """Raise the thresholds of the collector, unless the program has higher ones or switched it off.

    If the program sets others meanwhile, those stay. Runs in several threads share it.
    """
    with _lock:
        _before.append(gc.get_threshold())
        if 0 < _before[-1][0] < THRESHOLDS[0]:
            gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        with _lock:
            before = _before.pop()
            if gc.get_threshold() == THRESHOLDS:
                gc.set_threshold(*before)
