"""What a sweep removed, or would remove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.retention_events import SweepConfirmed


@dataclass(frozen=True, slots=True, kw_only=True)
class SweptStage:
    """What of a stage goes for one reason: how many results or deliveries, with their objects and bytes."""

    stage: str
    reason: str
    results: int = 0
    objects: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepReport:
    """What a sweep removed, or with `dry_run` would remove.

    `orphans` were stored and never recorded. `files` are bytes by kind: "logs", "memos", "temporary". `waits`
    are the runs that must end before the rest is deleted, `failed` says by object why it couldn't be.
    `stages_removed` and `environments_dropped` went before. `ledger` is by how many bytes the ledger shrank,
    or its old events would.
    """

    sweep: str = ""
    dry_run: bool = False
    stages: tuple[SweptStage, ...] = ()
    orphans: int = 0
    orphan_bytes: int = 0
    files: Mapping[str, int] = field(default_factory=dict)
    waits: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    environments_dropped: tuple[str, ...] = ()
    stages_removed: tuple[str, ...] = ()
    ledger: int = 0
    notes: tuple[str, ...] = ()

    @property
    def objects(self) -> int:
        """How many objects went."""
        return sum(each.objects for each in self.stages) + self.orphans

    @property
    def bytes(self) -> int:
        """How many bytes went."""
        stages = sum(each.bytes for each in self.stages)
        return stages + self.orphan_bytes + sum(self.files.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSweep:
    """What the last sweep did, and when it ended (Unix seconds)."""

    at: float
    done: SweepConfirmed


@dataclass(slots=True)
class SweepTally:
    """Adds up what a sweep removes, by stage and reason."""

    _found: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def add(
        self, stage: str, reason: str, *, results: int = 0, sizes: tuple[int, ...] = ()
    ) -> None:
        """Count results and removed objects; objects of size 0 were gone already."""
        row = self._found.setdefault((stage, reason), [0, 0, 0])
        row[0] += results
        row[1] += sum(1 for size in sizes if size)
        row[2] += sum(sizes)

    def stages(self) -> tuple[SweptStage, ...]:
        """The counts, the largest first."""
        found = [
            SweptStage(stage=stage, reason=reason, results=row[0], objects=row[1], bytes=row[2])
            for (stage, reason), row in self._found.items()
        ]
        return tuple(sorted(found, key=lambda each: (-each.bytes, each.stage, each.reason)))

    def bytes_by_stage(self) -> dict[str, int]:
        """The bytes that went of each stage."""
        found: dict[str, int] = {}
        for each in self.stages():
            found[each.stage] = found.get(each.stage, 0) + each.bytes
        return {stage: size for stage, size in found.items() if size}
