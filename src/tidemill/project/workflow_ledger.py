"""The ledger of one workflow in a home that several workflows may share."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain, islice

from tidemill.adapters.codec.ledger_errors import describe_holder
from tidemill.core.errors import ConflictError, Fault, did_you_mean
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import (
    EffectDone,
    EffectQueued,
    EnvironmentCreated,
    Event,
    Published,
    RecordedEvent,
)
from tidemill.ledger.event_filter import EVERYTHING, EventFilter
from tidemill.ledger.event_subjects import SCHEDULE
from tidemill.ledger.governance_events import Acted
from tidemill.ledger.retention_events import RetentionDeclared
from tidemill.ledger.retention_settings import RetentionSettings
from tidemill.ledger.schedule_events import SCHEDULE_EVENTS
from tidemill.ledger.workflow_scope import (
    WorkflowScope,
    adoption_events,
    declares_any,
    other_prefixes,
    split_name,
    with_environment,
    workflow_prefix,
    workflow_scope,
)
from tidemill.ports.ledger import Guard, Lease, Ledger, State
from tidemill.project.settings import Settings
from tidemill.runs.io.run_starters import RunStarters
from tidemill.workflow.environment import PRODUCTION, Environment
from tidemill.workflow.stage import Flow

# A lease or an environment.
_OWN_NAME = "(?:run:|serve:|up:)?[A-Za-z0-9_.-]+"


class WorkflowLedger:
    """Shows a ledger as if the workflow were alone in it.

    A home from before, whose environments have no workflow, is taken over when the workflow declares one
    of the stages that are published there: its first event makes its environments branches of them.

    If others share the home, the first event also records the settings of `retention`, unless they are known.
    With `trusts` it knows only results that are wholly the work of people whom it accepts.
    """

    def __init__(
        self,
        shared: Ledger,
        workflow: str,
        stages: Collection[str],
        retention: RetentionSettings | None = None,
        trusts: Callable[[str], bool] | None = None,
    ) -> None:
        self.shared = shared
        self.prefix = workflow_prefix(workflow)
        self._stages = stages
        self._retention = retention
        self._trusts = trusts
        self._starters = RunStarters(shared)
        # Whether nothing of the settings is left to be recorded with the next event.
        self._is_declared = False
        self._origins_of_effects: dict[str, str] = {}
        # Whether anything was appended that no checkpoint was considered for yet.
        self.has_appended = False
        # Whether there is nothing (more) to take over.
        self._begun = False

    def append(self, events: Sequence[Event], *, now: float, guard: Guard | None = None) -> int:
        self.has_appended = True
        recorded = [self._recorded(event) for event in events]
        if guard is not None and guard.lease is not None:
            guard = replace(guard, lease=self._recorded_lease(guard.lease))
        if not self._is_declared:
            recorded = [*self._declaration(), *recorded]
        adopted = self._adoption() if any(hasattr(event, "environment") for event in events) else []
        with self._own_names():
            try:
                seq = self.shared.append([*adopted, *recorded], now=now, guard=guard)
            except ConflictError:
                # Another process may have taken the home over at the same moment.
                if not adopted or self._adoption():
                    raise
                seq = self.shared.append(recorded, now=now, guard=guard)
        self._is_declared = True
        return seq

    def declare_retention(self, *, now: float) -> None:
        """Record how long the workflow keeps data, if others share the home and it isn't recorded yet."""
        if declared := self._declaration():
            self.shared.append(declared, now=now)
        self._is_declared = True

    def adopt(self, workflow: str, acted: Acted, *, now: float) -> tuple[str, ...]:
        """Continue the environments of another workflow in branches of them, and return their names.

        Who did it is recorded with it, and how long this one keeps data, which counts for both from now on.
        Raises ConflictError if this workflow has environments already.
        """
        every = self._environments()
        if not self._is_new(every):
            raise ConflictError(
                f"{self.prefix.rstrip('/')} has state of its own already: nothing was taken over"
            )
        scope = workflow_scope(every, self.prefix, workflow_prefix(workflow))
        if scope.origins:
            told = replace(acted, environment=scope.recorded(acted.environment))
            events = [replace(event, actor=acted.actor) for event in adoption_events(every, scope)]
            self.shared.append([*events, *self._declaration(), told], now=now)
            self._is_declared = True
        return tuple(name for name, _ in scope.origins.values())

    def others(self) -> list[str]:
        """The other workflows that have state in the home."""
        return [prefix.rstrip("/") for prefix in other_prefixes(self._environments(), self.prefix)]

    def also_delivered(self, targets: Collection[str]) -> dict[str, set[str]]:
        """By target, the other workflows that deliver there."""
        if not targets:
            return {}
        others, found = {*self.others()}, {target: set[str]() for target in targets}
        for fact in self.shared.events(kinds=("EffectQueued",)):
            # Each effect that was ever queued is read, so stop when they can't tell more.
            if all(found[target] == others for target in found):
                break
            event = fact.event
            assert isinstance(event, EffectQueued)
            workflow = split_name(event.environment)[0].rstrip("/")
            if event.effect.target in found and workflow in others:
                found[event.effect.target].add(workflow)
        return {target: names for target, names in found.items() if names}

    def acquire(
        self,
        name: str,
        holder: Mapping[str, str],
        *,
        now: float,
        ttl: float,
        dead: Callable[[Mapping[str, str]], bool],
    ) -> Lease:
        recorded = self.prefix + name
        with self._own_names():
            lease = self.shared.acquire(recorded, holder, now=now, ttl=ttl, dead=dead)
        return replace(lease, name=name)

    def renew(self, lease: Lease, *, now: float, ttl: float) -> Lease:
        with self._own_names():
            renewed = self.shared.renew(self._recorded_lease(lease), now=now, ttl=ttl)
        return replace(renewed, name=lease.name)

    def release(self, lease: Lease) -> None:
        self.shared.release(self._recorded_lease(lease))

    def state(self, environment: str, *, whole: bool = False) -> State:
        recorded = f"{self.prefix}{environment}"
        found = self.shared.state(recorded, whole=whole)
        every = found.environments
        scope = self._scope(every)
        origin = next((old for old, (name, _) in scope.origins.items() if name == environment), "")
        if origin:
            before = self.shared.state(origin, whole=whole)
            self._origins_of_effects.update({e.key: origin for e in before.pending_effects})
            if recorded in every:
                # A branch has no effects and runs of the environment that it continues.
                effects = (*before.pending_effects, *found.pending_effects)
                runs = (*before.open_runs, *found.open_runs)
                found = replace(found, pending_effects=effects, open_runs=runs)
            else:
                found = before
        return replace(
            found,
            environment=environment,
            environments=scope.environments(every),
            open_runs=tuple(replace(run, environment=environment) for run in found.open_runs),
        )

    def traces(self, keys: Collection[str]) -> Mapping[str, Binding]:
        found, trusts = self.shared.traces(keys), self._trusts
        if trusts is None:
            return found
        return {
            key: bound
            for key, bound in found.items()
            if all(trusts(self._starters.of(run)) for run in bound.makers)
        }

    def events(
        self,
        *,
        kinds: Collection[str] = (),
        after: int = 0,
        run: str = "",
        stage: str = "",
        where: EventFilter = EVERYTHING,
        newest: bool = False,
        limit: int | None = None,
    ) -> Iterable[RecordedEvent]:
        if where.about.startswith(SCHEDULE):
            # Schedules are recorded with the name of their workflow.
            name = where.about.removeprefix(SCHEDULE)
            where = replace(where, about=f"{SCHEDULE}{self.prefix}{name}")
        found = iter(
            self.shared.events(
                kinds=kinds,
                after=after,
                run=run,
                stage=stage,
                where=where,
                newest=newest,
            )
        )
        first = next(found, None)
        if first is None:
            # Most questions about rare kinds end here, and needn't know what belongs to the workflow.
            return iter(())
        scope = self._scope(self._environments())
        return islice(self._own(chain([first], found), scope), limit)

    def close(self) -> None:
        self.shared.close()

    @contextmanager
    def _own_names(self) -> Iterator[None]:
        """Name leases and environments in errors as the workflow knows them."""
        try:
            yield
        except ConflictError as error:
            # The command of a holder is quoted as it is; it may name folders like the workflow.
            holder = describe_holder(error.holder)
            message = holder.join(map(self._with_own_names, str(error).split(holder)))
            raise ConflictError(message, holder=error.holder) from error

    def _with_own_names(self, message: str) -> str:
        return re.sub(rf"'{re.escape(self.prefix)}({_OWN_NAME})'", r"'\1'", message)

    def _recorded_lease(self, lease: Lease) -> Lease:
        return replace(lease, name=self.prefix + lease.name)

    def _environments(self) -> Mapping[str, Environment]:
        # The state of an environment that never exists is quick to read.
        return self.shared.state(self.prefix).environments

    def _is_new(self, every: Mapping[str, Environment]) -> bool:
        return not any(split_name(name)[0] == self.prefix for name in every)

    def _scope(self, every: Mapping[str, Environment]) -> WorkflowScope:
        new, former = self._is_new(every), None
        if new and PRODUCTION in every:
            published = self.shared.state(PRODUCTION).heads
            former = "" if declares_any(published, self._stages) else None
        scope = workflow_scope(every, self.prefix, former)
        self._begun = not (new and scope.origins)
        return scope

    def _declaration(self) -> Sequence[RetentionDeclared]:
        """What tells the other workflows of the home how long this one keeps data, if they don't know it."""
        if self._retention is None or not other_prefixes(self._environments(), self.prefix):
            return ()
        settings = effective_retention(self._retention, self._stages, self)
        from tidemill.operations.shared_retention import SETTLING, RecordedSettings

        recorded = RecordedSettings()
        for fact in self.shared.events(kinds=SETTLING):
            recorded.add(fact.event)
        if recorded.settings.get(self.prefix) == settings:
            return ()
        return (RetentionDeclared(workflow=self.prefix.removesuffix("/"), settings=settings),)

    def _adoption(self) -> Sequence[EnvironmentCreated]:
        """What takes a home from before over, until that is done or there is nothing to take over."""
        if self._begun:
            return ()
        every = self._environments()
        scope = self._scope(every)
        return () if self._begun else adoption_events(every, scope)

    def _recorded(self, event: Event) -> Event:
        if isinstance(event, SCHEDULE_EVENTS):
            return replace(event, schedule=f"{self.prefix}{event.schedule}")
        name = getattr(event, "environment", None)
        if name is None:
            return event
        if isinstance(event, EffectDone) and event.key in self._origins_of_effects:
            return replace(event, environment=self._origins_of_effects[event.key])
        parent = event.parent if isinstance(event, EnvironmentCreated) else ""
        return with_environment(event, self.prefix + name, parent and self.prefix + parent)

    def _own(self, found: Iterable[RecordedEvent], scope: WorkflowScope) -> Iterator[RecordedEvent]:
        for fact in found:
            event = fact.event
            if isinstance(event, SCHEDULE_EVENTS):
                if event.schedule.startswith(self.prefix):
                    schedule = event.schedule.removeprefix(self.prefix)
                    yield replace(fact, event=replace(event, schedule=schedule))
                continue
            recorded = getattr(event, "environment", None)
            if recorded is None:
                yield fact
                continue
            name = scope.own(recorded, fact.seq)
            if name is not None:
                parent = event.parent if isinstance(event, EnvironmentCreated) else ""
                own = with_environment(event, name, split_name(parent)[1])
                yield RecordedEvent(seq=fact.seq, at=fact.at, event=own)


