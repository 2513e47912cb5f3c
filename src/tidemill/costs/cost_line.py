"""What costs are allocated to: lines of a day in an environment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from enum import StrEnum

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.quantities import Quantities, add_amounts
from tidemill.ledger.price import Price


class LineKind(StrEnum):
    """What a line is about: a stage, a version at an endpoint, stored data, or runs without steps."""

    STAGE = "stage"
    ENDPOINT = "endpoint"
    STORAGE = "storage"
    RUN = "run"


@dataclass(slots=True, kw_only=True)
class CostLine:
    """What something used, and what that cost by currency.

    Of the `amounts`, `shared` were allocated because they belong to nothing alone: what runs use beside their
    steps, and servers beside requests. `failed` are those of attempts that failed. `events` counts attempts,
    or periods that were served; `rows` were predicted.
    """

    used: Quantities = field(default_factory=Quantities)
    amounts: dict[str, float] = field(default_factory=dict)
    shared: dict[str, float] = field(default_factory=dict)
    failed: dict[str, float] = field(default_factory=dict)
    events: int = 0
    rows: int = 0

    def charge(
        self, used: Quantities, price: Price, *, is_shared: bool = False, has_failed: bool = False
    ) -> None:
        """Add what was used, at a price."""
        self.used.add(used)
        more = {price.currency: used.cost(price)}
        add_amounts(self.amounts, more)
        if is_shared:
            add_amounts(self.shared, more)
        if has_failed:
            add_amounts(self.failed, more)

    def merge(self, other: CostLine) -> None:
        """Add another line."""
        self.used.add(other.used)
        add_amounts(self.amounts, other.amounts)
        if other.shared:
            add_amounts(self.shared, other.shared)
        if other.failed:
            add_amounts(self.failed, other.failed)
        self.events += other.events
        self.rows += other.rows


def total_line(lines: Iterable[CostLine]) -> CostLine:
    """The sum of some lines."""
    found = CostLine()
    for line in lines:
        found.merge(line)
    return found
