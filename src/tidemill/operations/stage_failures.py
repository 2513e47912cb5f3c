"""Which partitions of which stages fail now, and since when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Attempt, Outcome, Receipt

_SHOWN = 300
_REPAIRED = (Outcome.OK, Outcome.BOUND)


@dataclass(slots=True, kw_only=True)
class StageFailure:
    """The partitions of a stage that fail, each since when; `run`, `fate` and `message` are of the last."""

    partitions: dict[str, float] = field(default_factory=dict)
    last: float = 0.0
    run: str = ""
    fate: str = ""
    message: str = ""
    is_contract: bool = False

    @property
    def since(self) -> float:
        """When the first of the partitions that fail now failed first."""
        return min(self.partitions.values())


def add_attempt(failing: dict[str, StageFailure], run: str, attempt: Attempt, at: float) -> None:
    """Add the end of an attempt; one that was retried has not failed yet."""
    if attempt.outcome is Outcome.FAILED:
        own = failing.setdefault(attempt.stage, StageFailure())
        own.partitions.setdefault(attempt.partition, at)
        own.last, own.run, own.fate = at, run, attempt.fate
        own.message, own.is_contract = attempt.message[:_SHOWN], bool(attempt.findings)
    elif attempt.outcome in _REPAIRED:
        repair_partition(failing, attempt.stage, attempt.partition)


def repair_partition(failing: dict[str, StageFailure], stage: str, partition: str) -> None:
    """Note that a partition is published, or was removed; a stage without failing ones doesn't fail."""
    own = failing.get(stage)
    if own is not None:
        own.partitions.pop(partition, None)
        if not own.partitions:
            del failing[stage]


def sound_stages(receipt: Receipt | None) -> Iterator[str]:
    """The stages of which a run read all sources, and left no step failed or skipped."""
    for totals in receipt.stages if receipt is not None else ():
        if not (totals.failed or totals.skipped):
            yield totals.stage


def end_run(failing: dict[str, StageFailure], receipt: Receipt | None) -> None:
    """Note that what a run left sound doesn't fail as a whole: sources that couldn't be read are mended."""
    for stage in sound_stages(receipt):
        repair_partition(failing, stage, WHOLE)
