"""Decide what the supervisor starts, stops and waits for, and why; nothing here touches the outside.

Times named `now` are of a clock that never jumps, times named `wall` are Unix seconds. What is known here is
lost when the process dies: what happened is in the ledger, and the first job of the next process plans again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from math import inf

from tidemill.operations.backoff import RetriedFailure, add_failure
from tidemill.operations.deferred_jobs import DeferredJobs
from tidemill.operations.duty import Due, Duty, DutyTask
from tidemill.operations.supervision import (
    Child,
    ChildPhase,
    EndChild,
    Ending,
    EndServer,
    GiveJob,
    InterruptChild,
    JobAnswer,
    KillChild,
    Order,
    StartChild,
    StartServer,
    UpJob,
    WorkflowDescription,
    YieldChild,
)
from tidemill.operations.up_settings import UpSettings
from tidemill.operations.watch import (
    Backlog,
    SourceChange,
    add_change,
    describe_changes,
    merge_changes,
    settled_at,
    written_by,
)

# A process takes so many jobs: whatever user code leaves in memory ends with it.
_MOST_JOBS = 50
# Seconds until an interrupted job is killed, a busy environment is tried again, a server counts as steady.
_INTERRUPT_S, _BUSY_S, _STEADY_S = 10.0, 2.0, 60.0
# How often alerts are looked after while a process is there.
_CHECK_S = 60.0
STARTED = "tidemill up started"


class Supervisor:
    """The state of one supervisor that has the lease; see the module."""

    def __init__(self, settings: UpSettings, now: float) -> None:
        self.settings = settings
        self.description: WorkflowDescription | None = None
        self.children: dict[int, Child] = {}
        self.changes: dict[str, SourceChange] = {}
        # The files that are being written, since when.
        self.writing: Mapping[str, float] = {}
        # The sources whose databases notify of changes.
        self.listening: frozenset[str] = frozenset()
        self.code_change: SourceChange | None = None
        # Why the workflow can't be imported, and why runs fail.
        self.broken: RetriedFailure | None = None
        self.failure: RetriedFailure | None = None
        self._deferred = DeferredJobs(settings)
        self.backlog: Backlog | None = None
        self.held = ""
        self.last: JobAnswer | None = None
        self.server_since: float | None = None
        self.server_failure: RetriedFailure | None = None
        self._wanted: tuple[str, ...] = (STARTED,)
        self._dues: tuple[Due, ...] = ()
        # When dues that are over were last acted on: one that stays due isn't acted on at once again.
        self._acted: dict[Due, float] = {}
        self._numbers = 0
        self._code = 0
        self._planned_at = self._kept_up_at = self._active_at = now
        self._is_server_old = self._has_run = False
        # Orders that take a while to be carried out, and aren't given twice.
        self._ordered: set[EndServer | InterruptChild | YieldChild | KillChild] = set()
        self._drain_until: float | None = None

    def note_change(self, source: str, now: float, example: str = "", count: int = 1) -> None:
        """A source changed; what failed is tried again with it. Nothing if schedules alone start runs."""
        if self._waits_for_schedules:
            return
        self.changes[source] = add_change(self.changes.get(source), now, example, count)
        self.failure = None

    @property
    def _waits_for_schedules(self) -> bool:
        return self.settings.on_data == "schedule"

    def note_code_change(self, now: float, example: str) -> None:
        """A file of the workflow's code or of its settings changed."""
        self.code_change = add_change(self.code_change, now, example)

    def note_others(self) -> None:
        """Another run ended: what waits for a person may have been decided."""
        if self.held:
            self._want(f"another run ended while changes were held: {self.held}")
            self.held = ""

    def note_description(self, number: int, found: WorkflowDescription, now: float) -> None:
        """A process imported the workflow, and waits for jobs."""
        child = self.children[number]
        self.description, self._dues, self.broken = found, found.dues, None
        if child.phase is ChildPhase.STARTING:
            self.children[number] = replace(child, phase=ChildPhase.READY, since=now)

    def note_fault(self, number: int, why: str, now: float) -> None:
        """A process couldn't import the workflow, or open its state; it ends."""
        self.children[number] = replace(self.children[number], phase=ChildPhase.ENDING, since=now)
        self._break(why, now)

    def note_answer(self, number: int, answer: JobAnswer, now: float) -> None:
        """A process did its job."""
        child = self.children[number]
        job = child.job
        self.children[number] = replace(
            child, phase=ChildPhase.READY, since=now, job=None, jobs=child.jobs + 1
        )
        self._dues, self.broken = answer.dues, None
        self._acted = {due: at for due, at in self._acted.items() if due in answer.dues}
        if job is not None and job.task is DutyTask.OFF_PEAK:
            self._ordered.discard(YieldChild(number))
            self._active_at, self._has_run = now, True
            self._deferred.judge(answer, now)
            return
        if job is None or job.task is not DutyTask.RUN:
            self._kept_up_at, self._has_run = now, False
            return
        self.last, self._planned_at, self._active_at, self._has_run = answer, now, now, True
        self._judge(job, answer, now)

    def note_end(self, number: int, why: str, now: float) -> None:
        """A process ended; what it was doing wasn't done, unless it had been told to end."""
        child = self.children.pop(number)
        if child.phase is ChildPhase.ENDING:
            return
        if child.job is None:
            self._break(why, now)
        elif child.job.task is DutyTask.RUN:
            self._fail(why, now)
            self._undo(child.job)
        elif child.job.task is DutyTask.OFF_PEAK:
            self._deferred.fail(why, now)
        else:
            self._kept_up_at, self._has_run = now, False

    def note_server_end(self, why: str, now: float) -> None:
        """The server ended, though nobody told it to, or as it was told."""
        steady = self.server_since is not None and now - self.server_since > _STEADY_S
        known = None if steady else self.server_failure
        self.server_since = None
        self._ordered.discard(EndServer())
        if not self._is_server_old and self._drain_until is None:
            self.server_failure = self._failure(known, why, now)
        self._is_server_old = False

    def stop(self, now: float, wait: float) -> None:
        """Begin nothing any more, and end: after `wait` seconds running jobs are interrupted."""
        self._drain_until = min(now + wait, self._drain_until or inf)

    @property
    def is_stopped(self) -> bool:
        """Whether it was stopped."""
        return self._drain_until is not None

    @property
    def is_over(self) -> bool:
        """Whether it was stopped, and nothing runs any more."""
        return self._drain_until is not None and not self.children and self.server_since is None

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs, and nothing waits but for a time."""
        busy = any(child.job is not None for child in self.children.values())
        waiting = self._wanted or self.changes or self.backlog or self.code_change or self._has_run
        blocked = (self.failure is not None or bool(self.held)) and not self._has_run
        return not busy and (not waiting or blocked)

    def orders(self, now: float, wall: float) -> tuple[Order, ...]:
        """What is to be done now; it counts as begun."""
        if self._drain_until is not None:
            found = self._drain(now)
        else:
            found = chain(
                self._end_slow_imports(now),
                self._renew_code(now),
                self._assign(now, wall),
                self._tend_server(now),
            )
        fresh = []
        for order in found:
            if isinstance(order, EndServer | InterruptChild | YieldChild | KillChild):
                if order in self._ordered:
                    continue
                self._ordered.add(order)
            fresh.append(order)
        return tuple(fresh)

    def duties(self, now: float, wall: float) -> tuple[Duty, ...]:
        """What is being done, and what is due next, soonest first."""
        active = [
            Duty(task=child.job.task, because="; ".join(child.job.because))
            for child in self.children.values()
            if child.job is not None
        ]
        if self.server_since is not None:
            active.append(Duty(task=DutyTask.SERVE, because="the workflow has endpoints"))
        coming = [
            Duty(task=task, because=because, at=wall + max(at - now, 0.0))
            for task, at, because in self._coming(now, wall)
        ]
        return (*active, *sorted(coming, key=lambda duty: duty.at or 0.0))

    def wake_at(self, now: float, wall: float) -> float:
        """When to ask for orders again, if nothing happens before."""
        times = [at for _, at, _ in self._coming(now, wall)]
        if self.code_change is not None:
            times.append(self._code_settled_at())
        times += [
            child.since + self.settings.import_limit
            for child in self.children.values()
            if child.phase is ChildPhase.STARTING
        ]
        if self._ready_child() is not None:
            times.append(self._active_at + self.settings.idle)
        if self._drain_until is not None:
            times += [self._drain_until, self._drain_until + _INTERRUPT_S]
        return min((at for at in times if at > now), default=now + self.settings.poll)

    # Runs that failed, and those that didn't take place.

    def _judge(self, job: UpJob, answer: JobAnswer, now: float) -> None:
        self.backlog = answer.backlog
        if answer.ending is Ending.OK:
            self.failure, self.held = None, ""
        elif answer.ending is Ending.FAILED:
            self._fail("; ".join(answer.failures) or answer.summary, now, answer.run)
        elif answer.ending is Ending.HELD:
            self._undo(job)
            self.held = answer.summary
        else:
            self._undo(job)
            if answer.ending is Ending.BUSY:
                self._deferred.ask_for_room()
                self.failure = RetriedFailure(count=0, why=answer.summary, retry_at=now + _BUSY_S)

    def _undo(self, job: UpJob) -> None:
        """The job wasn't done: its reasons are those of the next one."""
        self.changes = merge_changes(job.changes, self.changes)
        if not job.changes:
            for reason in job.because:
                self._want(reason)

    def _want(self, reason: str) -> None:
        if reason not in self._wanted:
            self._wanted = (*self._wanted, reason)

    def _failure(self, known: RetriedFailure | None, why: str, now: float) -> RetriedFailure:
        return add_failure(
            known, why, now, first=self.settings.retry, longest=self.settings.retry_max
        )

    def _fail(self, why: str, now: float, run: str = "") -> None:
        failure = replace(self._failure(self.failure, why, now), run=run)
        # What changed meanwhile may have mended it.
        self.failure = replace(failure, retry_at=now) if self.changes else failure

    def _break(self, why: str, now: float) -> None:
        self.broken = self._failure(self.broken, why, now)

    # Which job is next.

    def _coming(self, now: float, wall: float) -> Iterator[tuple[DutyTask, float, str]]:
        """What is due at which time and why; nothing while code is changing or can't be imported."""
        if self._drain_until is not None:
            return
        if self.broken is not None:
            yield (
                DutyTask.RUN,
                self.broken.retry_at,
                f"the workflow can't be opened: {self.broken.why}",
            )
            return
        if not self._is_busy(DutyTask.RUN) and not self.held:
            yield from self._coming_runs(now, wall)
        if not self._is_urgent_work_near():
            for task, at, because in self._coming_dues(DutyTask.OFF_PEAK, now, wall):
                yield task, self._deferred.earliest(at), because
        if not self._is_busy(DutyTask.UPKEEP):
            yield DutyTask.UPKEEP, *self._next_upkeep(now)
            yield from self._coming_dues(DutyTask.UPKEEP, now, wall)
        if self.server_since is None and self.server_failure is not None and self._is_served():
            failure = self.server_failure
            yield DutyTask.SERVE, failure.retry_at, f"the server ended: {failure.why}"

    def _is_urgent_work_near(self) -> bool:
        """Whether the environment is busy, or will soon be with work that can't wait."""
        # What fails may do so for long.
        fails = self.failure is not None and self.failure.count > 0
        is_near = bool(self.changes or self._wanted or self.backlog) and not fails
        is_busy = self._is_busy(DutyTask.RUN) or self._is_busy(DutyTask.OFF_PEAK)
        return is_near or is_busy or bool(self.held)

    def _coming_runs(self, now: float, wall: float) -> Iterator[tuple[DutyTask, float, str]]:
        settled = settled_at(self.changes, self.settings.settle, self.settings.max_wait)
        written = written_by(self.writing, self._active_at, self.settings.write_wait)
        begin = -inf if written is None else written
        earliest = begin if self.failure is None else max(begin, self.failure.retry_at)
        if settled is not None:
            yield DutyTask.RUN, max(settled, earliest), describe_changes(self.changes)
        for reason in self._wanted:
            yield DutyTask.RUN, max(now, earliest), reason
        if self.backlog is not None:
            yield DutyTask.RUN, max(now, earliest), str(self.backlog)
        if self.failure is not None and self.failure.count:
            times = "once" if self.failure.count == 1 else f"{self.failure.count} times"
            yield DutyTask.RUN, earliest, f"it failed {times}: {self.failure.why}"
        for task, at, because in self._coming_dues(DutyTask.RUN, now, wall):
            # A schedule has its own time, whatever failed.
            yield task, max(at, begin if self._waits_for_schedules else earliest), because
        if not self._waits_for_schedules:
            yield DutyTask.RUN, *self._next_plan(earliest)

    def _next_plan(self, earliest: float) -> tuple[float, str]:
        every, why = self.settings.plan_every, "a plan is made regularly, whatever was noticed"
        known = self.description
        if known is not None and (unwatched := known.unwatched(self.listening)):
            every = min(every, self.settings.poll)
            why = f"{', '.join(unwatched)} can only be asked whether it changed"
        return max(self._planned_at + every, earliest), why

    def _next_upkeep(self, now: float) -> tuple[float, str]:
        if self._has_run:
            return now, "a run ended"
        # To ask a process that is there costs next to nothing.
        every = self.settings.check_every
        every = min(every, _CHECK_S) if self._ready_child() is not None else every
        return self._kept_up_at + every, "alerts, reviews and sweeps are looked after regularly"

    def _coming_dues(
        self, task: DutyTask, now: float, wall: float
    ) -> Iterator[tuple[DutyTask, float, str]]:
        pauses = {DutyTask.RUN: self.settings.plan_every, DutyTask.OFF_PEAK: self.settings.retry}
        pause = pauses.get(task, self.settings.check_every)
        for due in self._dues:
            if due.task is task:
                acted = self._acted.get(due)
                at = now + due.at - wall
                yield task, at if acted is None else max(at, acted + pause), due.because

    def _next_job(self, task: DutyTask, now: float, wall: float) -> UpJob | None:
        reasons = [why for kind, at, why in self._coming(now, wall) if kind is task and at <= now]
        if not reasons:
            return None
        changes = self.changes if task is DutyTask.RUN else {}
        # New files are run at once; what else there may be to do, such as of what was notified, a plan tells.
        many = sum(change.count for change in changes.values()) > self.settings.max_catch_up
        asks = many or not self.listening.isdisjoint(changes)
        is_simple = bool(changes) and not asks and self.backlog is None
        return UpJob(
            task=task,
            because=tuple(dict.fromkeys(reasons)),
            changes=dict(changes),
            look_first=not is_simple,
            makes_room=task is DutyTask.OFF_PEAK and self._deferred.makes_room,
        )

    def _assign(self, now: float, wall: float) -> Iterator[Order]:
        """Give jobs to processes that are ready, and start as many as are needed."""
        if self.code_change is not None:
            return
        needed = 0  # processes for work that comes first
        for yielding in self._deferred.to_interrupt(self.children.values()):
            yield YieldChild(yielding.number)
        for task in (DutyTask.RUN, DutyTask.UPKEEP, DutyTask.OFF_PEAK):
            job = self._next_job(task, now, wall)
            if job is None or (task is DutyTask.OFF_PEAK and needed):
                continue
            child = self._ready_child()
            if child is None or self.description is None:
                needed += self._is_urgent(job, now)
                continue
            self._begin(child, job, now, wall)
            yield GiveJob(child.number, job)
        yield from self._prepare(needed, now)
        yield from self._release(now)

    def _is_urgent(self, job: UpJob, now: float) -> bool:
        """Whether a process is started for a job; upkeep after a run can wait for the one that runs."""
        return job.task is not DutyTask.UPKEEP or now - self._kept_up_at >= _CHECK_S

    def _begin(self, child: Child, job: UpJob, now: float, wall: float) -> None:
        self.children[child.number] = replace(child, phase=ChildPhase.BUSY, since=now, job=job)
        self._acted |= {due: now for due in self._dues if due.task is job.task and due.at <= wall}
        if job.task is DutyTask.RUN:
            self._active_at = now
            self.changes, self._wanted = {}, ()

    def _prepare(self, needed: int, now: float) -> Iterator[Order]:
        """Start the processes that are needed, or will soon be."""
        can_start = self.broken is None or self.broken.retry_at <= now
        # While a file is still being written, the process that will read it can start.
        soon = bool(self.changes) and not self.held and not self._is_busy(DutyTask.RUN)
        spare = soon or self.description is None or now - self._active_at < self.settings.idle
        phases = [child.phase for child in self.children.values()]
        coming = sum(phase in (ChildPhase.STARTING, ChildPhase.READY) for phase in phases)
        is_alone = all(phase is ChildPhase.ENDING for phase in phases)
        if can_start and (coming < needed or (spare and is_alone)):
            self._numbers += 1
            child = Child(
                number=self._numbers, phase=ChildPhase.STARTING, since=now, code=self._code
            )
            self.children[child.number] = child
            yield StartChild(child.number)

    def _release(self, now: float) -> Iterator[Order]:
        """End processes that have waited long enough, or done enough."""
        for child in [*self.children.values()]:
            if child.phase is not ChildPhase.READY:
                continue
            idle = now - self._active_at >= self.settings.idle and not self.changes
            if idle or child.jobs >= _MOST_JOBS:
                yield self._end(child, now)

    def _end(self, child: Child, now: float) -> Order:
        self.children[child.number] = replace(child, phase=ChildPhase.ENDING, since=now)
        return EndChild(child.number)

    def _ready_child(self) -> Child | None:
        return next((c for c in self.children.values() if c.phase is ChildPhase.READY), None)

    def _is_busy(self, task: DutyTask) -> bool:
        return any(c.job is not None and c.job.task is task for c in self.children.values())

    # Slow imports, changed code, the server, and the end.

    def _end_slow_imports(self, now: float) -> Iterator[Order]:
        limit = self.settings.import_limit
        for child in [*self.children.values()]:
            if child.phase is ChildPhase.STARTING and now - child.since >= limit:
                self.children[child.number] = replace(child, phase=ChildPhase.ENDING, since=now)
                self._break(
                    f"its import took longer than {limit:g} s: find what it waits for, or raise "
                    "`import_limit` in [tool.tidemill.up]",
                    now,
                )
                yield KillChild(child.number)

    def _code_settled_at(self) -> float:
        assert self.code_change is not None
        known = {"code": self.code_change}
        return settled_at(known, self.settings.settle, self.settings.max_wait) or 0.0

    def _renew_code(self, now: float) -> Iterator[Order]:
        """Once changed code has settled, replace the processes that imported what was there before."""
        if self.code_change is not None and self._code_settled_at() <= now:
            self._want(f"the code changed: {self.code_change.example}")
            self._code += 1
            self.code_change = self.broken = self.failure = None
            self._is_server_old = self.server_since is not None
            self.held = ""
        for child in [*self.children.values()]:
            if child.code != self._code and child.phase in (ChildPhase.READY, ChildPhase.STARTING):
                yield self._end(child, now)

    def _is_served(self) -> bool:
        known = self.description
        return known is not None and known.has_endpoints and self.settings.serve

    def _tend_server(self, now: float) -> Iterator[Order]:
        if self.server_since is not None:
            # It has the code from before; it is replaced when that of now can be imported.
            if self._is_server_old and self._ready_child() is not None:
                yield EndServer()
            return
        failure = self.server_failure
        if self._is_served() and (failure is None or failure.retry_at <= now):
            self.server_since = now
            yield StartServer()

    def _drain(self, now: float) -> Iterator[Order]:
        assert self._drain_until is not None
        if self.server_since is not None:
            yield EndServer()
        for child in [*self.children.values()]:
            if child.phase in (ChildPhase.READY, ChildPhase.STARTING):
                yield self._end(child, now)
            elif child.phase is ChildPhase.BUSY and now >= self._drain_until:
                late = now >= self._drain_until + _INTERRUPT_S
                yield KillChild(child.number) if late else InterruptChild(child.number)
