"""What is recorded of an endpoint: its last step, a person's hold, and since when its version answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import RecordedEvent, RolloutStepped
from tidemill.ledger.rollout import RolloutAction, RolloutStep

_BY_PEOPLE = (RolloutAction.HELD, RolloutAction.RESUMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRecord:
    """The recorded state of an endpoint.

    `last` is the last step that a server took, `hold` the step of the person who holds the rollout. `since`
    is when the version that answers took over (Unix seconds), 0 if unknown.
    """

    last: RolloutStep
    since: float = 0.0
    hold: RolloutStep | None = None


def endpoint_records(
    facts: Iterable[RecordedEvent], ours: Callable[[str, int], bool], until: int | None = None
) -> dict[str, EndpointRecord]:
    """Return the record of each endpoint, of the events (oldest first) of `ours`, up to number `until`."""
    found: dict[str, EndpointRecord] = {}
    for fact in facts:
        event = fact.event
        if not isinstance(event, RolloutStepped) or not ours(event.environment, fact.seq):
            continue
        if until is not None and fact.seq > until:
            break
        record = add_step(found.get(event.endpoint), event.step)
        if record is not None:
            found[event.endpoint] = record
    return found


def steps_of(
    facts: Iterable[RecordedEvent], endpoint: str, ours: Callable[[str, int], bool]
) -> tuple[RolloutStep, ...]:
    """Return all steps of an endpoint, oldest first, of the events of `ours`."""
    return tuple(
        fact.event.step
        for fact in facts
        if isinstance(fact.event, RolloutStepped)
        and fact.event.endpoint == endpoint
        and ours(fact.event.environment, fact.seq)
    )


def add_step(record: EndpointRecord | None, step: RolloutStep) -> EndpointRecord | None:
    """Return the record after one more step.

    A person's step changes only whether the rollout is held: the server may have taken a step of which that
    person didn't know. A hold counts until somebody resumes, also if the server took a step before it knew.
    """
    if step.action in _BY_PEOPLE:
        if record is None or record.last.is_end or record.last.candidate != step.candidate:
            return record
        return replace(record, hold=step if step.action is RolloutAction.HELD else None)
    since = 0.0 if record is None else record.since
    return EndpointRecord(
        last=step,
        since=step.at if step.action is RolloutAction.COMPLETED else since,
        hold=None if record is None or not _continues(record.last, step) else record.hold,
    )


def _continues(last: RolloutStep, step: RolloutStep) -> bool:
    return not last.is_end and not step.is_end and step.candidate == last.candidate