def shared_ledger(ledger: Ledger) -> Ledger:
    """The ledger of all workflows of a home, with the names of environments as they are recorded."""
    return ledger.shared if isinstance(ledger, WorkflowLedger) else ledger


def unknown_stages(
    settings: RetentionSettings, stages: Collection[str], ledger: Ledger
) -> list[str]:
    """The stages with a retention of their own that neither are among `stages` nor were ever published."""
    return [
        name
        for name in settings.stages
        if name not in stages
        and not [*ledger.events(kinds=(Published.__name__,), stage=name, limit=1)]
    ]


def retention_faults(
    settings: Settings, stages: Collection[str], ledger: Ledger
) -> Iterator[Fault]:
    """Faults for the unknown stages that the settings of `retention` name."""
    for name in unknown_stages(settings.retention, stages, ledger):
        is_hold = settings.retention.stages[name].hold
        yield Fault(
            message=f"there is no stage {name!r}{'; nothing at all is removed' if is_hold else ''}",
            where=f"{settings.root / 'pyproject.toml'}: [tool.tidemill.retention.stages.{name}]",
            hint=did_you_mean(name, stages),
        )


def effective_retention(
    settings: RetentionSettings, stages: Collection[str], ledger: Ledger
) -> RetentionSettings:
    """The settings; if they hold an unknown stage, everything is held: a mistyped hold loses nothing."""
    if any(settings.stages[name].hold for name in unknown_stages(settings, stages, ledger)):
        return replace(settings, hold=True)
    return settings


def shared_home_notes(ledger: Ledger, flow: Flow) -> list[str]:
    """Notes on what other workflows in the same home have to do with this one."""
    if not isinstance(ledger, WorkflowLedger) or not ledger.others():
        return []
    folders = {stage.sink.folder for stage in flow.stages if stage.sink is not None}
    return [
        *renaming_notes(ledger, flow),
        *(
            f"{folder} is also written by the workflow {', '.join(sorted(names))}: they replace each "
            "other's files; deliver to another folder"
            for folder, names in sorted(ledger.also_delivered(folders).items())
        ),
    ]


def renaming_notes(ledger: Ledger, flow: Flow) -> list[str]:
    """A note if the workflow has no state, but another one publishes stages of the same names."""
    if not isinstance(ledger, WorkflowLedger) or ledger.state(PRODUCTION).heads:
        return []
    return [
        f"nothing is published for the workflow {flow.name}, but {name} has stages of the same names; if it "
        f"was renamed, `tidemill env adopt {name}` continues there"
        for name in ledger.others()
        if declares_any(ledger.shared.state(f"{name}/{PRODUCTION}").heads, flow.names)
    ]
