"""What the four numbers are computed from: sums over the events of an environment, as they are read.

What was read is never read again: the sums are stored between commands.
"""

from __future__ import annotations

from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.local_day import local_day
from tidemill.costs.price_history import PriceHistories
from tidemill.ledger.event import Attempted, RecordedEvent, RunEnded, RunStarted
from tidemill.ledger.price import PriceBook
from tidemill.scorecard.change_times import CHANGE_KINDS, ChangeTimes
from tidemill.scorecard.data_ages import AGE_KINDS, DataAges
from tidemill.scorecard.inference_costs import COST_KINDS, TRAINED, InferenceCosts
from tidemill.scorecard.recovery_times import RECOVERY_KINDS, RecoveryTimes

# How far back events matter: to the longest window, the one before it, and what was live then.
HORIZON_S = 196 * 86_400.0
# The kinds of events that the numbers are derived from.
SCORECARD_KINDS = tuple(sorted({*CHANGE_KINDS, *COST_KINDS, *RECOVERY_KINDS, *AGE_KINDS}))


@dataclass(slots=True, kw_only=True)
class ScorecardSums:
    """The sums of an environment up to event `seq`, which was recorded at `at` (Unix seconds).

    `firsts` are the books by which events were priced before any book was recorded, by environment, for those
    in which anything was priced.
    """

    environment: str
    zone: str
    changes: ChangeTimes
    costs: InferenceCosts
    recoveries: RecoveryTimes
    ages: DataAges
    seq: int = 0
    at: float = 0.0
    events: int = 0
    firsts: dict[str, PriceBook] = field(default_factory=dict)

    def add(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        """Add an event, in the order of the ledger; `prices` are those of all environments."""
        self.seq, self.at = fact.seq, fact.at
        self.events += 1
        self.changes.add(fact)
        self.recoveries.add(fact)
        self._add(fact, prices)

    def add_earlier(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        """Add one of the few events before all others that these depend on, in their order."""
        if not isinstance(fact.event, RunStarted | Attempted | RunEnded):
            # Of a few steps it isn't known what failed, and recovered since.
            self.recoveries.add(fact)
        self._add(fact, prices)

    def _add(self, fact: RecordedEvent, prices: PriceHistories) -> None:
        name = getattr(fact.event, "environment", "")
        if name and name not in self.firsts and self._prices(fact, name):
            self.firsts[name] = prices.of(name).first
        self.costs.add(fact, prices)
        self.ages.add(fact)

    def is_priced_by(self, prices: PriceHistories) -> bool:
        """Whether what was before any recorded book would be priced as it was."""
        return all(prices.of(name).first == book for name, book in self.firsts.items())

    def _prices(self, fact: RecordedEvent, environment: str) -> bool:
        """Whether an event can add to costs: of other environments only trainings do."""
        return environment == self.environment or (
            isinstance(fact.event, Attempted) and fact.event.attempt.action in TRAINED
        )

    def prune(self, now: float) -> None:
        """Forget what is too old for any figure."""
        since = now - HORIZON_S
        self.changes.prune(since)
        self.costs.prune(local_day(since, self.zone))
        self.recoveries.prune(since)
        self.ages.prune(since)


def empty_sums(environment: str, zone: str, currency: str) -> ScorecardSums:
    """The sums of no event."""
    return ScorecardSums(
        environment=environment,
        zone=zone,
        changes=ChangeTimes(environment=environment),
        costs=InferenceCosts(environment=environment, zone=zone, currency=currency),
        recoveries=RecoveryTimes(environment=environment),
        ages=DataAges(environment=environment, zone=zone),
    )
