"""Log lines: output that a step's code printed or logged while it ran."""

from __future__ import annotations

from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass

# An attempt at a step: stage, partition and number.
AttemptKey: TypeAlias = tuple[str, str, int]

END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """A line that an attempt at a step printed or logged; `at` is in Unix seconds.

    A log record may have several lines of text. `stream` is "stdout", "stderr", "log", or "end" for the
    end of the attempt, with its outcome in `level`. A line of a thread that several steps share has no
    partition, and no stage if it could belong to any.
    """

    at: float
    stage: str
    partition: str
    attempt: int
    stream: str
    text: str
    level: str = ""
    logger: str = ""

    @property
    def attempt_key(self) -> AttemptKey:
        """The attempt that the line belongs to."""
        return self.stage, self.partition, self.attempt
