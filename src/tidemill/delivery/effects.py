"""The external effect that a delivery queues in the outbox."""

from __future__ import annotations

from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.delivery import Effect
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.stage import Stage


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
