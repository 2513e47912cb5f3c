"""A commit that touches the files of a workflow, as recorded: when it was made, and nothing about whom by."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A commit and when it was committed; `authored` is when it was written, if that is another time.

    Times are Unix seconds, by the clocks of those who committed.
    """

    id: str
    at: float
    authored: float | None = None
