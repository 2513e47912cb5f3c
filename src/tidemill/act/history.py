"""What the ledger tells of runs, and of the versions of a contract that partitions passed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tidemill.domain.binding import Binding
from tidemill.domain.event import Published, RunEnded, RunStarted
from tidemill.domain.run import RunInfo, Status
from tidemill.ports import Ledger


def list_runs(ledger: Ledger, limit: int) -> list[RunInfo]:
    """The last runs, newest first."""
    runs: dict[str, RunInfo] = {}
    for recorded in ledger.events(kinds=("RunStarted", "RunEnded")):
        event = recorded.event
        if isinstance(event, RunStarted):
            runs[event.run] = RunInfo(
                id=event.run,
                environment=event.environment,
                status=Status.RUNNING,
                started=recorded.at,
                command=event.command,
                holder=event.holder,
            )
        elif isinstance(event, RunEnded) and event.run in runs:
            begun = runs[event.run]
            runs[event.run] = RunInfo(
                id=begun.id,
                environment=begun.environment,
                status=event.status,
                started=begun.started,
                ended=recorded.at,
                command=begun.command,
                holder=begun.holder,
                receipt=event.receipt,
            )
    return list(reversed(runs.values()))[:limit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A partition that was published: by which run, and when."""

    partition: str
    run: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A version of a contract: what passed it first and last, how often, and how many hold it now."""

    version: str
    first: Publication
    last: Publication
    published: int = 0
    held: int = 0


def list_versions(
    ledger: Ledger, environment: str, stage: str, now: Mapping[str, Binding]
) -> list[Held]:
    """The versions of a stage's contract in the order in which they came; `now` is what is bound."""
    found: dict[str, Held] = {}
    for recorded in ledger.events(kinds=("Published",)):
        event = recorded.event
        if not isinstance(event, Published):
            continue
        if (event.environment, event.stage) != (environment, stage):
            continue
        bound = event.binding
        made = Publication(partition=event.partition, run=bound.run, at=recorded.at)
        before = found.get(bound.contract, Held(version=bound.contract, first=made, last=made))
        found[bound.contract] = replace(before, last=made, published=before.published + 1)
    held = Counter(binding.contract for binding in now.values())
    return [replace(each, held=held[each.version]) for each in found.values()]


def passed(bound: Iterable[Binding]) -> str:
    """The versions of their contract that partitions passed, with how many where they differ."""
    found = Counter(binding.contract for binding in bound if binding.contract)
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{version} ({count})" for version, count in sorted(found.items()))
