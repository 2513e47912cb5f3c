"""Let work that can wait run when it is cheap: read prices, place it, record what waits and what it saved."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tidemill.core.errors import UsageError
from tidemill.ledger.event import Attempted
from tidemill.ledger.off_peak import DeferredWork, OffPeakSaving
from tidemill.ledger.off_peak_events import WorkDeferred
from tidemill.ledger.run import Outcome, Receipt, StageTotals
from tidemill.offpeak.deferral import SOON_S, DeferralFacts, deferrable_steps, place_works
from tidemill.offpeak.duration_quantile import PastAttempt, StepDuration, step_duration
from tidemill.offpeak.io.price_reader import KnownPrices, read_prices
from tidemill.offpeak.io.recorded_works import last_deferral
from tidemill.offpeak.saving import is_same_timetable, saving_of
from tidemill.offpeak.waiting_works import undone_works, works_left, works_to_note
from tidemill.operations.schedule import upcoming_ticks
from tidemill.planning.plan import Plan, Step
from tidemill.ports.ledger import State
from tidemill.project.declared_schedules import declared_schedules
from tidemill.project.offpeak_faults import no_prices_note, off_peak_faults
from tidemill.project.workspace import Workspace

# How many attempts at the steps of a stage tell how durations vary.
_ATTEMPTS = 100
# Prices are read again after so many seconds.
_PRICES_S = 60.0


class OffPeak:
    """The work of a project that can wait for a cheaper time."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._settings = workspace.settings.offpeak
        self._past: dict[str, dict[str, list[PastAttempt]]] = {}
        # When prices were read, and what they were.
        self._known_prices: tuple[float, KnownPrices] | None = None

    def with_timetable(self, plan: Plan, state: State) -> Plan:
        """The plan with the work that can wait, and when it runs; UsageError for settings that don't fit."""
        space = self._workspace
        if not plan.steps:
            return plan
        for fault in off_peak_faults(self._settings, space.flow, space.root):
            raise UsageError(f"{fault.where} {fault.message}")
        facts = self._facts(plan, state)
        if not deferrable_steps(space.flow, plan, facts):
            return plan
        prices = self._prices(facts.now)
        works = place_works(space.flow, plan, facts, prices.curve)
        notes = (no_prices_note(prices.note),) if prices.note else ()
        return replace(
            plan, deferred=works, price_unit=self._settings.unit, notes=(*plan.notes, *notes)
        )

    def waiting(self, plan: Plan, *, all_of_it: bool = False) -> tuple[DeferredWork, ...]:
        """The work of a plan that isn't due yet, or `all_of_it`."""
        due = self._workspace.tools.clock() + SOON_S
        return tuple(work for work in plan.deferred if all_of_it or work.start > due)

    def note(
        self, plan: Plan, waiting: Sequence[DeferredWork], *, is_partial: bool = False
    ) -> None:
        """Record the work of a plan that waits from now on, and what had waited until it is done.

        A plan that `is_partial` says nothing about other partitions.
        """
        known = self._recorded()
        self._record(known, works_to_note(known.works, plan, waiting, is_partial=is_partial))

    def note_done(self, plan: Plan, receipt: Receipt) -> None:
        """Record that what a run did doesn't wait any more."""
        known = self._recorded()
        if not known.works:
            return
        facts = self._workspace.tools.ledger.events(kinds=(Attempted.__name__,), run=receipt.run)
        attempts = [fact.event.attempt for fact in facts if isinstance(fact.event, Attempted)]
        self._record(known, works_left(known.works, plan, receipt, attempts))

    def saving(self, plan: Plan) -> Callable[[Sequence[StageTotals]], OffPeakSaving | None] | None:
        """What tells at the end of a run that begins now what it saved; None if nothing in it had waited."""
        clock = self._workspace.tools.clock
        now = clock()
        works = [work for work in plan.deferred if work.since < now - SOON_S]
        if not works:
            return None
        curve, settings = self._prices(now).curve, self._settings

        def saved(totals: Sequence[StageTotals]) -> OffPeakSaving | None:
            return saving_of(
                works, totals, began=now, ended=clock(), curve=curve, settings=settings
            )

        return saved

    def _recorded(self) -> WorkDeferred:
        return last_deferral(self._workspace.tools.ledger, self._workspace.environment)

    def _record(self, known: WorkDeferred, works: Sequence[DeferredWork]) -> None:
        settings, tools = self._settings, self._workspace.tools
        event = WorkDeferred(
            environment=self._workspace.environment,
            works=tuple(works),
            unit=settings.unit if works else "",
            prices=settings.price_list if works else "",
        )
        if not is_same_timetable(event, known):
            tools.ledger.append([event], now=tools.clock())

    def _prices(self, now: float) -> KnownPrices:
        read_at, prices = self._known_prices or (now, None)
        if prices is None or not 0 <= now - read_at < _PRICES_S:
            read_at, prices = now, read_prices(self._settings, self._workspace.root, now)
            self._known_prices = read_at, prices
        return prices

    def _facts(self, plan: Plan, state: State) -> DeferralFacts:
        space, settings, recorded = self._workspace, self._settings, self._recorded()
        now = space.tools.clock()
        return DeferralFacts(
            now=now,
            published={
                name: max(head.partitions) for name, head in state.heads.items() if head.partitions
            },
            durations=self._duration,
            waits=settings.defer,
            default_deadline=settings.default_deadline,
            old=settings.old,
            ticks=self._ticks(now),
            known=undone_works(recorded.works, state.heads),
            repriced=(recorded.unit, recorded.prices) != (settings.unit, settings.price_list),
            cpus=space.settings.workers or os.cpu_count() or 1,
        )

    def _duration(self, step: Step) -> StepDuration:
        if step.stage not in self._past:
            self._past[step.stage] = self._attempts(step.stage)
        return step_duration(step, self._past[step.stage].get(step.action, ()))

    def _attempts(self, stage: str) -> dict[str, list[PastAttempt]]:
        """The last attempts at the steps of a stage that succeeded, by action."""
        found: dict[str, list[PastAttempt]] = {}
        facts = self._workspace.tools.ledger.events(
            kinds=(Attempted.__name__,), stage=stage, newest=True, limit=_ATTEMPTS
        )
        for fact in facts:
            if isinstance(fact.event, Attempted) and fact.event.attempt.outcome is Outcome.OK:
                one = fact.event.attempt
                past = PastAttempt(wall_s=one.wall_s, rows=one.rows_in)
                found.setdefault(one.action, []).append(past)
        return found

    def _ticks(self, now: float) -> Mapping[str, float]:
        """When schedules of the environment run stages next."""
        space = self._workspace
        if not space.settings.schedules:
            return {}
        found: dict[str, float] = {}
        for schedule in declared_schedules(space.settings, space.flow).schedules:
            if schedule.environment == space.environment:
                for at in upcoming_ticks(schedule, now, 1):
                    for name in schedule.stages or space.flow.names:
                        found[name] = min(at, found.get(name, at))
        return found
