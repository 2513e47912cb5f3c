"""The loop of `tidemill up`: wait for what happens, let the supervisor decide, and carry it out."""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType

from tidemill.core.errors import AccessError, ConflictError, StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.io.lease_holder import describe_holder, is_dead, this_process
from tidemill.ledger.workflow_scope import workflow_prefix
from tidemill.operations.backoff import RetriedFailure
from tidemill.operations.duty import DutyTask
from tidemill.operations.io.children import JobProcess, SupervisedProcess
from tidemill.operations.io.home_watch import ledger_identity, require_same_ledger
from tidemill.operations.io.job_channel import ChildOptions
from tidemill.operations.io.kept_process import KeptProcess
from tidemill.operations.io.sd_notify import SystemdNotifier
from tidemill.operations.io.up_files import ReportFile, remove_dead_reports
from tidemill.operations.io.watched_project import WatchedProject
from tidemill.operations.supervision import (
    EndChild,
    EndServer,
    GiveJob,
    InterruptChild,
    JobAnswer,
    KillChild,
    Order,
    StartChild,
    StartServer,
    WorkflowDescription,
    YieldChild,
)
from tidemill.operations.supervisor import Supervisor
from tidemill.operations.up_report import UpReport, UpRole
from tidemill.operations.up_settings import UpSettings
from tidemill.operations.watch import describe_writing
from tidemill.ports.ledger import Lease, Ledger

