"""Effects outside: queued with the publication that they belong to, carried out after it, exactly once."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectDone, Event
from tidemill.ports.runtime import Tools


def carry_out(tools: Tools, environment: str, effects: Sequence[Effect]) -> list[Event]:
    """Do what is queued to be done outside; every effect is safe to do again after a crash."""
    return [
        EffectDone(
            environment=environment,
            key=effect.key,
            detail=tools.sinks[effect.format](effect, tools.root, tools.artifacts),
        )
        for effect in effects
    ]
