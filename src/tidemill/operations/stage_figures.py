"""The figures of stages and endpoints by day or partition, with what they cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.price_history import PriceHistory
from tidemill.history.stage_performance import AttemptTally, percentiles
from tidemill.ledger.event import Attempted, RecordedEvent
from tidemill.ledger.performance import Percentiles, Performance
from tidemill.ledger.price import Price
from tidemill.operations.endpoint_tally import EndpointTally, merged_endpoints
from tidemill.operations.ledger_metrics import LedgerMetrics
from tidemill.serving.buckets import quantile


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFigures:
    """The figures of a stage, or of one of its days or partitions (`key`); `cost` is in `currency`,
    that of today's prices.

    `delay` are the seconds from the arrival of data to their publication. The `watermark` (Unix seconds) is
    only known of a whole stage.
    """

    performance: Performance
    key: str = ""
    cost: float = 0.0
    currency: str = ""
    delay: Percentiles = field(default_factory=Percentiles)
    watermark: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFigures:
    """What an endpoint served, on a day if `key` names one; `p95` are seconds, an end of a bucket."""

    endpoint: str
    key: str = ""
    requests: int
    failed: int
    rows: int
    p95: float | None
    cost: float
    currency: str


class FiguresByStage:
    """Sums up the figures of each stage, those of stages that didn't change since only once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, StageFigures]] = {}
        self._of: tuple[LedgerMetrics, str, Price] | None = None

    def read(self, metrics: LedgerMetrics, first_day: str, price: Price) -> list[StageFigures]:
        """The figures of each stage from a day on."""
        if self._of is None or self._of[0] is not metrics or self._of[1:] != (first_day, price):
            self._of, self._known = (metrics, first_day, price), {}
        found = []
        for stage in sorted({*metrics.days, *metrics.watermarks}):
            changed = metrics.changes.get(stage, 0)
            known = self._known.get(stage)
            if known is None or known[0] != changed:
                known = self._known[stage] = changed, _of_stage(metrics, stage, first_day, price)
            found.append(known[1])
        return found


def _of_stage(metrics: LedgerMetrics, stage: str, first_day: str, price: Price) -> StageFigures:
    tally, delays = AttemptTally(), dict[float, int]()
    for day, own in sorted(metrics.days.get(stage, {}).items()):
        if day >= first_day:
            tally.merge(own)
    for day, counts in metrics.delays.get(stage, {}).items():
        for seconds, count in counts.items() if day >= first_day else ():
            delays[seconds] = delays.get(seconds, 0) + count
    mark = metrics.watermarks.get(stage)
    watermark = mark.current if mark is not None else None
    return _figures(stage, "", tally, price, delays, watermark)


def figures_by_day(
    metrics: LedgerMetrics, stage: str, first_day: str, price: Price
) -> list[StageFigures]:
    """The figures of each day of a stage, from a day on, the oldest first."""
    delays = metrics.delays.get(stage, {})
    return [
        _figures(stage, day, tally, price, delays.get(day, {}), None)
        for day, tally in sorted(metrics.days.get(stage, {}).items())
        if day >= first_day
    ]


def endpoint_figures(metrics: LedgerMetrics, first_day: str, price: Price) -> list[EndpointFigures]:
    """What each endpoint served from a day on."""
    return [
        _endpoint(
            endpoint, merged_endpoints(t for day, t in days.items() if day >= first_day), price
        )
        for endpoint, days in sorted(metrics.endpoints.items())
    ]


def tally_attempts(
    facts: Iterable[RecordedEvent],
    key: Callable[[Attempted], str],
    wanted: Callable[[RecordedEvent, Attempted], bool],
    prices: PriceHistory,
) -> dict[str, dict[str, AttemptTally]]:
    """Sum up the wanted attempts among events by stage and key."""
    found: dict[str, dict[str, AttemptTally]] = {}
    for fact in facts:
        event = fact.event
        if isinstance(event, Attempted) and wanted(fact, event):
            own = found.setdefault(event.attempt.stage, {})
            price = prices.price(fact.seq, fact.at)
            own.setdefault(key(event), AttemptTally()).add(event.run, event.attempt, price)
    return found


def figures_of(stage: str, tallies: Mapping[str, AttemptTally], price: Price) -> list[StageFigures]:
    """The figures of sums by key, in the order of the keys."""
    return [_figures(stage, key, tally, price, {}, None) for key, tally in sorted(tallies.items())]


def _figures(
    stage: str,
    key: str,
    tally: AttemptTally,
    price: Price,
    delays: Mapping[float, int],
    watermark: float | None,
) -> StageFigures:
    return StageFigures(
        performance=tally.performance(stage),
        key=key,
        cost=tally.amounts.get(price.currency, 0.0),
        currency=price.currency,
        delay=percentiles(delays),
        watermark=watermark,
    )


def _endpoint(endpoint: str, tally: EndpointTally, price: Price) -> EndpointFigures:
    return EndpointFigures(
        endpoint=endpoint,
        requests=tally.requests,
        failed=tally.failed,
        rows=tally.rows,
        p95=quantile(tally.latency, 0.95) if any(tally.latency) else None,
        cost=tally.amounts.get(price.currency, 0.0),
        currency=price.currency,
    )
