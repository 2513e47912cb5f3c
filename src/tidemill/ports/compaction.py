"""Port: make old events smaller, beside running work."""

from __future__ import annotations

from typing import Protocol

from tidemill.ledger.compaction_report import CompactionReport, CompactionTerms


class Compaction(Protocol):
    """Replaces the bodies of old events by smaller ones."""

    def compact(
        self, terms: CompactionTerms, *, now: float, actor: str = "", dry_run: bool = False
    ) -> CompactionReport:
        """Compact the events that nothing needs in full any more, batch by batch.

        It may be interrupted at any moment, and run beside other work and other compactions. Raises
        StorageError if the disk is full; what was compacted before stays so.
        """
