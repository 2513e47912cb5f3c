"""Remove the logs of runs that ended long ago."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree

# The id of a run begins with the time of its start.
_RUN = re.compile(r"(\d{8}-\d{6})-[0-9a-f]+")


def remove_logs_before(folder: Path, before: float, *, dry_run: bool = False) -> int:
    """Remove the logs of runs that started before a time; return the number of bytes."""
    freed = 0
    with suppress(FileNotFoundError):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if not entry.is_dir(follow_symlinks=False) or _time(entry) >= before:
                continue
            size = _size(entry.path)
            if not dry_run:
                rmtree(entry.path, ignore_errors=True)
            freed += size
    return freed


def _time(entry: os.DirEntry[str]) -> float:
    """When the run of a folder started; for another name when the folder was changed last."""
    found = _RUN.fullmatch(entry.name)
    if found is not None:
        with suppress(ValueError):
            return datetime.strptime(found[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).timestamp()
    return entry.stat().st_mtime


def _size(folder: str) -> int:
    size = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += os.lstat(os.path.join(root, name)).st_size
    return size
