"""Unmap the pages of libraries that only loading needed, so that a server holds what it uses.

Linux maps 16 pages around each one that is touched. Importing Polars, NumPy and others leaves some 45 MB of
their files in the memory of a process, of which a server uses a tenth to answer requests. A page that is
needed again is mapped again from the page cache, in microseconds.
"""

from __future__ import annotations

import ctypes
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

_SMAPS = Path("/proc/self/smaps")
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s+(/.*)?")
_READ_ONLY = ("r-xp", "r--p")
# Pages with other contents than the file has: they would be lost.
_CHANGED = ("Anonymous:", "Swap:")
_RESIDENT = "Rss:"
_LEAST_KB = 256
_MADV_DONTNEED = 4


def unmap_soon(seconds: float = 1.0) -> None:
    """Unmap pages in a thread, in so many seconds, so that what begins now isn't held up."""
    timer = threading.Timer(seconds, unmap_clean_pages)
    # A server that stops before doesn't wait for it.
    timer.daemon = True
    timer.start()


def unmap_clean_pages() -> int:
    """Unmap the pages of files that this process only reads; return the kilobytes. Only on Linux."""
    if sys.platform != "linux":
        return 0
    try:
        lines = _SMAPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return 0
    advise = ctypes.CDLL(None).madvise
    unmapped = 0
    for start, end, resident_kb in clean_mappings(lines):
        if not advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED):
            unmapped += resident_kb
    return unmapped


def clean_mappings(lines: Iterable[str]) -> Iterator[tuple[int, int, int]]:
    """Yield the start, the end and the resident kilobytes of read-only mappings of files.

    `lines` are those of /proc/PID/smaps. Mappings with a changed page, and small ones, are left out.
    """
    place: tuple[int, int] | None = None
    resident = changed = 0
    for line in lines:
        if mapping := _MAPPING.match(line):
            if place is not None and not changed and resident >= _LEAST_KB:
                yield (*place, resident)
            start, end, rights, path = mapping.groups()
            is_file = path is not None and rights in _READ_ONLY
            place = (int(start, 16), int(end, 16)) if is_file else None
            resident = changed = 0
            continue
        name, size, *_ = line.split()
        if name == _RESIDENT:
            resident = int(size)
        elif name in _CHANGED:
            changed += int(size)
    if place is not None and not changed and resident >= _LEAST_KB:
        yield (*place, resident)
