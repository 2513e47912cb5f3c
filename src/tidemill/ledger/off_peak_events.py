"""Events about work that waits for a cheaper time."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.off_peak import DeferredWork


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkDeferred:
    """The work of an environment that waits for a cheaper time from now on; none if nothing waits any more.

    Prices are in `unit`, from the list that `prices` names: those of other lists say nothing beside them.
    """

    environment: str
    works: tuple[DeferredWork, ...] = ()
    unit: str = ""
    prices: str = ""
