"""Say how far the log of a run was read, as a text that whoever reads on sends back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass

_TEXT = re.compile(r"\d{1,18}(\.\w{1,40}:\d{1,18})*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCursor:
    """A place in a log: outcomes up to the event `seq`, and so many bytes `read` of each file by name."""

    seq: int = 0
    read: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return ".".join([str(self.seq), *(f"{name}:{size}" for name, size in self.read.items())])


def parse_log_cursor(text: str) -> LogCursor:
    """The place that a text tells; UsageError for a text that isn't one."""
    if not _TEXT.fullmatch(text):
        raise UsageError(f"{text[:40]!r} is no place in a log: send the `next` of the page before")
    seq, *files = text.split(".")
    read = {name: int(size) for name, _, size in (each.partition(":") for each in files)}
    return LogCursor(seq=int(seq), read=read)
