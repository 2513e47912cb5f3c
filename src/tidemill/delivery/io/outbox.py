"""Perform external effects, which are queued together with a publication, exactly once after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidemill.core.errors import TidemillError
from tidemill.delivery.effects import group_by_place
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectDone, Event
from tidemill.ports.formats import EffectResult, SinkWriter
from tidemill.ports.ledger import Guard
from tidemill.ports.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """An effect that a sink couldn't carry out, and why; it stays queued."""

    effect: Effect
    message: str


def perform_effects(
    tools: Runtime, environment: str, effects: Sequence[Effect], guard: Guard
) -> list[Undelivered]:
    """Perform queued effects, and record that; return those that failed, which stay queued.

    Each is idempotent, so it can be repeated after a crash. A table that fails holds no other one up.
    """
    failed: list[Undelivered] = []
    for group in group_by_place(effects):
        writer = tools.sinks[group[0].format]
        size = writer.batch or len(group)
        for some in _batches(group, size):
            done: list[Event] = []
            for effect, result in _results(tools, writer, some):
                if isinstance(result, TidemillError):
                    failed.append(Undelivered(effect=effect, message=str(result)))
                else:
                    done.append(
                        EffectDone(environment=environment, key=effect.key, detail=dict(result))
                    )
            if done:
                tools.ledger.append(done, now=tools.clock(), guard=guard)
    return failed


def _batches(effects: Sequence[Effect], size: int) -> Iterator[Sequence[Effect]]:
    return (effects[at : at + size] for at in range(0, len(effects), size))


def _results(
    tools: Runtime, writer: SinkWriter, effects: Sequence[Effect]
) -> Iterator[tuple[Effect, EffectResult]]:
    """The result of each effect; an error that the writer raises is that of those that are left."""
    left = {effect.key: effect for effect in effects}
    try:
        for effect, result in writer.deliver_all(effects, tools.root, tools.artifacts):
            del left[effect.key]
            yield effect, result
    except TidemillError as error:
        yield from ((effect, error) for effect in left.values())
