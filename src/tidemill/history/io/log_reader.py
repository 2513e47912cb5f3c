"""Read the lines that the steps of a run printed and logged, and remove old ones.

They are stored as JSON in a folder named after the run, in one file per process.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from tidemill.core.errors import StorageError
from tidemill.ledger.log_line import LogLine

# The lines of this many runs are kept; those of older runs for a day after the last line.
MAX_RUNS = 200
_DAY_S = 86_400.0
_RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}")
_DECODE = msgspec.json.Decoder(LogLine).decode


class LogReader:
    """Reads the lines in a folder, even while they are written.

    `read` has how many bytes of each file were read, by its name. It `is_behind` if more could be read at
    once.
    """

    def __init__(self, folder: Path, read: Mapping[str, int] | None = None) -> None:
        self._folder = folder
        self.read = dict(read or {})
        self.is_behind = False

    def read_new(self, most: int = -1) -> list[LogLine]:
        """Read the lines since the last call, sorted by time; StorageError if a file can't be read.

        Of each file about `most` bytes are read, if that is given.
        """
        self.is_behind = False
        files = sorted(self._folder.glob("*.jsonl"))
        found = [line for file in files for line in self._of(file, most)]
        return sorted(found, key=lambda line: line.at)

    def _of(self, file: Path, most: int) -> Iterator[LogLine]:
        begin = self.read.get(file.stem, 0)
        end = begin
        try:
            with file.open("rb") as stream:
                stream.seek(begin)
                # Line by line, so that a large log isn't in memory twice.
                for line in stream:
                    if not line.endswith(b"\n"):
                        # It is still being written, or was never finished.
                        break
                    end += len(line)
                    # A partial line, because the process died or the disk was full.
                    with suppress(msgspec.DecodeError):
                        yield _DECODE(line)
                    if 0 < most <= end - begin:
                        self.is_behind = True
                        break
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"can't read {file}: {error.strerror}") from error
        self.read[file.stem] = end


def read_log(folder: Path, stage: str = "", partition: str = "") -> list[LogLine]:
    """Read the lines of a run sorted by time, of one stage or partition if given."""
    return [
        line
        for line in LogReader(folder).read_new()
        if stage in ("", line.stage) and partition in ("", line.partition)
    ]


def remove_old_logs(logs: Path, now: float) -> None:
    """Remove the lines of all but the newest `MAX_RUNS` runs; a run's name begins with its time."""
    try:
        runs = sorted(name for name in os.listdir(logs) if _RUN.fullmatch(name))
    except OSError:
        return
    for run in runs[:-MAX_RUNS]:
        folder = logs / run
        # A folder that can't be removed now is tried again next time.
        with suppress(OSError):
            if all(file.stat().st_mtime < now - _DAY_S for file in folder.iterdir()):
                shutil.rmtree(folder)
