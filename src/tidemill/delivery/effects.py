"""The external effect that a delivery queues in the outbox."""

from __future__ import annotations

from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.delivery import Effect
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.stage import Sink, Stage


def delivery_target(sink: Sink, environment: str) -> str:
    """Production delivers to the sink's folder, any other environment to `FOLDER@ENVIRONMENT`."""
    return sink.folder if environment == PRODUCTION else f"{sink.folder}@{environment}"


def effect_of(stage: Stage, partition: str, environment: str, run: str, name: str = "") -> Effect:
    """The effect that writes the object `name` as a partition of a delivery, or removes the partition."""
    assert stage.sink is not None
    # The run is part of the key: delivering an earlier content again is another delivery.
    return Effect(
        key=fingerprint("effect", environment, stage.name, partition, name, run),
        stage=stage.name,
        partition=partition,
        action="write" if name else "remove",
        target=delivery_target(stage.sink, environment),
        object=name,
        format=stage.sink.format,
    )