# Seconds. A lease outlasts several failed renewals; one whose holder died on this host is free at once.
LEASE_S, _RENEW_S = 60.0, 10.0
# How often the home is looked at, a standby asks whether the holder lives, and a full disk is tried again.
_LOOK_S, _STANDBY_S = 2.0, 1.0
# Events of one file come in bursts.
_BURST_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What one `tidemill up` works on.

    `ledger` is that of the home, whose file is `ledger_file`. Jobs are done by processes that run `worker`
    with `child`, and one that runs `listener` listens to databases; `server` is the module and the arguments
    that serve, `console` those that show the project in a browser, if that is wanted. `place` is where the
    workflow is imported from. With `once` it ends when nothing is due any more. `say` gets lines for whoever
    watches. `clock` gives the Unix seconds by which things are due.
    """

    root: Path
    ledger: Ledger
    ledger_file: Path
    settings: UpSettings
    child: ChildOptions
    worker: str
    listener: str
    server: tuple[str, ...]
    console: tuple[str, ...] = ()
    place: str
    command: str
    once: bool = False
    say: Callable[[str], None]
    clock: Callable[[], float] = time.time


class UpLoop:
    """One `tidemill up`, from its start to its end."""

    def __init__(self, options: UpOptions) -> None:
        self._options = options
        self._holder = this_process(options.command)
        self._identity = ledger_identity(options.ledger_file)
        self._home = options.ledger_file.parent
        self._report = ReportFile(self._home)
        self._systemd = SystemdNotifier.of_process()
        self._selector = selectors.DefaultSelector()
        self._processes: dict[int, JobProcess] = {}
        self._server: SupervisedProcess | None = None
        self._console: KeptProcess | None = None
        self._lease: Lease | None = None
        # The name of its lease, once the workflow could be imported.
        self._lease_name = ""
        self._told_fault: RetriedFailure | None = None
        self._clock = options.clock
        self._since = self._clock()
        self._stop_asked = 0
        self._stopped = False
        self._wake, self._waker = os.pipe()
        self._next = dict.fromkeys(("renew", "look", "systemd"), 0.0)
        self._begins = True
        self._notes: tuple[str, ...] = ()
        self._exit_code = 0
        self._supervisor = Supervisor(options.settings, time.monotonic())
        self._watched = WatchedProject(options.root, options.settings, options.listener)

    def run(self) -> int:
        """Work, or stand by, until SIGTERM or SIGINT; return the exit code.

        Raises ConflictError if another one works and this was to be done `once`, AccessError if the actor may
        not supervise, StorageError when the home isn't where it was.
        """
        with ExitStack() as stack:
            stack.callback(self._close)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                stack.callback(signal.signal, number, signal.signal(number, self._on_signal))
            for pipe in (self._wake, self._waker):
                os.set_blocking(pipe, False)
            self._selector.register(self._wake, selectors.EVENT_READ)
            remove_dead_reports(self._home)
            while not self._stop_asked:
                if self._stand_by():
                    self._work()
        return self._exit_code

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._stop_asked += number != signal.SIGCHLD
        with suppress(BlockingIOError):
            os.write(self._waker, b".")

    # Which of several works.

    def _stand_by(self) -> bool:
        """Wait while another one works on the workflow; False if this one is to stop."""
        told = ""
        while not self._stop_asked and self._lease_name and self._lease is None:
            self._look_at_home()
            rival = self._acquire()
            if rival is None:
                break
            held = describe_holder(rival)
            if held != told:
                self._say(f"standing by: {held} works on this workflow")
                told = held
            self._write(UpRole.STANDING_BY, notes=(f"{held} works",))
            self._tell_systemd("standing by")
            self._wait_for_holder(rival)
        return not self._stop_asked

    def _take_over(self, workflow: str) -> bool:
        """Take the lease of a workflow, which only its import tells; False if another one has it."""
        name = f"{workflow_prefix(workflow)}up:{self._options.child.environment}"
        if self._lease is not None and self._lease.name == name:
            return True
        if self._lease is not None:
            # The workflow was renamed.
            self._options.ledger.release(self._lease)
            self._lease = None
        self._lease_name = name
        return self._acquire() is None

    def _acquire(self) -> Mapping[str, str] | None:
        """Take the lease; return who holds it if that is another one, None if it was taken."""
        try:
            self._lease = self._options.ledger.acquire(
                self._lease_name, self._holder, now=self._clock(), ttl=LEASE_S, dead=is_dead
            )
        except ConflictError as error:
            if self._options.once:
                held = describe_holder(error.holder)
                raise ConflictError(
                    f"{held} works on this workflow already", holder=error.holder
                ) from error
            return error.holder
        self._say("working")
        if self._options.console and self._console is None:
            self._console = KeptProcess(*self._options.console)
        return None

    def _wait_for_holder(self, holder: Mapping[str, str]) -> None:
        """Wait until the holder may have ended: at once if it dies on this host, else for a while."""
        end = time.monotonic() + _RENEW_S
        while not self._stop_asked and time.monotonic() < end and not is_dead(holder):
            self._systemd.send(WATCHDOG="1")
            self._selector.select(_STANDBY_S)
            self._drain_wake_pipe()

    def _renew(self, now: float) -> None:
        assert self._lease is not None
        try:
            self._lease = self._options.ledger.renew(self._lease, now=self._clock(), ttl=LEASE_S)
        except ConflictError:
            self._say("another `tidemill up` took over, since this one didn't show signs of life")
            self._lease = None
            self._supervisor.stop(now, 0.0)
        except StorageError as error:
            # A full disk may be emptied.
            self._say(f"the lease can't be renewed: {error}")

    # The work.

    def _work(self) -> None:
        self._supervisor = Supervisor(self._options.settings, time.monotonic())
        # The code, whatever it is: until it can be imported, only its files tell when to try again.
        self._watched.follow(WorkflowDescription(workflow=""), self._watch_files)
        self._tell_systemd("opening the workflow")
        while True:
            now = time.monotonic()
            self._look_at_home()
            self._keep_alive(now)
            self._notice(now)
            self._ask_to_stop(now)
            orders = self._supervisor.orders(now, self._clock())
            for order in orders:
                self._carry_out(order, now)
            self._write(self._role())
            if self._supervisor.is_over:
                break
            if not orders:
                self._wait()
        if self._lease is not None:
            self._options.ledger.release(self._lease)
            self._lease = None

    def _role(self) -> UpRole:
        if self._supervisor.is_stopped:
            return UpRole.STOPPING
        return UpRole.STARTING if self._lease is None else UpRole.WORKING

    def _ask_to_stop(self, now: float) -> None:
        known = self._supervisor
        done = self._options.once and known.is_idle and known.last is not None
        if self._options.once and known.broken is not None:
            done, self._exit_code = True, 1
        if self._stop_asked or done:
            if not self._stopped:
                self._systemd.send(STOPPING="1")
            # A second Ctrl-C doesn't wait for the run.
            wait = 0.0 if self._stop_asked > 1 or done else self._options.settings.drain
            self._supervisor.stop(now, wait)
            self._stopped = True
            self._stop_asked = max(self._stop_asked, 1)

    def _look_at_home(self) -> None:
        try:
            require_same_ledger(self._options.ledger_file, self._identity)
        except StorageError:
            for process in self._processes.values():
                process.kill()
            raise

    def _keep_alive(self, now: float) -> None:
        if self._lease is not None and now >= self._next["renew"]:
            self._next["renew"] = now + _RENEW_S
            self._renew(now)
        if self._systemd.watchdog_s is not None and now >= self._next["systemd"]:
            self._next["systemd"] = now + self._systemd.watchdog_s
            self._systemd.send(WATCHDOG="1")

    def _wait(self) -> None:
        now = time.monotonic()
        times = [self._supervisor.wake_at(now, self._clock()), now + _LOOK_S]
        times += [p.end_by for p in self._processes.values() if p.end_by is not None]
        if self._watched.next_listing is not None:
            times.append(self._watched.next_listing)
        ready = self._selector.select(max(0.0, min(times) - now))
        self._drain_wake_pipe()
        if any(key.data == "files" for key, _ in ready):
            # What is written next belongs to the same change.
            time.sleep(_BURST_S)

    def _drain_wake_pipe(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake, 4096)

    def _notice(self, now: float) -> None:
        """Tell the supervisor what happened: in files, and in processes."""
        for seen in self._watched.changes(now):
            if seen.source:
                self._supervisor.note_change(seen.source, now, seen.example)
            else:
                self._supervisor.note_code_change(now, seen.example)
        self._supervisor.writing = self._watched.writing
        self._supervisor.listening = self._watched.listening
        for number, process in [*self._processes.items()]:
            self._hear(number, process, now)
        if self._server is not None and self._server.has_ended():
            self._supervisor.note_server_end(self._server.describe_end(), now)
            self._server = None
        if self._supervisor.held and self._has_other_run_ended():
            self._supervisor.note_others()
        self._tell_fault()

    def _tell_fault(self) -> None:
        """Say why the workflow can't be opened, each time that it was tried."""
        fault = self._supervisor.broken
        if fault is not None and fault != self._told_fault:
            self._say(f"the workflow can't be opened: {fault.why}")
            self._tell_systemd("the workflow can't be opened: see `tidemill status`")
        self._told_fault = fault

    def _has_other_run_ended(self) -> bool:
        last = self._supervisor.last
        after = 0 if last is None else last.seq
        found = self._options.ledger.events(kinds=("RunEnded",), after=after, limit=1)
        return next(iter(found), None) is not None

    def _hear(self, number: int, process: JobProcess, now: float) -> None:
        if process.end_by is not None and now >= process.end_by:
            process.kill()
        for message in process.messages():
            if message.description is not None:
                self._begins = False
                self._follow(number, message.description, now)
            elif message.is_refusal and self._begins:
                raise AccessError(message.fault)
            elif message.fault:
                self._supervisor.note_fault(number, message.fault, now)
                process.end(now)
            elif message.answer is not None:
                child = self._supervisor.children[number]
                is_run = child.job is not None and child.job.task is not DutyTask.UPKEEP
                self._supervisor.note_answer(number, message.answer, now)
                self._tell(message.answer, is_run=is_run)
        if process.is_gone:
            self._selector.unregister(process.stream)
            process.close()
            del self._processes[number]
            self._supervisor.note_end(number, process.describe_end(), now)

    def _follow(self, number: int, found: WorkflowDescription, now: float) -> None:
        """Work on a workflow that was imported, unless another one does."""
        known = self._supervisor.description
        for note in found.notes:
            # Each process that imports the workflow finds them.
            if known is None or note not in known.notes:
                self._say(note)
        self._supervisor.note_description(number, found, now)
        if self._take_over(found.workflow):
            self._watched.follow(found, self._watch_files)
            self._tell_systemd(f"working on {found.workflow}")
        else:
            self._supervisor.stop(now, 0.0)

    def _tell(self, answer: JobAnswer, *, is_run: bool) -> None:
        self._exit_code = answer.exit_code if is_run else self._exit_code
        # What can't be done beside runs is said once, not each minute.
        notes = [note for note in answer.notes if note not in self._notes]
        self._notes = self._notes if is_run else answer.notes
        for line in (answer.summary, *answer.failures, *notes):
            if line:
                self._say(line)

    def _watch_files(self, old: int | None, new: int | None) -> None:
        if old is not None:
            self._selector.unregister(old)
        if new is not None:
            self._selector.register(new, selectors.EVENT_READ, "files")

    # Orders.

    def _carry_out(self, order: Order, now: float) -> None:
        match order:
            case StartChild(number):
                self._start(number, now)
            case StartServer():
                self._start_server(now)
            case EndServer():
                if self._server is not None:
                    self._server.send_signal(signal.SIGTERM)
            case GiveJob(number, job):
                if job.task is not DutyTask.UPKEEP:
                    self._say("; ".join(job.because))
                self._processes[number].give(job)
            case EndChild() | InterruptChild() | YieldChild() | KillChild():
                self._end_child(order, self._processes[order.number], now)

    @staticmethod
    def _end_child(
        order: EndChild | InterruptChild | YieldChild | KillChild, process: JobProcess, now: float
    ) -> None:
        if isinstance(order, EndChild):
            process.end(now)
        elif isinstance(order, InterruptChild):
            process.send_signal(signal.SIGINT)
        elif isinstance(order, YieldChild):
            process.send_signal(signal.SIGUSR1)
        else:
            process.kill()

    def _start(self, number: int, now: float) -> None:
        options = replace(self._options.child, ledger=self._identity, begins=self._begins)
        try:
            process = JobProcess(self._options.worker, options)
        except OSError as error:
            self._supervisor.note_end(number, f"no process can be started: {error}", now)
            return
        self._processes[number] = process
        # What is read when: the socket is at its end when the process is.
        self._selector.register(process.stream, selectors.EVENT_READ, "process")

    def _start_server(self, now: float) -> None:
        module, *arguments = self._options.server
        try:
            self._server = SupervisedProcess(module, *arguments)
        except OSError as error:
            self._supervisor.note_server_end(f"no process can be started: {error}", now)

    # What others are told.

    def _say(self, text: str) -> None:
        self._options.say(text)

    def _tell_systemd(self, status: str) -> None:
        self._systemd.send(READY="1", STATUS=status)

    def _write(self, role: UpRole, notes: tuple[str, ...] = ()) -> None:
        now, wall, known = time.monotonic(), self._clock(), self._supervisor
        duties = known.duties(now, wall) if role is not UpRole.STANDING_BY else ()
        self._report.write(
            UpReport(
                environment=self._options.child.environment,
                holder=self._holder,
                role=role,
                since=self._since,
                workflow="" if known.description is None else known.description.workflow,
                place=self._options.place,
                duties=tuple(
                    duty if duty.at is None else replace(duty, at=round(duty.at)) for duty in duties
                ),
                broken="" if known.broken is None else known.broken.why,
                failing=known.failure.why if known.failure and known.failure.count else "",
                failing_run=known.failure.run if known.failure else "",
                held=known.held,
                backlog=str(known.backlog or ""),
                last="" if known.last is None else known.last.summary,
                notes=(
                    *(known.description.notes if known.description is not None else ()),
                    *self._watched.notes,
                    *filter(None, (describe_writing(known.writing),)),
                    *notes,
                ),
            )
        )

    def _close(self) -> None:
        if self._console is not None:
            self._console.close()
        for process in (*self._processes.values(), *filter(None, (self._server,))):
            process.kill()
            process.close()
        self._watched.close()
        with suppress(StorageError):
            require_same_ledger(self._options.ledger_file, self._identity)
            self._report.close()
            if self._lease is not None:
                self._options.ledger.release(self._lease)
        self._options.ledger.close()
        self._selector.close()
        os.close(self._wake)
        os.close(self._waker)
