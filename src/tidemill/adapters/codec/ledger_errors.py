"""The errors of the ledger, with the same messages in every adapter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from tidemill.core.errors import ConflictError, StorageError, UsageError
from tidemill.ledger.delivery import Effect


def describe_holder(holder: Mapping[str, str]) -> str:
    """Describe a lease holder: `pid 4711, host tern`."""
    return ", ".join(f"{name} {value}" for name, value in holder.items()) or "an unknown process"


def lease_held(name: str, holder: Mapping[str, str], remaining_s: float) -> ConflictError:
    return ConflictError(
        f"{name!r} is held by {describe_holder(holder)}; its lease expires in {remaining_s:.0f} s "
        "unless renewed: wait for it or stop it, then run again",
        holder=holder,
    )


def lease_lost(name: str, token: int, holder: Mapping[str, str] | None) -> ConflictError:
    now = (
        f"it is held by {describe_holder(holder)} now"
        if holder is not None
        else "nobody holds it now"
    )
    return ConflictError(
        f"the lease on {name!r} (token {token}) is no longer ours: {now}. Nothing was recorded; "
        "run again to plan from the current state",
        holder=holder,
    )


def head_moved(environment: str, stage: str, expected: int, current: int) -> ConflictError:
    return ConflictError(
        f"{stage!r} in {environment!r} moved during this run: planned on version {expected}, it has "
        f"version {current} now. Nothing was recorded; run again to plan from the current state"
    )


def live_moved(environment: str, name: str, expected: str, current: str) -> ConflictError:
    was, now = (f"version {known}" if known else "no version" for known in (expected, current))
    return ConflictError(
        f"what is live as {name!r} in {environment!r} moved meanwhile: {was} was live, {now} is live "
        "now. Nothing was recorded; look at what is live, then try again"
    )


def facts_recorded(kind: str, known: int, current: int) -> ConflictError:
    return ConflictError(
        f"another process recorded {kind} meanwhile: event {current}, after {known or 'none'}. Nothing was "
        "recorded; look at what happened, then try again"
    )


def head_moved_since_read(environment: str, stage: str, first: int, current: int) -> ConflictError:
    return ConflictError(
        f"{stage!r} in {environment!r} moved while it was read: from version {first} to {current}. "
        "Try again"
    )


def heads_without_environment(stages: Collection[str]) -> UsageError:
    return UsageError(
        f"the guard on the heads of {', '.join(sorted(stages))} can't be checked: no event names an "
        "environment"
    )


def environment_already_exists(name: str) -> ConflictError:
    return ConflictError(f"the environment {name!r} exists already; use it or choose another name")


def environment_unknown(name: str) -> ConflictError:
    return ConflictError(
        f"there is no environment {name!r}; tidemill env list shows all environments"
    )


def environment_has_branches(name: str, branches: Collection[str]) -> ConflictError:
    return ConflictError(
        f"{', '.join(map(repr, sorted(branches)))} branched off the environment {name!r} and read its data: "
        "drop them first"
    )


def sample_differs(environment: str, stage: str, partition: str, sample: float) -> ConflictError:
    return ConflictError(
        f"{stage} {partition} was computed on a sample of {sample:g} and can't be bound in "
        f"{environment!r}, which has another sample: run it there"
    )


def run_already_started(run: str) -> ConflictError:
    return ConflictError(f"the run {run!r} was already started; a run id is used only once")


def run_not_open(run: str) -> ConflictError:
    return ConflictError(f"the run {run!r} isn't open: it was never started, or it already ended")


def effect_differs(effect: Effect, environment: str) -> ConflictError:
    return ConflictError(
        f"the effect {effect.key!r} ({effect.action} {effect.target}) is already queued with other "
        f"content or in an environment other than {environment!r}; a key identifies one effect"
    )


def effect_unknown(key: str, environment: str) -> ConflictError:
    return ConflictError(f"the effect {key!r} was never queued in {environment!r}")


def tick_already_taken(schedule: str, tick: str) -> ConflictError:
    return ConflictError(f"tick {tick!r} of schedule {schedule!r} was already taken")


def objects_missing(names: Collection[str]) -> StorageError:
    listed = ", ".join(sorted(names)[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return StorageError(
        f"nothing was published, because these objects aren't stored: {listed}{more}; "
        "they were removed during the run: run again to recompute them"
    )


def objects_being_removed(names: Collection[str]) -> StorageError:
    return StorageError(
        "nothing was recorded, because a sweep removes these objects now: "
        f"{', '.join(sorted(names)[:5])}; run again to recompute them"
    )


def require_objects(
    find_missing: Callable[[Collection[str]], Collection[str]] | None, objects: Collection[str]
) -> None:
    """Raise StorageError if a bound object isn't stored; all are pinned before the check."""
    if find_missing is not None and objects and (missing := find_missing(tuple(objects))):
        raise objects_missing(missing)
