"""Perform external effects, which are queued together with a publication, exactly once after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tidemill.core.errors import OvertakenError, StorageError, TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.delivery.effects import group_by_place
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectDone, Event
from tidemill.ports.formats import EffectResult, SinkWriter
from tidemill.ports.ledger import Guard
from tidemill.ports.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Undelivered:
    """An effect that a sink couldn't carry out, and why; it stays queued.

    `overtaken` is the error of a sink that has a delivery with a later time.
    """

    effect: Effect
    message: str
    overtaken: OvertakenError | None = None


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
            for effect, result in carry_out(tools, writer, some):
                if isinstance(result, TidemillError):
                    overtaken = result if isinstance(result, OvertakenError) else None
                    message = str(result)
                    failed.append(Undelivered(effect=effect, message=message, overtaken=overtaken))
                else:
                    done.append(
                        EffectDone(environment=environment, key=effect.key, detail=dict(result))
                    )
            if done:
                tools.ledger.append(done, now=tools.clock(), guard=guard)
    return failed


def _batches(effects: Sequence[Effect], size: int) -> Iterator[Sequence[Effect]]:
    return (effects[at : at + size] for at in range(0, len(effects), size))


def carry_out(
    tools: Runtime, writer: SinkWriter, effects: Sequence[Effect]
) -> list[tuple[Effect, EffectResult]]:
    """Carry out effects on one table; record nothing.

    Return the result of each effect; an error that the writer raises is that of those that are left.
    """
    found: list[tuple[Effect, EffectResult]] = []
    try:
        found.extend(writer.deliver_all(effects, tools.root, tools.artifacts))
        return found
    except TidemillError as error:
        reason: TidemillError = error
    except (KeyboardInterrupt, SystemExit):
        raise
    # Sinks are libraries of others. Whatever they raise, also a panic in Rust, fails one table.
    except BaseException as error:  # noqa: BLE001
        reason = _sink_error(effects[0], "written", error)
    left = {effect.key: effect for effect in effects}
    for effect, _ in found:
        del left[effect.key]
    return [*found, *((effect, reason) for effect in left.values())]


def find_fault(tools: Runtime, effect: Effect, detail: Mapping[str, str]) -> str | None:
    """How a sink differs from the last effect on a partition; None if it can't be read."""
    try:
        return tools.sinks[effect.format].find_fault(effect, detail, tools.root, tools.artifacts)
    except TidemillError as error:
        return str(error)
    except (KeyboardInterrupt, SystemExit):
        raise
    # A table that was damaged can raise anything.
    except BaseException as error:  # noqa: BLE001
        return str(_sink_error(effect, "read", error))


def _sink_error(effect: Effect, action: str, error: BaseException) -> StorageError:
    message = str(error).partition("\n")[0]
    kind = type(error).__name__
    return StorageError(f"{effect.table or effect.target} can't be {action}: {kind}: {message}")
