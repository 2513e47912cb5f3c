"""Perform external effects, which are queued together with a publication, exactly once after it."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectDone, Event
from tidemill.ports.runtime import Runtime


def perform_effects(tools: Runtime, environment: str, effects: Sequence[Effect]) -> list[Event]:
    """Perform the queued effects; each is idempotent, so it can be repeated after a crash."""
    return [
        EffectDone(
            environment=environment,
            key=effect.key,
            detail=tools.sinks[effect.format](effect, tools.root, tools.artifacts),
        )
        for effect in effects
    ]
