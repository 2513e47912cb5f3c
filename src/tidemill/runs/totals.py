"""Sum up the work and the cost of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tidemill.costs.quantities import total_quantities
from tidemill.ledger.run import Action, Attempt, Outcome, StageTotals, counted_as
from tidemill.workflow.incremental_fold import FoldUsage
from tidemill.workflow.memo import MemoUsage


def sum_stages(
    names: Sequence[str], attempts: Sequence[Attempt], current: Mapping[str, int]
) -> tuple[StageTotals, ...]:
    """Sum up each named stage, including those without steps.

    Steps that were found up to date while running count as `current`, beside the partitions that the plan
    found so; those that a budget stopped count as `skipped`.
    """
    found = []
    for name in names:
        own = [attempt for attempt in attempts if attempt.stage == name]
        removed = sum(a.action == Action.REMOVE and a.outcome is Outcome.OK for a in own)
        count = Counter(map(counted_as, own))
        found.append(
            StageTotals(
                stage=name,
                ran=count["ran"],
                bound=count["bound"],
                rechecked=count["rechecked"],
                removed=removed,
                current=current.get(name, 0) + count["current"],
                failed=count["failed"],
                retried=count["retried"],
                skipped=count["skipped"],
                rows_in=sum(a.rows_in for a in own),
                rows_out=sum(a.rows_out for a in own),
                bytes_in=sum(a.bytes_in for a in own),
                bytes_out=sum(a.bytes_out for a in own),
                quarantined=sum(a.quarantined for a in own),
                wall_s=sum(a.wall_s for a in own),
                cpu_s=sum(a.cpu_s for a in own),
                memory_gb_s=total_quantities(own).memory_gb_s,
                memo=memo_usage(own),
                fold=_fold_usage(own),
            )
        )
    return tuple(found)


def memo_usage(attempts: Sequence[Attempt]) -> MemoUsage | None:
    """Sum up the usage of memos in all attempts, retried ones too; None if none used any."""
    used = [attempt.memo for attempt in attempts if attempt.memo is not None]
    return sum(used, MemoUsage()) if used else None


def _fold_usage(attempts: Sequence[Attempt]) -> FoldUsage | None:
    used = [attempt.fold for attempt in attempts if attempt.fold is not None]
    return sum(used, FoldUsage()) if used else None
