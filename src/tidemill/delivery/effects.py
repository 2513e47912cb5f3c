"""The external effect that a delivery queues in the outbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectDone
from tidemill.workflow.environment import own_place
from tidemill.workflow.sink import Sink
from tidemill.workflow.stage import Stage


def delivery_place(sink: Sink, environment: str) -> tuple[str, str]:
    """The target and the table that an environment delivers to.

    Production delivers to those of the sink. Any other environment has its own: `FOLDER@ENVIRONMENT`, or a
    table of that name.
    """
    if sink.table and sink.format != "call":
        return sink.folder, own_place(sink.table, environment)
    return own_place(sink.folder, environment), ""


def effect_of(
    stage: Stage, partition: str, environment: str, run: str, name: str = "", *, at: float = 0.0
) -> Effect:
    """The effect that writes the object `name` as a partition of a delivery, or removes the partition."""
    assert stage.sink is not None
    target, table = delivery_place(stage.sink, environment)
    # The run is part of the key: delivering an earlier content again is another delivery.
    return Effect(
        key=fingerprint("effect", environment, stage.name, partition, name, run),
        stage=stage.name,
        partition=partition,
        action="write" if name else "remove",
        target=target,
        object=name,
        format=stage.sink.format,
        table=table,
        catalog=stage.sink.catalog,
        at=at,
    )


def is_current(effect: Effect, stage: Stage | None, environment: str) -> bool:
    """Whether the workflow still delivers to the table of an effect; `stage` is the one of its name."""
    sink = None if stage is None else stage.sink
    if sink is None or sink.format != effect.format or sink.catalog != effect.catalog:
        return False
    return (effect.target, effect.table) == delivery_place(sink, environment)


def group_by_place(effects: Iterable[Effect]) -> list[list[Effect]]:
    """Group effects by the table that they are on, in order."""
    groups: dict[tuple[str, str, str, str], list[Effect]] = {}
    for effect in effects:
        groups.setdefault(effect.place, []).append(effect)
    return list(groups.values())


def last_effects(effects: Sequence[Effect]) -> tuple[list[Effect], list[tuple[Effect, Effect]]]:
    """The last effect on each partition of a table, and each earlier one with that which replaces it."""
    last = {(effect.stage, effect.partition): effect for effect in effects}
    earlier = [
        (effect, newer)
        for effect in effects
        if (newer := last[effect.stage, effect.partition]).key != effect.key
    ]
    return [effect for effect in effects if last[effect.stage, effect.partition] is effect], earlier


def replaced_effects(
    environment: str, earlier: Iterable[tuple[Effect, Effect]]
) -> Iterator[EffectDone]:
    """Record that queued effects won't be carried out, each because of a newer one."""
    for effect, newer in earlier:
        detail = {"given up": f"replaced by {newer.key}"}
        yield EffectDone(environment=environment, key=effect.key, detail=detail)
