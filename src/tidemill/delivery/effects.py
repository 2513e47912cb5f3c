"""The external effect that a delivery queues in the outbox."""

from __future__ import annotations

from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.delivery import Effect
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.stage import Stage


def effect_of(stage: Stage, partition: str, environment: str, run: str, name: str = "") -> Effect:
    """The effect that writes the object `name` as a partition of a delivery, or removes the partition.

    Production delivers to the sink's folder, any other environment to `FOLDER@ENVIRONMENT`.
    """
    assert stage.sink is not None
    folder = stage.sink.folder
    # The run is part of the key: delivering an earlier content again is another delivery.
    return Effect(
        key=fingerprint("effect", environment, stage.name, partition, name, run),
        stage=stage.name,
        partition=partition,
        action="write" if name else "remove",
        target=folder if environment == PRODUCTION else f"{folder}@{environment}",
        object=name,
        format=stage.sink.format,
    )
