"""Messages between the console and its processes: one JSON document a line."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.console.view_calls import ViewAnswer
from tidemill.core.lazy_dataclass import dataclass
from tidemill.operations.io.job_channel import decode_line as decode_line
from tidemill.operations.io.job_channel import encode_line as encode_line


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions:
    """Which workflow of which project a process opens, in which environment."""

    root: str
    workflow: str | None
    environment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewProcessReady:
    """A process can be called: the project's own `files` that decide what it answers; or why it can't.

    They are looked at also while they aren't there.
    """

    files: Sequence[str] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewProcessReply:
    """What a view answered, and further `files` that were imported for it."""

    answer: ViewAnswer
    files: Sequence[str] = ()
