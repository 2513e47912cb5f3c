"""What work saved by waiting for a cheaper time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidemill.ledger.off_peak import DeferredWork, OffPeakSaving
from tidemill.ledger.off_peak_events import WorkDeferred
from tidemill.ledger.run import Action, StageTotals
from tidemill.offpeak.offpeak_settings import OffPeakSettings
from tidemill.offpeak.price_curve import PriceCurve

_HOUR_S = 3_600.0
# Units of prices of CPU hours themselves.
_CPU_HOURS = ("cpu-h", "cpu-hour", "cpu hour", "vcpu-h", "vcpu-hour")


def saving_of(
    works: Iterable[DeferredWork],
    totals: Sequence[StageTotals],
    *,
    began: float,
    ended: float,
    curve: PriceCurve,
    settings: OffPeakSettings,
) -> OffPeakSaving | None:
    """What the stages of a run saved that had waited; None if none of them ran.

    CPU time is priced at the mean price of the run, and at that of the time when the work became due. Of a
    stage that computed other partitions as well, the same time is taken for each.
    """
    # A training whose model gates refuse was computed all the same.
    ran = {tally.stage: tally for tally in totals if tally.ran}
    done = [work for work in works if work.stage in ran]
    if not done:
        return None
    price = curve.mean(began, ended) if ended > began else None
    price = curve.at(began) if price is None else price
    hours = {work.stage: _cpu_hours(work, ran[work.stage]) for work in done}
    known = [work for work in done if work.price_at_once is not None and price is not None]
    at_once = sum((work.price_at_once or 0.0) * hours[work.stage] for work in known)
    spent = sum((price or 0.0) * hours[work.stage] for work in known)
    per_hour = _per_cpu_hour(settings)
    return OffPeakSaving(
        stages=tuple(work.stage for work in done),
        waited_s=max(max(0.0, began - work.since) for work in done),
        share=1 - spent / at_once if at_once > 0 else None,
        amount=(at_once - spent) * per_hour if known and per_hour is not None else None,
        unit=settings.unit.partition("/")[0],
        late=tuple(work.stage for work in done if ended > work.deadline),
    )


def _cpu_hours(work: DeferredWork, tally: StageTotals) -> float:
    """The CPU time of the work, without that of other partitions of its stage."""
    hours = tally.cpu_s / _HOUR_S
    # A training is one step beside its trials.
    return (
        hours if work.action == Action.TRAIN else hours * min(1.0, len(work.partitions) / tally.ran)
    )


def _per_cpu_hour(settings: OffPeakSettings) -> float | None:
    """How much of what is priced a CPU hour takes."""
    _, _, priced = settings.unit.partition("/")
    if settings.per_cpu_hour is None and priced.strip().lower() in _CPU_HOURS:
        return 1.0
    return settings.per_cpu_hour


def is_same_timetable(record: WorkDeferred, other: WorkDeferred) -> bool:
    """Whether the same work waits until the same times by the same list of prices; these may differ."""
    return _times(record) == _times(other)


def _times(record: WorkDeferred) -> tuple[object, ...]:
    works = [(w.key, w.partitions, w.since, w.deadline, w.start, w.late) for w in record.works]
    return works, works and (record.unit, record.prices)
