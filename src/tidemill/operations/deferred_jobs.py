"""How jobs fare that had waited for a cheaper time: when they are tried again, and when they make room."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.operations.backoff import RetriedFailure, add_failure
from tidemill.operations.supervision import Child, Ending, JobAnswer
from tidemill.operations.up_settings import UpSettings

# How often a job makes room, before it runs to its end; seconds until a busy environment is tried again.
_MOST_YIELDS, _BUSY_S = 3, 2.0


class DeferredJobs:
    """The failure of such jobs, if any, and how often they made room."""

    def __init__(self, settings: UpSettings) -> None:
        self._settings = settings
        self._failure: RetriedFailure | None = None
        self._yields = 0
        self._needs_room = False

    @property
    def makes_room(self) -> bool:
        """Whether the next job is to be interrupted when work comes up that can't wait."""
        return self._yields < _MOST_YIELDS

    def earliest(self, at: float) -> float:
        """When a job that is due `at` a time can begin."""
        return at if self._failure is None else max(at, self._failure.retry_at)

    def judge(self, answer: JobAnswer, now: float) -> None:
        """Note how a job ended."""
        if answer.ending is Ending.OK:
            self._failure, self._yields = None, 0
        elif answer.ending is Ending.FAILED:
            self.fail("; ".join(answer.failures) or answer.summary, now)
        elif answer.ending is Ending.BUSY:
            self._failure = RetriedFailure(count=0, why=answer.summary, retry_at=now + _BUSY_S)

    def fail(self, why: str, now: float) -> None:
        """Note that a job failed."""
        first, longest = self._settings.retry, self._settings.retry_max
        self._failure = add_failure(self._failure, why, now, first=first, longest=longest)

    def ask_for_room(self) -> None:
        """Work that can't wait found the environment busy."""
        self._needs_room = True

    def to_interrupt(self, children: Iterable[Child]) -> list[Child]:
        """The processes whose jobs make room now."""
        asked, self._needs_room = self._needs_room, False
        if not asked:
            return []
        found = [child for child in children if child.job is not None and child.job.makes_room]
        self._yields += len(found)
        return found
