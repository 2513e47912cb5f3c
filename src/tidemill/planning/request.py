"""A request to bring stages up to date: a stage, a time range, a limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime

from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import (
    UNPLACED,
    WHOLE,
    Partitioning,
    is_valid_key,
    partition_end,
    partition_start,
    time_bounds,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to bring all stages up to date, or some with their upstream, or one `partition` of one.

    They are `stage` and `stages`. Time partitions that begin before `since` or end after `until` stay as
    they are. `again` reruns current partitions; `train` are the models to train. Both leave alone what was
    computed after `older_than` (Unix seconds). With `verify_sources`
    all source files are hashed. `allow_removals` is the id of the `Removals` of a plan that are allowed;
    with `removals_allowed` a plan does whatever sources lost. `tuned` are the models with parameters for
    this run. With `ask_again` nothing reruns, but what gates or people refused is judged and asked about
    once more. The partitions `held` of stages wait, and stay as they are; a model is the partition of its
    training.
    """

    stage: str = ""
    stages: tuple[str, ...] = ()
    partition: str = ""
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    again: bool = False
    train: frozenset[str] = frozenset()
    older_than: float | None = None
    verify_sources: bool = False
    allow_removals: str = ""
    removals_allowed: bool = False
    tuned: frozenset[str] = frozenset()
    ask_again: bool = False
    held: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)

    def holds(self, stage: str, partition: str) -> bool:
        """Whether a partition of a stage waits."""
        return partition in self.held.get(stage, ())

    @property
    def is_partial(self) -> bool:
        """Whether it leaves out partitions of the stages that it names, whatever their state is."""
        return bool(self.partition or self.since or self.until) or self.limit is not None

    @property
    def named(self) -> tuple[str, ...]:
        """The stages that are named; none stands for all."""
        return (self.stage, *self.stages) if self.stage else self.stages


def request_of(  # noqa: PLR0913 - a request in keywords
    stage: str,
    since: str | None,
    until: str | None,
    limit: int | None,
    again: bool,
    train: Iterable[str],
    partition: str = "",
    verify_sources: bool = False,
    allow_removals: str = "",
) -> Request:
    """Parse a request with times as text; UsageError for one that selects nothing."""
    if partition and not stage:
        raise UsageError(f"name the stage of the partition {partition!r}")
    models = frozenset(train)
    if partition and (since or until or limit is not None or models):
        raise UsageError(
            f"partition {partition!r} can't be combined with --from, --to, --limit or --train"
        )
    if allow_removals and (limit is not None or partition):
        raise UsageError("allow_removals removes all or nothing: leave out limit and partition")
    if limit is not None and limit < 1:
        raise UsageError(f"limit {limit} leaves nothing to do; it must be at least 1")
    first = time_bounds(since)[0] if since else None
    end = time_bounds(until)[1] if until else None
    if first is not None and end is not None and first >= end:
        raise UsageError(f"from {since} to {until} leaves nothing to do; it ends before it begins")
    return Request(
        stage=stage,
        partition=partition,
        since=first,
        until=end,
        limit=limit,
        again=again,
        train=models,
        verify_sources=verify_sources,
        allow_removals=allow_removals,
    )


def is_selected(request: Request, partition: str, partitioning: Partitioning) -> bool:
    """Whether a partition lies in the requested time range; partitions that aren't by time always do."""
    grain = partitioning.grain
    if grain is None or partition in (WHOLE, UNPLACED) or not is_valid_key(partition, partitioning):
        return True
    if request.since is not None and partition_start(partition, grain) < request.since:
        return False
    return request.until is None or partition_end(partition, grain) <= request.until
