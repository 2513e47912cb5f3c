"""Effects outside: queued with the publication that they belong to, carried out after it, exactly once."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.act.tools import Tools
from tidemill.domain.delivery import Effect
from tidemill.domain.environment import PRODUCTION
from tidemill.domain.event import EffectDone, Event
from tidemill.domain.fingerprint import fingerprint
from tidemill.domain.stage import Stage


def effect_of(stage: Stage, partition: str, environment: str, run: str, name: str = "") -> Effect:
    """Write the object `name` as a partition of a delivery, or without one remove the partition.

    Only production delivers to the sink's own folder; another environment's goes beside it.
    """
    assert stage.sink is not None
    folder = stage.sink.folder
    # The run is part of the key: going back to an earlier content is a delivery of its own.
    return Effect(
        key=fingerprint("effect", environment, stage.name, partition, name, run),
        stage=stage.name,
        partition=partition,
        action="write" if name else "remove",
        target=folder if environment == PRODUCTION else f"{folder}@{environment}",
        object=name,
        format=stage.sink.format,
    )


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
