"""Sample records of work that waits for a cheaper time."""

from __future__ import annotations

from typing import Any

from tidemill.ledger.event import Event
from tidemill.ledger.off_peak import DeferredWork
from tidemill.ledger.off_peak_events import WorkDeferred


def deferred_work(**changes: Any) -> DeferredWork:
    """A training that waits from the afternoon until the night."""
    values: dict[str, Any] = {
        "stage": "model",
        "action": "train",
        "partitions": ("all",),
        "since": 1_357_000_000.0,
        "deadline": 1_357_086_400.0,
        "start": 1_357_030_800.0,
        "end": 1_357_034_400.0,
        "because": "`default_deadline`",
        "price": 0.1,
        "price_at_once": 0.3,
        "cpu_s": 3_600.0,
    }
    return DeferredWork(**(values | changes))


def off_peak_events() -> list[Event]:
    """Work that waits, and that nothing waits any more."""
    return [
        WorkDeferred(environment="prod", works=(deferred_work(),), unit="EUR/kWh"),
        WorkDeferred(environment="prod"),
    ]
