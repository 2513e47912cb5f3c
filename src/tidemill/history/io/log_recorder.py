"""Keeps what the code of steps prints and logs with their run, each line with the step that it is of.

The step is the one whose context the writing thread is in, so that several threads can be at work.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextvars import ContextVar, Token
from pathlib import Path
from types import TracebackType

import msgspec

from tidemill.core.errors import UsageError
from tidemill.history.io.log_reader import forget_old
from tidemill.history.io.stream_capture import Taps

# Of longer lines the rest is left out; of a step that says more than MOST bytes, all but the end.
LONGEST = 16_000
MOST = 2_000_000
_TAIL = 100_000

_encode = msgspec.json.Encoder().encode


class Recorder:
    """Keeps what steps say in a file of this process in `folder`, made when there is a first line.

    What they say also goes where it went before, unless it is `quiet`. Open it with `with`, which also
    removes the folders of old runs beside it; several can be open at once. When the folder can't be
    written, that is said once, and nothing more is kept.
    """

    def __init__(self, folder: Path, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.open = False
        self._folder = folder
        self._file: int | None = None
        self._failed = False
        self._apart: dict[str, Page] = {}

    def __enter__(self) -> Recorder:
        _taps.open()
        self.open = True
        forget_old(self._folder.parent, time.time())
        return self

    def __exit__(self, *_: object) -> None:
        with _lock:
            # Also those that are still at work, such as one whose run was interrupted.
            for page in (*self._apart.values(), *_active):
                if page.recorder is self:
                    page.end()
            self.open = False
            if self._file is not None:
                os.close(self._file)
                self._file = None
        _taps.close()

    def step(self, stage: str, partition: str, number: int) -> Page:
        """A context: what this thread prints and logs in it is of the `number`-th try at a step."""
        if not self.open:
            raise UsageError("a recorder keeps nothing before it is opened, in a `with`")
        return Page(self, stage, partition, number)

    def draft(self, stage: str) -> Draft:
        """A context that keeps nothing of what this thread says in it but that it was said."""
        return Draft(self, stage)

    def apart(self, stage: str) -> Page:
        """Takes what threads say that may be at work for several steps, all of `stage` if it is named."""
        return self._apart.setdefault(stage, Page(self, stage, "", 0))

    def keep(self, lines: bytes) -> None:
        """Append lines to the file; whoever calls holds the lock."""
        if self._failed or not self.open:
            return
        try:
            if self._file is None:
                self._file = _opened(self._folder)
            # All at once, so that lines stay whole beside those of a process that was forked.
            written = os.write(self._file, lines)
            if written < len(lines):
                os.write(self._file, lines[written:])
        except OSError as error:
            self._failed = True
            _taps.say(
                f"tidemill: {self._folder} can't be written ({error.strerror}): the run goes on, but "
                "what its steps print and log is not kept\n"
            )


class Page:
    """What one try at a step says; as a context it is where the lines of this thread go."""

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

    def __init__(self, recorder: Recorder, stage: str, partition: str, number: int) -> None:
        self.stage = stage
        self.recorder = recorder
        self._about = {"stage": stage, "partition": partition, "attempt": number}
        # By stream, what was printed since the last line end.
        self._partial: dict[str, str] = {}
        self._size = self._held = self._left = 0
        self._tail: deque[tuple[float, bytes]] | None = None
        self._token: Token[Page | None] | None = None

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
                self.end()

    @property
    def quiet(self) -> bool:
        """Whether what is printed goes nowhere else."""
        return self.recorder.quiet

    def write(self, stream: str, text: str) -> None:
        """Take what was printed; what has no line end yet is kept until it has, or until the end."""
        with _lock:
            whole, end, rest = (self._partial.pop(stream, "") + text).rpartition("\n")
            lines = whole.split("\n") if end else []
            rest = _shown(rest) + "\r" * rest.endswith("\r")
            if len(rest) > LONGEST:
                lines.append(rest)
            elif rest:
                self._partial[stream] = rest
            if lines:
                self._add({"stream": stream, "text": _shown(line)} for line in lines)

    def log(self, level: str, logger: str, text: str) -> None:
        """Take what was logged."""
        with _lock:
            self._add([{"stream": "log", "text": text, "level": level, "logger": logger}])

    def end(self) -> None:
        """Keep what is still held back; whoever calls holds the lock."""
        held, self._partial = self._partial, {}
        self._add({"stream": stream, "text": _shown(text)} for stream, text in held.items())
        if self._tail:
            note = b""
            if self._left:
                note = self._line(self._tail[0][0], _note(f"... {self._left:,} lines are left out"))
            self.recorder.keep(note + b"".join(body for _, body in self._tail))
            self._tail = None

    def _add(self, said: Iterable[dict[str, str]]) -> None:
        at, kept = time.time(), bytearray()
        for one in said:
            line = self._line(at, one)
            if self._size < MOST:
                self._size += len(line)
                kept += line
                continue
            if self._tail is None:
                self._tail = deque()
                kept += self._line(
                    at, _note(f"over {MOST:,} bytes: from here only the end is kept")
                )
            self._tail.append((at, line))
            self._held += len(line)
            while self._held > _TAIL:
                self._held -= len(self._tail.popleft()[1])
                self._left += 1
        if kept:
            self.recorder.keep(bytes(kept))

    def _line(self, at: float, said: dict[str, str]) -> bytes:
        text = said["text"]
        if len(text) > LONGEST:
            said["text"] = f"{text[:LONGEST]}... ({len(text) - LONGEST:,} more characters)"
        try:
            return _encode({"at": at, **self._about, **said}) + b"\n"
        except UnicodeEncodeError:
            # Halves of a character, such as the name of a file that isn't valid Unicode.
            safe = {
                name: one.encode(errors="backslashreplace").decode() for name, one in said.items()
            }
            return _encode({"at": at, **self._about, **safe}) + b"\n"


class Draft(Page):
    """Knows whether anything was said."""

    __slots__ = ("said",)

    def __init__(self, recorder: Recorder, stage: str) -> None:
        super().__init__(recorder, stage, "", 0)
        self.said = False

    @property
    def quiet(self) -> bool:
        """What is printed goes nowhere."""
        return True

    def write(self, stream: str, text: str) -> None:
        """Note that something was printed."""
        self.said = True

    def log(self, level: str, logger: str, text: str) -> None:
        """Note that something was logged."""
        self.said = True


def _note(text: str) -> dict[str, str]:
    return {"stream": "log", "level": "WARNING", "logger": "tidemill", "text": text}


def _shown(line: str) -> str:
    """What a terminal shows of a line: of a progress bar, what was written last."""
    return line.rstrip("\r").rpartition("\r")[2]


def _opened(folder: Path) -> int:
    """This process's file in a folder, which is made if it isn't there."""
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(folder / f"{os.getpid()}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)


_current: ContextVar[Page | None] = ContextVar("tidemill_page", default=None)
# All pages that are in use in this process; a dict, because sets have no order.
_active: dict[Page, None] = {}
_lock = threading.RLock()


def _page() -> Page | None:
    """Where this thread's lines go."""
    page = _current.get()
    if page is not None and not page.recorder.open:
        return None
    if page is not None:
        # A thread or a coroutine that the step left behind has its context still.
        return page if page in _active else page.recorder.apart(page.stage)
    # A thread that isn't in the context of a step: the user's code started it, or Polars did.
    pages = list(_active)
    if len(pages) < 2:
        return pages[0] if pages else None
    recorders, stages = {page.recorder for page in pages}, {page.stage for page in pages}
    if len(recorders) > 1:
        return None
    return recorders.pop().apart(stages.pop() if len(stages) == 1 else "")


_taps = Taps(_page)


def _after_fork() -> None:
    """A lock that another thread held when the process was forked would never be given back."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_after_fork)
