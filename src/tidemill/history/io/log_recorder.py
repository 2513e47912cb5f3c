"""Record what the code of steps prints and logs, each line with its step.

The step is the one whose context the writing thread is in, so several threads can run steps.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from contextvars import ContextVar, Token
from pathlib import Path
from types import TracebackType

import msgspec

from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.core.redaction import Redactor
from tidemill.history.io.log_reader import remove_old_logs
from tidemill.history.io.stream_capture import StreamCapture
from tidemill.ledger.io.home_files import make_private_folder, open_private

# Longer lines are truncated; of a step with more than MAX_BYTES bytes only the end is kept as well.
MAX_LINE = 16_000
MAX_BYTES = 2_000_000
_TAIL = 100_000

_encode = msgspec.json.Encoder().encode


class LogRecorder:
    """Records the output of steps in a file of this process in `folder`, created at the first line.

    The output also goes to its original stream, unless the recorder is `quiet`. It is a context manager;
    opening it also removes the folders of old runs beside it, and several can be open at once. If the
    folder can't be written, it warns once and stops recording. `redactor` masks known secrets in each line,
    and in text on its way to the original stream.
    """

    def __init__(
        self, folder: Path, *, quiet: bool = False, redactor: Redactor | None = None
    ) -> None:
        self.quiet = quiet
        self._redactor = redactor or Redactor()
        self.mask = self._redactor.mask
        self.open = False
        self._folder = folder
        self._file: int | None = None
        self._failed = False
        self._apart: dict[str, AttemptLog] = {}

    def __enter__(self) -> LogRecorder:
        _capture.open()
        self.open = True
        remove_old_logs(self._folder.parent, time.time())
        return self

    def __exit__(self, *_: object) -> None:
        with _lock:
            # Include steps that are still active, for example when their run was interrupted.
            for page in (*self._apart.values(), *_active):
                if page.recorder is self:
                    page.flush()
            self.open = False
            if self._file is not None:
                os.close(self._file)
                self._file = None
        _capture.close()
        if not self.quiet:
            self._mask_worker_output()

    def _mask_worker_output(self) -> None:
        """Mask secrets in what programs and libraries printed in workers, which have ended by now."""
        if not self._redactor.secrets:
            return
        for file in self._folder.glob("*.out"):
            # A file that can't be read or written isn't worth the run.
            with suppress(OSError):
                text = file.read_bytes().decode(errors="surrogateescape")
                if (masked := self.mask(text)) != text:
                    _replace_text(file, masked)

    def step(self, stage: str, partition: str, number: int) -> AttemptLog:
        """A context in which the output of this thread belongs to the `number`-th attempt at a step."""
        if not self.open:
            raise UsageError("open the recorder in a `with` statement before recording a step")
        return AttemptLog(self, stage, partition, number)

    def detector(self, stage: str) -> OutputDetector:
        """A context that discards the output of this thread, and only notes whether there was any."""
        return OutputDetector(self, stage)

    def unattributed(self, stage: str) -> AttemptLog:
        """The log for output whose step isn't known; of steps of `stage`, unless that is ""."""
        return self._apart.setdefault(stage, AttemptLog(self, stage, "", 0))

    def append(self, lines: bytes) -> None:
        """Append lines to the file; the caller holds the lock."""
        if self._failed or not self.open:
            return
        try:
            if self._file is None:
                self._file = _open_file(self._folder)
            # Write all at once, so that lines don't mix with those of a forked process.
            written = os.write(self._file, lines)
            if written < len(lines):
                os.write(self._file, lines[written:])
        except OSError as error:
            self._failed = True
            _capture.write_notice(
                f"tidemill: can't write {self._folder} ({error.strerror}): the run continues, but the "
                "output of its steps isn't recorded\n"
            )


