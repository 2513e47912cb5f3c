"""Remove the partitions of a prediction log that are older than it is kept."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tidemill.core.counts import plural
from tidemill.serving.log_partitions import expired_partitions
from tidemill.workflow.prediction_log import RequestLog

# Temporary files that are older were left by writers that crashed.
STALE_S = 86_400.0
_PERIOD_S = 600.0

_log = logging.getLogger("tidemill.serving")


class LogRetention:
    """Removes old partitions of one log; `removed` counts them, `fault` says why the last couldn't be.

    Files are removed one by one and then their folder, so that after a crash the next sweep goes on.
    """

    def __init__(self, folder: Path, setting: RequestLog) -> None:
        self.removed = 0
        self.fault = ""
        self._folder = folder
        self._setting = setting
        self._next = 0.0

    def sweep_if_due(self, now: float) -> None:
        """Sweep at the first call and every ten minutes; `now` is monotonic."""
        if self._setting.keep is not None and now >= self._next:
            self._next = now + _PERIOD_S
            self.sweep(datetime.now(UTC))

    def sweep(self, now: datetime) -> None:
        """Remove the partitions that are too old at a moment; what can't be removed is tried again."""
        self.fault = ""
        try:
            names = [path.name for path in self._folder.iterdir() if _is_own(path)]
        except FileNotFoundError:
            return
        gone = []
        for name in expired_partitions(names, self._setting, now):
            try:
                if _remove(self._folder / name):
                    gone.append(name)
            except OSError as error:
                self.fault = (
                    f"{name} of the prediction log can't be removed: {error.strerror or error}"
                )
        self.removed += len(gone)
        if gone:
            _log.info(
                "removed %s of the prediction log %s, up to %s (keep=%s)",
                plural(len(gone), "partition"), self._folder, gone[-1], self._setting.keep,
            )  # fmt: skip


def _remove(folder: Path) -> bool:
    """Remove a partition, unless it is being written; OSError if it has files of others."""
    try:
        files = list(folder.iterdir())
        if any(path.suffix == ".tmp" and not is_stale(path) for path in files):
            return False
        for path in files:
            if path.suffix in (".parquet", ".tmp"):
                path.unlink(missing_ok=True)
        folder.rmdir()
    except FileNotFoundError:
        # Another server removed it, or has just written to it.
        return False
    return True


def is_stale(path: Path) -> bool:
    """Whether a temporary file is too old to be written now."""
    return time.time() - path.stat().st_mtime > STALE_S


def remove_stale(folder: Path) -> None:
    """Remove what crashed writers left long ago; others may be writing now."""
    for path in folder.glob("*/.*.tmp"):
        with suppress(FileNotFoundError):
            if is_stale(path):
                path.unlink()


def _is_own(path: Path) -> bool:
    """Whether a path is a folder here, rather than a link to one elsewhere."""
    return path.is_dir() and not path.is_symlink()
