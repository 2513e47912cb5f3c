"""Stand-ins for `sys.stdout`, `sys.stderr` and the maker of log records, that show all to who listens.

Log records are taken where they are made, not by a handler: with one on the root logger,
`logging.basicConfig` in a step would do nothing, and what nobody handles wouldn't be shown.
What is written to the descriptors themselves (by a subprocess, by C code) is never seen here.
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
    """Is told what is printed and logged; with `quiet`, what is printed goes nowhere else."""

    @property
    def quiet(self) -> bool:
        """Whether what is printed ends here."""

    def write(self, stream: str, text: str) -> None:
        """Something was printed."""

    def log(self, level: str, logger: str, text: str) -> None:
        """Something was logged."""


# Who listens to this thread now, if anybody does.
Find = Callable[[], Listener | None]


class _Tap:
    """Stands in for a text stream: shows what is written, and lets it go on; all else is the stream's."""

    def __init__(self, inner: TextIO, name: str, find: Find) -> None:
        self._inner = inner
        self._name = name
        self._find = find

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # For whoever asks whether it is a TextIOWrapper before its `reconfigure` is called.
        return type(self._inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        listener = self._find()
        if listener is None:
            return self._inner.write(text)
        # What a handler writes was taken when its record was made.
        if sys._getframe(1).f_globals is not logging.__dict__:
            listener.write(self._name, text)
        return len(text) if listener.quiet else self._inner.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def close(self) -> None:
        """Nothing but a flush: a step doesn't end what its run still writes to."""
        self._inner.flush()


class Taps:
    """The stand-ins, which are there once, however many have opened them."""

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

    def say(self, text: str) -> None:
        """Tell the user something that no step said."""
        stream = getattr(sys.stderr, "_inner", sys.stderr)
        with suppress(OSError, ValueError, AttributeError):
            stream.write(text)

    def _tap(self, name: str) -> None:
        inner = getattr(sys, name)
        if inner is None:
            return
        tap = _Tap(inner, name, self._find)
        setattr(sys, name, tap)
        self._undo.callback(
            _put_back, partial(getattr, sys, name), tap, partial(setattr, sys, name, inner)
        )

    def _listen(self) -> None:
        make = logging.getLogRecordFactory()

        def made(*args: Any, **kwargs: Any) -> logging.LogRecord:
            record = make(*args, **kwargs)
            listener = self._find()
            # `logging.makeLogRecord` makes an empty one first.
            if listener is not None and record.name is not None:
                listener.log(record.levelname, record.name, _said(record))
            return record

        logging.setLogRecordFactory(made)
        self._undo.callback(
            _put_back, logging.getLogRecordFactory, made, partial(logging.setLogRecordFactory, make)
        )
        root = logging.getLogger()
        # Who has set up logging has said what is worth keeping.
        if root.level == logging.WARNING and not root.handlers:
            root.setLevel(logging.INFO)
            self._undo.callback(lambda: None if root.handlers else root.setLevel(logging.WARNING))


def _put_back(now: Callable[[], object], ours: object, back: Callable[[], object]) -> None:
    """Undo, unless somebody else has put something of theirs in our place meanwhile."""
    if now() is ours:
        back()


def _said(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that don't fit, or the user's `__str__`
        text = f"{record.msg} (its arguments don't fit)" if isinstance(record.msg, str) else "?"
    if isinstance(record.exc_info, tuple):
        text += "\n" + "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return text + (f"\n{record.stack_info}" if record.stack_info else "")
