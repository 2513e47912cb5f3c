"""What the code of a step said while it was at work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

# A stage, a partition and the number of the try at it: what says a line, and what ends.
Try: TypeAlias = tuple[str, str, int]

END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line that a try at a step printed or logged, at a time in Unix seconds; a log's may be several.

    `stream` is "stdout", "stderr", "log" or "end": how the try ended, its outcome in `level`. Lines of
    threads that may be of several steps name no partition, and no stage either if it could be any.
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
    def of(self) -> Try:
        """The try that it is of."""
        return self.stage, self.partition, self.attempt
