"""The time to deliver changes in a window, with the frequency of deliveries and how many fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from tidemill.scorecard.change_record import (
    SPLITS,
    ChangesReport,
    DeliveredChange,
    OpenChange,
    Retraining,
    Wait,
    WaitingChange,
)
from tidemill.scorecard.change_times import ChangeTimes, delivered_change
from tidemill.scorecard.spread import spread
from tidemill.workflow.environment import PRODUCTION

_WEEK_S = 7 * 86_400.0


def report_changes(
    times: ChangeTimes, now: float, window_s: float, declared: Collection[str] | None = None
) -> ChangesReport:
    """What went live in the `window_s` seconds until `now`, and what waited then; times are Unix seconds.

    What only waits for stages that aren't `declared` any more, and so don't run, is left out.
    A window that ended in the past has the same deliveries as it had then. Of what waited, only what wasn't
    given up since is known.
    """
    since = now - window_s
    every = [*times.delivered, *_tentative(times)]
    delivered = sorted(
        (each for each in every if since < each.live <= now), key=lambda each: (each.live, each.id)
    )
    retrainings = tuple(each for each in _retrainings(times) if since < each.live <= now)
    deployments = [each for each in times.deployments.values() if since < each.at <= now]
    failures = Counter(each.failure for each in deployments if each.failure is not None)
    waiting = sorted(
        (*_waiting(times, now, declared), *_waited(every, now)),
        key=lambda each: (each.committed, each.id),
    )
    moves = [(failed, omitted) for at, failed, omitted in times.moves if since < at <= now]
    return ChangesReport(
        delivered=tuple(delivered),
        waiting=tuple(waiting),
        took=spread(each.took for each in delivered),
        splits={name: spread(each.splits[name] for each in delivered) for name in SPLITS},
        retrainings=retrainings,
        retrained=spread(each.took for each in retrainings),
        deployments=len(deployments),
        failed=failures.total(),
        failures=failures,
        per_week=len(deployments) * _WEEK_S / window_s if window_s > 0 else 0.0,
        unknown=sum(failed for failed, _ in moves),
        omitted=sum(omitted for _, omitted in moves),
    )


def _tentative(times: ChangeTimes) -> Iterator[DeliveredChange]:
    """The changes that are live, as long as no rollout begins."""
    for change in times.changes.values():
        delivery = times.deployments.get(change.delivery)
        if delivery is not None and delivery.live is not None:
            yield delivered_change(change, delivery, delivery.live)


def _retrainings(times: ChangeTimes) -> Iterator[Retraining]:
    for each in times.deployments.values():
        if each.version and each.automatic and each.live is not None:
            yield Retraining(
                model=each.item,
                version=each.version,
                triggered=min(each.triggered, each.live),
                live=each.live,
            )


def _waiting(
    times: ChangeTimes, now: float, declared: Collection[str] | None
) -> Iterator[WaitingChange]:
    """The changes that wait still, of those that a run executed by then."""
    # Before a branch runs commits of its own, it runs those of production.
    place = times.environment if times.environment in times.environments else PRODUCTION
    for change in times.changes.values():
        is_ours = place == PRODUCTION or place in change.seen
        if not is_ours or change.planned > now or times.live_at(change) is not None:
            continue
        needed = change.delivers or change.missing or change.stages
        if declared is not None and {*needed}.isdisjoint(declared):
            continue
        yield WaitingChange(
            id=change.id,
            committed=change.committed,
            age=max(0.0, now - change.committed),
            waits_for=_wait_of(change, now),
            stages=change.stages,
            delivers=change.delivers,
        )


def _wait_of(change: OpenChange, now: float) -> Wait:
    if change.delivery:
        return Wait.TRAFFIC
    computed = any(change.computed.get(name, now + 1) <= now for name in change.delivers)
    return Wait.APPROVAL if computed else Wait.RUN


def _waited(every: list[DeliveredChange], now: float) -> Iterator[WaitingChange]:
    """The changes that went live later, of those that a run executed by then."""
    for change in every:
        if change.planned <= now < change.live:
            computed, approved = change.candidate <= now, change.approved <= now
            waits_for = Wait.TRAFFIC if approved else Wait.APPROVAL if computed else Wait.RUN
            yield WaitingChange(
                id=change.id,
                committed=change.committed,
                age=max(0.0, now - change.committed),
                waits_for=waits_for,
                stages=change.stages,
                delivers=(change.item,) if change.item else (),
            )
