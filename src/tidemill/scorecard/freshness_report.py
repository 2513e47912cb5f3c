"""How fresh data were in a window: the share of the time within targets, and the age of what was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import local_day
from tidemill.scorecard.data_ages import DataAges, ReadAges, watermark_at
from tidemill.scorecard.spread import nearest_rank_of_counts


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFreshness:
    """The freshness of a stage in a window: seconds in which its data were older than `within`, and in all.

    `age` is that of its data at the end of the window in seconds, None if it isn't known; `known_s` are the
    seconds in which it was. Without a target nothing is `missed_s`.
    """

    stage: str
    age: float | None
    within: float | None = None
    known_s: float = 0.0
    missed_s: float = 0.0

    @property
    def share(self) -> float | None:
        """The share of the time in which the data met the target; None without one, or without data."""
        if self.within is None or self.known_s <= 0:
            return None
        return 1 - self.missed_s / self.known_s


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFreshness:
    """The p95 of the age of what `requests` to an endpoint read, in seconds; of `unknown` it isn't known."""

    endpoint: str
    requests: int
    unknown: int = 0
    p95: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessReport:
    """The stages that have published data, those that are late most first, and what endpoints read.

    `share` is the share of the time of all stages with a target in which they met it, `age_at_read` the p95
    over all endpoints; both are None where nothing is known.
    """

    stages: tuple[StageFreshness, ...] = ()
    reads: tuple[ReadFreshness, ...] = ()
    share: float | None = None
    age_at_read: float | None = None


def report_freshness(
    ages: DataAges, now: float, window_s: float, within: Mapping[str, float]
) -> FreshnessReport:
    """The freshness in the `window_s` seconds until `now` (Unix seconds).

    `within` has the age in seconds that the data of stages may have. Reads are those of whole days: from the
    day on which the window begins.
    """
    since = now - window_s
    stages = _stages(ages, {*ages.watermarks, *within}, since, now, within)
    reads, every = [], ReadAges()
    for endpoint, days in sorted(ages.reads.items()):
        own = _sum_days(days, local_day(since, ages.zone), local_day(now, ages.zone))
        if own.counts or own.unknown:
            reads.append(
                ReadFreshness(
                    endpoint=endpoint,
                    requests=sum(own.counts.values()),
                    unknown=own.unknown,
                    p95=nearest_rank_of_counts(own.counts, 0.95),
                )
            )
        _add(every, own)
    return FreshnessReport(
        stages=tuple(stages),
        reads=tuple(reads),
        share=_share(each for each in stages if each.within is not None),
        age_at_read=nearest_rank_of_counts(every.counts, 0.95),
    )


def freshness_share(
    ages: DataAges, now: float, window_s: float, within: Mapping[str, float]
) -> tuple[float | None, int]:
    """The `share` of such a report, and of how many stages it is."""
    stages = _stages(ages, within, now - window_s, now, within)
    return _share(stages), sum(each.share is not None for each in stages)


def _stages(
    ages: DataAges, names: Collection[str], since: float, until: float, within: Mapping[str, float]
) -> list[StageFreshness]:
    """The freshness of some stages, those that are late most first."""
    found = [_stage(ages, name, since, until, within.get(name)) for name in sorted(names)]
    return sorted(found, key=lambda each: -each.missed_s)


def _share(targeted: Iterable[StageFreshness]) -> float | None:
    stages = [*targeted]
    known = sum(each.known_s for each in stages)
    return 1 - sum(each.missed_s for each in stages) / known if known > 0 else None


def _stage(
    ages: DataAges, name: str, since: float, until: float, within: float | None
) -> StageFreshness:
    known = ages.watermarks.get(name)
    watermark = watermark_at(known, until)
    age = None if watermark is None else max(0.0, until - watermark)
    if known is None or within is None:
        return StageFreshness(stage=name, age=age, within=within)
    missed, seconds = known.missed_seconds(within, since, until)
    return StageFreshness(stage=name, age=age, within=within, known_s=seconds, missed_s=missed)


def _sum_days(days: Mapping[str, ReadAges], first: str, last: str) -> ReadAges:
    total = ReadAges()
    for day, own in days.items():
        if first <= day <= last:
            _add(total, own)
    return total


def _add(total: ReadAges, own: ReadAges) -> None:
    total.unknown += own.unknown
    total.counts = dict(Counter(total.counts) + Counter(own.counts))
