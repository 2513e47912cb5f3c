"""Perform external effects, which are queued together with a publication, exactly once after it."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectDone, Event
from tidemill.ports.ledger import Guard
from tidemill.ports.runtime import Runtime


def perform_effects(
    tools: Runtime, environment: str, effects: Sequence[Effect], guard: Guard
) -> None:
    """Perform queued effects, and record that; each is idempotent, so it can be repeated after a crash."""
    done: list[Event] = [
        EffectDone(
            environment=environment,
            key=effect.key,
            detail=tools.sinks[effect.format].deliver(effect, tools.root, tools.artifacts),
        )
        for effect in effects
    ]
    tools.ledger.append(done, now=tools.clock(), guard=guard)
