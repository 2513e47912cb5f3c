"""Mask secrets in what stages print while they are called without data, outside of any step."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from tidemill.core.redaction import Redactor


@contextmanager
def masked_output(redactor: Redactor) -> Iterator[None]:
    """Mask the values that `redactor` knows in everything that Python code prints in this block."""
    with ExitStack() as undo:
        undo.enter_context(redirect_stdout(_MaskedStream(sys.stdout, redactor)))
        undo.enter_context(redirect_stderr(_MaskedStream(sys.stderr, redactor)))
        yield


class _MaskedStream:
    """A text stream that masks what is written to another one."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        self._stream = stream
        self._redactor = redactor

    def write(self, text: str) -> int:
        self._stream.write(self._redactor.mask(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
