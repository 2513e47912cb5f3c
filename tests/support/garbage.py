"""Show that objects are gone with their last reference."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect no cycles until the end of the block."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
