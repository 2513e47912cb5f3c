"""The tables that a workspace delivered: compare them with the ledger, and deliver again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from importlib import import_module

from tidemill.core.counts import plural
from tidemill.core.errors import GateError, StorageError, TidemillError, UsageError
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.delivery.effects import delivery_place, last_effects, replaced_effects
from tidemill.delivery.io.outbox import Undelivered, carry_out, find_fault, perform_effects
from tidemill.governance.permissions import Permission
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectDone, EffectQueued, Event, RunStarted
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ports.ledger import Guard
from tidemill.project.enforcement import is_governed
from tidemill.project.removals import removal_text, removal_times
from tidemill.project.review_upkeep import announce_reviews
from tidemill.project.workspace import Workspace
from tidemill.runs.io.lease import take_lease
from tidemill.workflow.environment import PRODUCTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The partitions of a table that were delivered as they were after a run; the others hadn't changed.

    Those that came later were `removed` from its sink.
    """

    table: str
    run: str
    partitions: tuple[str, ...]
    removed: tuple[str, ...]


class DeliveredTables:
    """The tables that a workspace delivered, in every environment."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._queued: set[tuple[object, ...]] = set()

    def find_fault(self, effect: Effect, detail: Mapping[str, str]) -> str | None:
        """How a sink differs from the last effect on a partition; None if it can't be read."""
        return find_fault(self._workspace.tools, effect, detail)

    def deliver_again(self, effect: Effect) -> str:
        """Carry out an effect of `last_effects` again; return why that failed."""
        tools = self._workspace.tools
        if (effect.place, effect.partition) in self._queued:
            return "a newer delivery of it is queued, which `tidemill run` carries out"
        now = tools.clock()
        again = replace(effect, key=fingerprint("again", effect.key, str(now)), at=now)
        results = carry_out(tools, tools.sinks[effect.format], [again])
        return "".join(str(result) for _, result in results if isinstance(result, TidemillError))

    def restore(
        self, table: str, run: str, *, command: str, wait_s: float | None = 0.0, again: bool = False
    ) -> Restored:
        """Deliver again what a table had after a run, without computing anything; the published rows stay.

        Rules and people decide on it as on any delivery of the table: GateError if they refuse it, or it
        waits for a review. With `again` people are asked once more about what they rejected.

        Raises UsageError for a stage that isn't a table, or a run that isn't known; StorageError if an
        object isn't stored any more, or the sink fails: then the deliveries stay queued; AccessError if the
        actor may not restore.
        """
        space, tools = self._workspace, self._workspace.tools
        acted = space.action_event(Permission.RESTORE, table, f"as of run {run}")
        if space.stage(table).sink is None:
            raise UsageError(f"{table} is a {space.stage(table).kind}: it isn't delivered anywhere")
        waits = False
        lease = take_lease(tools, space.environment, this_process(command), wait_s)
        try:
            # Under the lease, because a run may have delivered other rows until now.
            now, wanted = self.changes(table, run)
            guard, also = Guard(lease=lease.lease), (acted,) if wanted else ()
            if is_governed(space):
                policy = import_module("tidemill.project.restore_policy")
                decided, guard = policy.decide_restore(
                    space, table, now, wanted, lease.lease, run=run, again=again
                )
                also = (*decided, *also)
            # A sweep may be about to delete what would be delivered.
            guard = replace(guard, find_missing=tools.artifacts.find_missing)
            failed = self._deliver(table, wanted, guard, also)
        except GateError:
            waits = True
            raise
        finally:
            lease.close()
            if waits:
                announce_reviews(space)
        if failed:
            raise StorageError(failed[0].message)
        return Restored(
            table=table,
            run=run,
            partitions=tuple(each.partition for each in wanted if each.object),
            removed=tuple(each.partition for each in wanted if not each.object),
        )

    def restored_partitions(self, table: str) -> tuple[str, ...]:
        """The partitions of which the sink holds other rows than are published, since it was restored."""
        now, _ = self._versions(table, 0)
        published = self._workspace.bindings(table)
        return tuple(
            partition
            for partition, effect in sorted(now.items())
            if partition in published and effect.object != published[partition].product.objects[0]
        )

    def changes(self, table: str, run: str) -> tuple[Mapping[str, Effect], list[Effect]]:
        """The last effects on a table, and those that bring back what it had after a run.

        UsageError for a run that isn't known, StorageError if an object is lost.
        """
        tools = self._workspace.tools
        now, then = self._versions(table, self._last_event(run))
        wanted = [
            _as_of(effect, then.get(partition), run, tools.clock())
            for partition, effect in sorted(now.items())
            if not _is_same(effect, then.get(partition))
        ]
        lost = tools.artifacts.find_missing({effect.object for effect in wanted if effect.object})
        if lost:
            raise StorageError(
                f"{plural(len(lost), 'object')} of {table} as of {run} can't be used any more"
                f"{self._removal(table, lost)}"
            )
        return now, wanted

    def _removal(self, table: str, lost: Collection[str]) -> str:
        """Say when a sweep removed earlier deliveries of a table, if one did."""
        facts = self._workspace.tools.ledger.events(kinds=(EffectQueued.__name__,), stage=table)
        queued = {
            fact.seq
            for fact in facts
            if isinstance(fact.event, EffectQueued) and fact.event.effect.object in lost
        }
        removed = removal_times(self._workspace, queued)
        return f": {removal_text(max(removed.values()))}" if removed else ""

    def _deliver(
        self, table: str, effects: Sequence[Effect], guard: Guard, also: Sequence[Event]
    ) -> list[Undelivered]:
        """Carry out effects on a table, and those that were queued before on its other partitions.

        The events `also` are recorded with them.
        """
        tools, environment = self._workspace.tools, self._workspace.environment
        pending = self._workspace.state().pending_effects
        due, earlier = last_effects([*(e for e in pending if e.stage == table), *effects])
        events: list[Event] = [
            *also,
            *(EffectQueued(environment=environment, effect=effect) for effect in effects),
        ]
        events += replaced_effects(environment, earlier)
        if events:
            tools.ledger.append(events, now=tools.clock(), guard=guard)
        return perform_effects(
            tools, environment, due, replace(guard, unchanged={}, find_missing=None)
        )

    def _last_event(self, run: str) -> int:
        kinds = ("RunStarted", "RunEnded")
        ledger, environment = self._workspace.tools.ledger, self._workspace.environment
        facts = [*ledger.events(kinds=kinds, run=run)]
        started = [fact.event for fact in facts if isinstance(fact.event, RunStarted)]
        if not started or started[0].environment != environment:
            raise UsageError(
                f"there is no run {run!r} in {environment}; `tidemill runs` lists them"
            )
        return facts[-1].seq

    def _versions(self, table: str, until: int) -> tuple[dict[str, Effect], dict[str, Effect]]:
        """The last effect on each partition of a table now, and up to an event."""
        now: dict[str, Effect] = {}
        then: dict[str, Effect] = {}
        for fact in self._workspace.tools.ledger.events(kinds=("EffectQueued",), stage=table):
            event = fact.event
            assert isinstance(event, EffectQueued)
            effect = event.effect
            if event.environment == self._workspace.environment:
                now[effect.partition] = effect
                if fact.seq <= until:
                    then[effect.partition] = effect
        return now, then

    def last_effects(self) -> list[tuple[Effect, Mapping[str, str]]]:
        """The last effect on each partition of a table that a stage still delivers to, and its details."""
        queued: dict[str, Effect] = {}
        waiting: dict[str, Effect] = {}
        last: dict[tuple[object, ...], tuple[Effect, Mapping[str, str]]] = {}
        kinds = ("EffectQueued", "EffectDone")
        for fact in self._workspace.tools.ledger.events(kinds=kinds):
            if isinstance(fact.event, EffectQueued):
                effect = fact.event.effect
                queued[effect.key] = waiting[effect.key] = effect
            elif isinstance(fact.event, EffectDone):
                waiting.pop(fact.event.key, None)
                if "given up" not in fact.event.detail:
                    effect = queued[fact.event.key]
                    last[effect.place, effect.partition] = effect, fact.event.detail
        self._queued = {(effect.place, effect.partition) for effect in waiting.values()}
        return [(effect, detail) for effect, detail in last.values() if self._is_current(effect)]

    def _is_current(self, effect: Effect) -> bool:
        """Whether the stage of a delivery is declared, and delivers to the same table."""
        flow = self._workspace.flow
        sink = flow[effect.stage].sink if effect.stage in flow.names else None
        if sink is None or sink.format != effect.format:
            return False
        target, table = delivery_place(sink, PRODUCTION)
        # The targets of other environments end in `@` and their name.
        own, other = (effect.table, table) if table else (effect.target, target)
        if table and effect.target != target:
            return False
        return own == other or own.rpartition("@")[0] == other


def _is_same(now: Effect, then: Effect | None) -> bool:
    """Whether a partition has the same rows as it had, or is removed as it wasn't there."""
    return now.object == (then.object if then is not None else "")


def _as_of(now: Effect, then: Effect | None, run: str, at: float) -> Effect:
    """The effect that brings back what a partition had; its removal if it had none."""
    name = then.object if then is not None else ""
    return replace(
        now,
        key=fingerprint("restore", now.key, name, run, str(at)),
        action="write" if name else "remove",
        object=name,
        at=at,
    )
