"""Add up what the processes of a server report, also those that ended."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.serving.counters import Snapshot, merge, without_levels
from tidemill.serving.rollout_counts import Observed
from tidemill.serving.worker_messages import StepObserved, WorkerReport


class ProcessTable:
    """The last report of each running process but the first, by its id, and the counters of ended ones."""

    def __init__(self) -> None:
        self._reports: dict[int, WorkerReport] = {}
        self._ended = Snapshot(processes=0)
        self._observed: dict[str, StepObserved] = {}

    @property
    def reports(self) -> Mapping[int, WorkerReport]:
        """The last report of each running process."""
        return self._reports

    def report(self, process: int, report: WorkerReport) -> None:
        """Take a report in."""
        self._reports[process] = report
        for endpoint, new in report.observed.items():
            known = self._observed.get(endpoint)
            if known is None or known.since < new.since:
                self._observed[endpoint] = new
            elif known.since == new.since:
                both = known.observed + new.observed
                self._observed[endpoint] = StepObserved(since=new.since, observed=both)

    def end(self, process: int) -> None:
        """Keep the counters of a process that ended."""
        gone = self._reports.pop(process, None)
        if gone is not None:
            self._ended = merge((self._ended, without_levels(gone.snapshot)))

    def observed(self, endpoint: str, since: float) -> Observed:
        """Take what was observed since the last call in the step that began at a time.

        What a process observed before it followed to that step is left out.
        """
        found = self._observed.pop(endpoint, None)
        return found.observed if found is not None and found.since == since else Observed()

    def others(self, process: int | None = None) -> Snapshot:
        """The counters of all of them, with the ended ones, but for one process."""
        running = (one.snapshot for each, one in self._reports.items() if each != process)
        return merge((self._ended, *running))
