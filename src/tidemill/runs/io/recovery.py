"""Clean up after runs that died, before the next one begins.

Nothing here needs Polars, so that a run with nothing to do never imports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidemill.core.counts import plural
from tidemill.delivery.effects import last_effects
from tidemill.delivery.io.outbox import Undelivered, perform_effects
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectDone, Event, Removed, RunEnded
from tidemill.ledger.io.lease_holder import describe_holder
from tidemill.ledger.run import Status
from tidemill.ports.ledger import Guard, State
from tidemill.ports.runtime import Runtime
from tidemill.runs.io.lease import Heartbeat


def recover_dead_runs(
    tools: Runtime, state: State, lease: Heartbeat
) -> tuple[list[str], tuple[Undelivered, ...]]:
    """Close runs that died, and carry out deliveries that are still queued.

    Return messages about it, and what couldn't be delivered.
    """
    guard, now = Guard(lease=lease.lease), tools.clock()
    words: list[str] = []
    if state.open_runs:
        lost = [RunEnded(run=run.id, status=Status.LOST) for run in state.open_runs]
        tools.ledger.append(lost, now=now, guard=guard)
        words += [
            f"run {run.id} of {describe_holder(run.holder)} died; what it published is kept"
            for run in state.open_runs
        ]
    lost_objects = tools.artifacts.find_missing(
        {e.object for e in state.pending_effects if e.object}
    )
    gone = [effect for effect in state.pending_effects if effect.object in lost_objects]
    if gone:
        tools.ledger.append(tuple(_give_up(state, gone)), now=tools.clock(), guard=guard)
        words.append(
            f"{plural(len(gone), 'queued delivery')} lost objects, which will be recomputed"
        )
    queued, earlier = last_effects([e for e in state.pending_effects if e not in gone])
    if earlier:
        tools.ledger.append(tuple(_replaced(state, earlier)), now=tools.clock(), guard=guard)
    failed = perform_effects(tools, state.environment, queued, guard) if queued else []
    if len(queued) > len(failed):
        words.append(f"carried out {plural(len(queued) - len(failed), 'delivery')} left queued")
    return words, tuple(failed)


def _replaced(state: State, earlier: Sequence[tuple[Effect, Effect]]) -> Iterator[Event]:
    for effect, newer in earlier:
        detail = {"given up": f"replaced by {newer.key}"}
        yield EffectDone(environment=state.environment, key=effect.key, detail=detail)


def _give_up(state: State, effects: Sequence[Effect]) -> Iterator[Event]:
    """Unbind queued deliveries whose objects are gone, so that the plan recomputes and delivers them."""
    for effect in effects:
        yield Removed(
            environment=state.environment, stage=effect.stage, partition=effect.partition, run=""
        )
        yield EffectDone(
            environment=state.environment, key=effect.key, detail={"given up": "its object is gone"}
        )
