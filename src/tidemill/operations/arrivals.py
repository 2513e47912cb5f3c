"""RunMeasure how long data take from the arrival of their file to the publication of each stage.

Only files count that came after the stage's sources were read last: what was there before, or has an older
time, says nothing about a delay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.source import SourceFile


@dataclass(slots=True, kw_only=True)
class ArrivalTimes:
    """When the files came that the current run read: by stage and partition, and the newest of all.

    `looks` is when the sources of each stage were read last; all times are Unix seconds.
    """

    looks: dict[str, float] = field(default_factory=dict)
    partitions: dict[str, dict[str, float]] = field(default_factory=dict)
    newest: float = 0.0

    def begin_run(self) -> None:
        """Forget the files of the last run."""
        self.partitions, self.newest = {}, 0.0

    def see(self, stage: str, files: Iterable[SourceFile], at: float) -> None:
        """Record files that a run found new or changed."""
        last = self.looks.get(stage)
        self.looks[stage] = at
        if last is None:
            return
        own = self.partitions.setdefault(stage, {})
        for file in files:
            arrived = file.mtime_ns / 1e9
            if last < arrived <= at:
                self.newest = max(self.newest, arrived)
                for partition in file.rows:
                    own[partition] = max(arrived, own.get(partition, 0.0))

    def delay(self, stage: str, partition: str, at: float) -> float | None:
        """Seconds from the arrival of a partition's data to its publication at a time; None if unknown.

        For stages that read no files it is the time since the newest file of the run came.
        """
        own = self.partitions.get(stage, {})
        arrived = own.get(partition, 0.0) if stage in self.looks else self.newest
        return at - arrived if 0 < arrived <= at else None
