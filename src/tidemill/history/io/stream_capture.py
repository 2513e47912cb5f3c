"""Capture `sys.stdout`, `sys.stderr` and log records, and pass them to a listener.

Log records are captured by the record factory, not by a handler: with a handler on the root logger,
`logging.basicConfig` in a step would do nothing, and records without a handler wouldn't be printed.
Output to the file descriptors themselves (by a subprocess or C code) isn't captured.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, Protocol, TextIO


class Listener(Protocol):
    """Receives printed text and log records; if `quiet`, printed text isn't passed on."""

    @property
    def quiet(self) -> bool:
        """Whether printed text isn't passed on to the original stream."""

    def mask(self, text: str) -> str:
        """Remove secrets from text on its way to the original stream."""

    def write(self, stream: str, text: str) -> None:
        """Receive printed text."""

    def log(self, level: str, logger: str, text: str) -> None:
        """Receive a log message."""


# Finds the listener of the current thread, if there is one.
Find = Callable[[], Listener | None]


class _CapturedStream:
    """Wraps a text stream: shows written text to a listener and passes it on."""

    def __init__(self, inner: TextIO, name: str, find: Find) -> None:
        self._inner = inner
        self._name = name
        self._find = find

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # Some code checks for a TextIOWrapper before it calls `reconfigure`.
        return type(self._inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        listener = self._find()
        if listener is None:
            return self._inner.write(text)
        # The output of log handlers was already captured as a record.
        if sys._getframe(1).f_globals is not logging.__dict__:
            listener.write(self._name, text)
        if not listener.quiet:
            self._inner.write(listener.mask(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def close(self) -> None:
        """Only flush: a step must not close the stream that its run still writes to."""
        self._inner.flush()


class StreamCapture:
    """Installs the wrappers once, however many users open it, and removes them when the last one closes."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._users = 0
        self._undo = ExitStack()

    def open(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                for name in ("stdout", "stderr"):
                    self._tap(name)
                self._listen()

    def close(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._undo.close()

    def write_notice(self, text: str) -> None:
        """Write a message to the user that isn't the output of a step."""
        stream = getattr(sys.stderr, "_inner", sys.stderr)
        with suppress(OSError, ValueError, AttributeError):
            stream.write(text)

    def _tap(self, name: str) -> None:
        inner = getattr(sys, name)
        if inner is None:
            return
        tap = _CapturedStream(inner, name, self._find)
        setattr(sys, name, tap)
        self._undo.callback(
            _restore, partial(getattr, sys, name), tap, partial(setattr, sys, name, inner)
        )

    def _listen(self) -> None:
        make = logging.getLogRecordFactory()

        def make_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
            record = make(*args, **kwargs)
            listener = self._find()
            # `logging.makeLogRecord` creates an empty record first.
            if listener is not None and record.name is not None:
                listener.log(record.levelname, record.name, _format_record(record))
            return record

        logging.setLogRecordFactory(make_record)
        self._undo.callback(
            _restore,
            logging.getLogRecordFactory,
            make_record,
            partial(logging.setLogRecordFactory, make),
        )
        root = logging.getLogger()
        # If logging is already set up, respect its level.
        if root.level == logging.WARNING and not root.handlers:
            root.setLevel(logging.INFO)
            self._undo.callback(lambda: None if root.handlers else root.setLevel(logging.WARNING))


def _restore(now: Callable[[], object], ours: object, back: Callable[[], object]) -> None:
    """Restore the original, unless it was replaced by someone else in the meantime."""
    if now() is ours:
        back()


def _format_record(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that don't fit, or the user's `__str__`
        text = f"{record.msg} (its arguments don't fit)" if isinstance(record.msg, str) else "?"
    if isinstance(record.exc_info, tuple):
        text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return text + (f"\n{record.stack_info}" if record.stack_info else "")