class AttemptLog:
    """The output of one attempt at a step; as a context manager it receives the output of this thread."""

    __slots__ = (
        "_about",
        "_held",
        "_left",
        "_partial",
        "_size",
        "_tail",
        "_token",
        "recorder",
        "stage",
    )

    def __init__(self, recorder: LogRecorder, stage: str, partition: str, number: int) -> None:
        self.stage = stage
        self.recorder = recorder
        self._about = {"stage": stage, "partition": partition, "attempt": number}
        # By stream, the text since the last line end.
        self._partial: dict[str, str] = {}
        self._size = self._held = self._left = 0
        self._tail: deque[tuple[float, bytes]] | None = None
        self._token: Token[AttemptLog | None] | None = None

    def __enter__(self) -> None:
        self._token = _current.set(self)
        _active[self] = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._token is not None
        _active.pop(self)
        _current.reset(self._token)
        if self._partial or self._tail:
            with _lock:
                self.flush()

    @property
    def quiet(self) -> bool:
        """Whether printed text isn't passed on to the original stream."""
        return self.recorder.quiet

    def mask(self, text: str) -> str:
        """Remove secrets from text on its way to the original stream."""
        return self.recorder.mask(text)

    def write(self, stream: str, text: str) -> None:
        """Record printed text; an incomplete line is held back until its end."""
        with _lock:
            whole, end, rest = (self._partial.pop(stream, "") + text).rpartition("\n")
            lines = whole.split("\n") if end else []
            rest = _visible_text(rest) + "\r" * rest.endswith("\r")
            if len(rest) > MAX_LINE:
                lines.append(rest)
            elif rest:
                self._partial[stream] = rest
            if lines:
                self._add({"stream": stream, "text": _visible_text(line)} for line in lines)

    def log(self, level: str, logger: str, text: str) -> None:
        """Record a log message."""
        with _lock:
            self._add([{"stream": "log", "text": text, "level": level, "logger": logger}])

    def flush(self) -> None:
        """Record the text that is still held back; the caller holds the lock."""
        held, self._partial = self._partial, {}
        self._add({"stream": stream, "text": _visible_text(text)} for stream, text in held.items())
        if self._tail:
            note = b""
            if self._left:
                note = self._line(
                    self._tail[0][0], _note(f"... {plural(self._left, 'line')} omitted")
                )
            self.recorder.append(note + b"".join(body for _, body in self._tail))
            self._tail = None

    def _add(self, said: Iterable[dict[str, str]]) -> None:
        at, kept = time.time(), bytearray()
        for one in said:
            line = self._line(at, one)
            if self._size < MAX_BYTES:
                self._size += len(line)
                kept += line
                continue
            if self._tail is None:
                self._tail = deque()
                kept += self._line(
                    at, _note(f"more than {MAX_BYTES:,} bytes: from here only the end is kept")
                )
            self._tail.append((at, line))
            self._held += len(line)
            while self._held > _TAIL:
                self._held -= len(self._tail.popleft()[1])
                self._left += 1
        if kept:
            self.recorder.append(bytes(kept))

    def _line(self, at: float, said: dict[str, str]) -> bytes:
        # Before a long text is cut, which might cut a secret.
        said["text"] = text = self.recorder.mask(said["text"])
        if len(text) > MAX_LINE:
            said["text"] = (
                f"{text[:MAX_LINE]}... ({plural(len(text) - MAX_LINE, 'more character')})"
            )
        try:
            return _encode({"at": at, **self._about, **said}) + b"\n"
        except UnicodeEncodeError:
            # Lone surrogates, for example in a file name that isn't valid Unicode.
            safe = {
                name: one.encode(errors="backslashreplace").decode() for name, one in said.items()
            }
            return _encode({"at": at, **self._about, **safe}) + b"\n"


class OutputDetector(AttemptLog):
    """Discards output, and knows whether there was any."""

    __slots__ = ("has_output",)

    def __init__(self, recorder: LogRecorder, stage: str) -> None:
        super().__init__(recorder, stage, "", 0)
        self.has_output = False

    @property
    def quiet(self) -> bool:
        """True: printed text isn't passed on."""
        return True

    def write(self, stream: str, text: str) -> None:
        """Note that something was printed."""
        self.has_output = True

    def log(self, level: str, logger: str, text: str) -> None:
        """Note that something was logged."""
        self.has_output = True


def _note(text: str) -> dict[str, str]:
    return {"stream": "log", "level": "WARNING", "logger": "tidemill", "text": text}


def _visible_text(line: str) -> str:
    """The text of a line that a terminal shows: the text after the last carriage return."""
    return line.rstrip("\r").rpartition("\r")[2]


def _replace_text(file: Path, text: str) -> None:
    """Replace a file by another text, so that an interruption leaves one of the two."""
    new = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        with open(open_private(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as stream:
            stream.write(text.encode(errors="surrogateescape"))
        os.replace(new, file)
    finally:
        new.unlink(missing_ok=True)


def _open_file(folder: Path) -> int:
    """Open the file of this process in a folder of the home's logs, and create them if needed."""
    make_private_folder(folder, below=folder.parent.parent)
    return open_private(folder / f"{os.getpid()}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


_current: ContextVar[AttemptLog | None] = ContextVar("tidemill_page", default=None)
# All active attempts of this process; a dict, because sets aren't ordered.
_active: dict[AttemptLog, None] = {}
_lock = threading.RLock()


def _find_page() -> AttemptLog | None:
    """The log that receives the output of this thread."""
    page = _current.get()
    if page is not None and not page.recorder.open:
        return None
    if page is not None:
        # A thread or a coroutine that outlives its step still has the step's context.
        return page if page in _active else page.recorder.unattributed(page.stage)
    # A thread outside the context of a step was started by user code or by Polars.
    pages = list(_active)
    if len(pages) < 2:
        return pages[0] if pages else None
    recorders, stages = {page.recorder for page in pages}, {page.stage for page in pages}
    if len(recorders) > 1:
        return None
    return recorders.pop().unattributed(stages.pop() if len(stages) == 1 else "")


_capture = StreamCapture(_find_page)


def _after_fork() -> None:
    """Replace the lock: if another thread held it at the fork it would never be released."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)
