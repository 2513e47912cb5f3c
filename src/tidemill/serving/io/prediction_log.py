"""Write logged requests to Parquet files in a thread of its own, which delays no reply.

Files appear whole, by renaming them, and are never appended to. So a crash loses the requests of a period at
most, and several processes write side by side.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.serving.answers import ModelAnswer
from tidemill.serving.io.log_retention import LogRetention, remove_stale
from tidemill.serving.log_frames import LogFrames
from tidemill.serving.logged_requests import LoggedRequest, LoggedVersion, LogSample
from tidemill.serving.rows import InferRequest
from tidemill.workflow.prediction_log import ID, RequestLog

# Values that wait to be collected, some 30 bytes each, and bytes that wait to be written; beyond either,
# requests are dropped, and counted.
MOST_WAITING = 1_000_000
MOST_BYTES = 64_000_000
# A file is written before its period is over once it has so many bytes (before compression).
_FILE_BYTES = 16_000_000
# Requests that are collected at once: in between, other threads run.
_AT_ONCE = 200
_PAUSE_S = 0.25

_log = logging.getLogger("tidemill.serving")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """Where a log is, what names its files uniquely, and the key that hashes personal data.

    One process `removes` what is older than the log is kept.
    """

    folder: Path
    token: str
    key: bytes = b""
    removes: bool = False


class EndpointLog:
    """The log of one endpoint: the event loop adds requests, and the thread of `PredictionLogs` writes them.

    `rows` were written, `drops` requests weren't; `write_fault` says why the last file couldn't be written.
    """

    def __init__(
        self,
        endpoint: str,
        setting: RequestLog,
        options: LogOptions,
        *,
        most_waiting: int = MOST_WAITING,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.rows = 0
        self.write_fault = ""
        self.setting = setting
        self.folder = options.folder / endpoint
        self.retention = LogRetention(self.folder, setting) if options.removes else None
        self._sample = LogSample(endpoint, setting.share)
        self._most, self._most_bytes = most_waiting, most_bytes
        self._waiting: deque[LoggedRequest] = deque()
        # Each is only written by one thread: that of the event loop, and that which writes.
        self._added = self._taken = 0
        self._dropped = self._lost = 0
        self._frames = LogFrames(setting, options.token, options.key)
        self._token = options.token
        self._files = 0
        self._pending: list[pl.DataFrame] = []
        self._bytes = 0
        self._since = time.monotonic()

    @property
    def drops(self) -> int:
        """The number of requests that aren't in the log although they were to be."""
        return self._dropped + self._lost

    @property
    def fault(self) -> str:
        """Why requests aren't logged, or old ones not removed; "" if all is well."""
        return self.write_fault or (self.retention.fault if self.retention is not None else "")

    def has(self, key: bytes) -> bool:
        """Whether requests with this key are logged."""
        return self._sample.has(key)

    def add(
        self,
        request_id: bytes,
        arm: str,
        version: LoggedVersion,
        request: InferRequest,
        answer: ModelAnswer,
    ) -> None:
        """Queue a request that was answered now; drop it if too many wait."""
        size = answer.count * len(request.rows.columns)
        waiting = self._added - self._taken
        if waiting and waiting + size > self._most:
            self._dropped += 1
            return
        self._added += size
        self._waiting.append(LoggedRequest(time.time(), request_id, arm, version, request, answer))

    def collect(self) -> None:
        """Make frames of the requests that wait."""
        for _ in range(-(-len(self._waiting) // _AT_ONCE)):
            # Lets the event loop have the interpreter, which these frames need for a millisecond or two.
            time.sleep(0)
            count = min(_AT_ONCE, len(self._waiting))
            requests = [self._waiting.popleft() for _ in range(count)]
            self._taken += sum(r.answer.count * len(r.request.rows.columns) for r in requests)
            if self._bytes > self._most_bytes:
                self._lost += count
                continue
            found = self._frames_of(requests)
            self._pending += found
            self._bytes += _size(found)

    def _frames_of(self, requests: Sequence[LoggedRequest]) -> list[pl.DataFrame]:
        """The rows of requests; those that can't be written are left out, and counted."""
        try:
            return self._frames.frames(requests)
        # Values that can't be written must end neither the log nor other requests in it.
        except (PolarsError, TypeError, ValueError, OverflowError) as error:
            if len(requests) > 1:
                return [frame for each in requests for frame in self._frames_of([each])]
            self.write_fault = f"a request can't be logged: {error}"
            self._lost += 1
            return []

    def is_due(self, now: float) -> bool:
        """Whether what was collected is to be written (`now` is monotonic)."""
        if not self._pending:
            self._since = now
        return self._bytes >= _FILE_BYTES or now - self._since >= self.setting.period_s

    def write(self) -> None:
        """Write what was collected; what can't be written is kept, and tried again."""
        kinds: dict[Any, list[pl.DataFrame]] = {}
        for frame in self._pending:
            kinds.setdefault(tuple(frame.schema.items()), []).append(frame)
        parts = [
            part for frames in kinds.values() for part in self._frames.partitions(pl.concat(frames))
        ]
        self._since = time.monotonic()
        try:
            while parts:
                self._write_part(*parts[-1])
                parts.pop()
            self.write_fault = ""
        except (OSError, PolarsError) as error:
            self.write_fault = f"the prediction log can't be written: {error}"
        self._pending = [rows for _, rows in parts]
        self._bytes = _size(self._pending)

    def give_up(self) -> None:
        """Count what can't be written any more, because the server ends."""
        left = sum(frame[ID].n_unique() for frame in self._pending)
        if left:
            self._lost += left
            _log.error("%d requests aren't in the log %s: %s", left, self.folder, self.fault)
        self._pending = []

    def _write_part(self, key: str, rows: pl.DataFrame) -> None:
        folder = self.folder / key
        folder.mkdir(parents=True, exist_ok=True)
        self._files += 1
        write_whole(rows, folder / f"{self._token}-{self._files:06}.parquet")
        self.rows += rows.height

    def status(self) -> dict[str, Any]:
        """The numbers of logged and lost requests, as plain data."""
        return {
            "share": self.setting.share,
            "rows": self.rows,
            "drops": self.drops,
            "keep": str(self.setting.keep or ""),
            "removed": self.retention.removed if self.retention is not None else 0,
            "fault": self.fault,
        }


class PredictionLogs:
    """The logs of all endpoints that have one, with the thread that writes them and removes old files."""

    def __init__(self, logs: Mapping[str, EndpointLog]) -> None:
        self.by_endpoint = logs
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    @property
    def fault(self) -> str:
        """Why requests aren't logged; "" if they are."""
        return next((each.fault for each in self.by_endpoint.values() if each.fault), "")

    def start(self) -> None:
        """Create the folders, so that a wrong path is an error at once (UsageError), and begin to write."""
        for each in self.by_endpoint.values():
            try:
                each.folder.mkdir(parents=True, exist_ok=True)
                remove_stale(each.folder)
            except OSError as error:
                raise UsageError(
                    f"the prediction log {each.folder} can't be written ({error.strerror or error}): make it "
                    "writable, or choose another folder= in tm.log"
                ) from error
        self._thread.start()

    def close(self) -> None:
        """Write what is queued, and end."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        for each in self.by_endpoint.values():
            each.give_up()

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_S):
            self._turn(is_last=False)
        self._turn(is_last=True)

    def _turn(self, *, is_last: bool) -> None:
        for each in self.by_endpoint.values():
            try:
                each.collect()
                if is_last or each.is_due(time.monotonic()):
                    each.write()
                if each.retention is not None and not is_last:
                    each.retention.sweep_if_due(time.monotonic())
            # A fault of one log must end neither the thread nor the other logs.
            except Exception as error:  # noqa: BLE001
                _log.exception("%s can't be logged", each.folder)
                each.write_fault = f"the prediction log failed: {error}"


def _size(frames: Iterable[pl.DataFrame]) -> int:
    return sum(int(frame.estimated_size()) for frame in frames)


def write_whole(frame: pl.DataFrame, path: Path) -> None:
    """Write a Parquet file that appears whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            frame.write_parquet(file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
