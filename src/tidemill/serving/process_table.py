"""Add up what the processes of a server report, also those that ended."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.serving.counters import Snapshot, merge, without_levels
from tidemill.serving.observed_steps import ObservedSteps
from tidemill.serving.rollout_counts import Observed
from tidemill.serving.worker_messages import StepObserved, WorkerReport


class ProcessTable:
    """The last report of each running process but the first, by its id, and the counters of ended ones."""

    def __init__(self) -> None:
        self._reports: dict[int, WorkerReport] = {}
        self._ended = Snapshot(processes=0)
        self._observed = ObservedSteps()

    @property
    def reports(self) -> Mapping[int, WorkerReport]:
        """The last report of each running process."""
        return self._reports

    def report(self, process: int, report: WorkerReport) -> None:
        """Take a report in."""
        self._reports[process] = report
        for endpoint, step in report.observed.items():
            self.observe(endpoint, step)

    def observe(self, endpoint: str, step: StepObserved) -> None:
        """Add what was observed elsewhere."""
        self._observed.add(endpoint, step)

    def end(self, process: int) -> None:
        """Keep the counters of a process that ended."""
        gone = self._reports.pop(process, None)
        if gone is not None:
            self._ended = merge((self._ended, without_levels(gone.snapshot)))

    def observed(self, endpoint: str, since: float) -> Observed:
        """Take what was observed since the last call in the step that began at a time.

        What a process observed before it followed to that step is left out.
        """
        return self._observed.take(endpoint, since)

    def others(self, process: int | None = None) -> Snapshot:
        """The counters of all of them, with the ended ones, but for one process."""
        running = (one.snapshot for each, one in self._reports.items() if each != process)
        return merge((self._ended, *running))
