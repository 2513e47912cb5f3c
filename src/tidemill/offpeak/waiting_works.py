"""What is recorded of work that waits: what a plan leaves, what a run did of it, and what is done since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from tidemill.ledger.binding import Head
from tidemill.ledger.off_peak import DeferredWork
from tidemill.ledger.run import Action, Attempt, Outcome, Receipt, Status
from tidemill.planning.plan import Plan


def works_to_note(
    known: Sequence[DeferredWork], plan: Plan, waiting: Iterable[DeferredWork], *, is_partial: bool
) -> tuple[DeferredWork, ...]:
    """What waits while a plan runs: what it leaves `waiting`, and what of it had waited before.

    The `known` work of stages that aren't planned stays as it is, and so does that of other partitions if
    the plan `is_partial`.
    """
    before = {(work.key, work.since) for work in known}
    had_waited = [work for work in plan.deferred if (work.key, work.since) in before]
    planned = () if is_partial else plan.current
    others = [work for work in known if work.stage not in planned]
    return _merged([*waiting, *had_waited, *others])


def _merged(works: Iterable[DeferredWork]) -> tuple[DeferredWork, ...]:
    """One work for each stage and action: the first, with the partitions of all."""
    found: dict[tuple[str, str], DeferredWork] = {}
    for work in works:
        first = found.setdefault(work.key, work)
        partitions = tuple(dict.fromkeys((*first.partitions, *work.partitions)))
        found[work.key] = replace(first, partitions=partitions)
    return tuple(found.values())


def works_left(
    works: Iterable[DeferredWork], plan: Plan, receipt: Receipt, attempts: Iterable[Attempt]
) -> tuple[DeferredWork, ...]:
    """What still waits after the run of a plan with some `attempts`.

    Where nothing failed, all that was planned is done; otherwise what succeeded is. What gates say of a
    model changes nothing: it was trained.
    """
    done = {
        (attempt.stage, attempt.partition)
        for attempt in attempts
        if attempt.outcome in (Outcome.OK, Outcome.BOUND) and attempt.action != Action.GATE
    }
    if receipt.status is not Status.INTERRUPTED:
        bad = {tally.stage for tally in receipt.stages if tally.failed or tally.skipped}
        done |= {
            (step.stage, step.partition)
            for step in plan.steps
            if step.stage not in bad and step.action is not Action.GATE
        }
    return _without(works, lambda work, key: (work.stage, key) in done)


def undone_works(
    works: Iterable[DeferredWork], heads: Mapping[str, Head]
) -> tuple[DeferredWork, ...]:
    """The works without the partitions that were published since they became due."""

    def is_done(work: DeferredWork, key: str) -> bool:
        head = heads.get(work.stage)
        binding = head.partitions.get(key) if head is not None else None
        return binding is not None and binding.at > work.since

    return _without(works, is_done)


def _without(
    works: Iterable[DeferredWork], is_done: Callable[[DeferredWork, str], bool]
) -> tuple[DeferredWork, ...]:
    found = []
    for work in works:
        left = tuple(key for key in work.partitions if not is_done(work, key))
        if left:
            found.append(work if left == work.partitions else replace(work, partitions=left))
    return tuple(found)
