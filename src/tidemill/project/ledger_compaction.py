"""Compact the ledger of a home: old events keep their figures, and lose what nothing needs any more."""

from __future__ import annotations

from tidemill.core.errors import UsageError
from tidemill.governance.permissions import Permission
from tidemill.ledger.compaction_report import CompactionReport
from tidemill.project.home_ledger import require_ledger
from tidemill.project.retention import Retention, compact_ledger
from tidemill.project.workspace import Workspace


class LedgerCompaction:
    """Compacts the ledger of the home of a workspace, for all workflows in it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def compact(self, *, dry_run: bool = False) -> CompactionReport:
        """Compact the events that are old enough by the settings; with `dry_run` only say what that does.

        The events that it appends say who had it done. Raises AccessError if the actor may not, UsageError
        without a ledger, or while a legal hold keeps everything, StorageError if the disk is full; what was
        compacted before stays so.
        """
        space = self._workspace
        require_ledger(space.settings)
        permission = Permission.READ if dry_run else Permission.MANAGE_LEDGER
        actor = space.require(permission).name
        if Retention(space).keeps_all():
            raise UsageError(
                "nothing is compacted while a workflow of this home keeps everything, by hold = true or "
                "because it recorded no settings yet; `tidemill sweep` names it"
            )
        return compact_ledger(space, actor, dry_run=dry_run)
