"""Clean up after runs that died, before the next one begins.

Nothing here needs Polars, so that a run with nothing to do never imports it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tidemill.core.counts import plural
from tidemill.core.errors import OvertakenError
from tidemill.delivery.effects import is_current, last_effects, replaced_effects
from tidemill.delivery.io.outbox import perform_effects
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectDone, EffectQueued, Event, Removed, RunEnded
from tidemill.ledger.io.lease_holder import describe_holder
from tidemill.ledger.run import Status
from tidemill.ports.ledger import Guard, State
from tidemill.ports.runtime import Runtime
from tidemill.runs.io.lease import Heartbeat
from tidemill.workflow.stage import Flow

if TYPE_CHECKING:
    from tidemill.delivery.io.outbox import Undelivered

# Delta tables keep the time of a delivery in whole microseconds.
_SAME_S = 1e-5


def recover_dead_runs(
    tools: Runtime, flow: Flow, state: State, lease: Heartbeat
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
        events = _give_up(state, gone, "its object is gone")
        tools.ledger.append(tuple(events), now=tools.clock(), guard=guard)
        words.append(
            f"{plural(len(gone), 'queued delivery')} lost objects, which will be recomputed"
        )
    queued, earlier = last_effects([e for e in state.pending_effects if e not in gone])
    if earlier:
        replaced = replaced_effects(state.environment, earlier)
        tools.ledger.append(tuple(replaced), now=tools.clock(), guard=guard)
    stages = {stage.name: stage for stage in flow.stages}
    moved = [e for e in queued if not is_current(e, stages.get(e.stage), state.environment)]
    queued = [effect for effect in queued if effect not in moved]
    # A removal waits for its table to be declared again: then its rows mustn't be there.
    if left := [effect for effect in moved if effect.object]:
        events = _give_up(state, left, "its table is no longer declared")
        tools.ledger.append(tuple(events), now=tools.clock(), guard=guard)
        words.append(
            f"gave up {plural(len(left), 'queued delivery')} of {_names(left)}, to where the workflow "
            "no longer delivers"
        )
    failed = _perform(tools, state.environment, queued, guard)
    if len(queued) > len(failed):
        words.append(f"carried out {plural(len(queued) - len(failed), 'delivery')} left queued")
    return words, tuple(failed)


def _perform(
    tools: Runtime, environment: str, effects: Sequence[Effect], guard: Guard
) -> list[Undelivered]:
    """Carry out queued effects, the last on each partition.

    Another clock may have given the delivery before it a later time. This process has the lease, so its
    effects are newer than all that this ledger has queued, whatever the times say. A delivery of another
    project to the same table isn't in this ledger: its rows stay.
    """
    failed = perform_effects(tools, environment, effects, guard) if effects else []
    if not any(item.overtaken for item in failed):
        return failed
    queued = [
        fact.event.effect
        for fact in tools.ledger.events(kinds=("EffectQueued",))
        if isinstance(fact.event, EffectQueued)
    ]
    own = [i for i in failed if i.overtaken and _is_own(i.overtaken, i.effect, queued)]
    others = [_with_advice(item) for item in failed if item not in own]
    now = tools.clock()
    again = [replace(item.effect, at=max(now, item.effect.at)) for item in own]
    return [*others, *(perform_effects(tools, environment, again, guard) if again else [])]


def _is_own(newer: OvertakenError, effect: Effect, queued: Sequence[Effect]) -> bool:
    """Whether this ledger queued the newer delivery; a sink without keys knows its time only."""
    if newer.key:
        return any(each.key == newer.key for each in queued)
    place = (effect.place, effect.partition)
    return any((e.place, e.partition) == place and abs(e.at - newer.at) < _SAME_S for e in queued)


def _with_advice(item: Undelivered) -> Undelivered:
    if item.overtaken is None:
        return item
    message = (
        f"{item.message}: another project delivers to {item.effect.table or item.effect.target}, whose rows "
        f"stay. Deliver to a table of your own, or replace them: `tidemill run {item.effect.stage} --again`"
    )
    return replace(item, message=message)


def _names(effects: Sequence[Effect]) -> str:
    return ", ".join(sorted({effect.stage for effect in effects}))


def _give_up(state: State, effects: Sequence[Effect], reason: str) -> Iterator[Event]:
    """Unbind queued deliveries that can't be carried out, so that the plan recomputes and delivers them."""
    for effect in effects:
        yield Removed(
            environment=state.environment, stage=effect.stage, partition=effect.partition, run=""
        )
        yield EffectDone(environment=state.environment, key=effect.key, detail={"given up": reason})
