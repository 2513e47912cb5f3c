"""Export runs that have ended through OpenTelemetry, after the run that finds them, within a time."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from tidemill.core.counts import plural
from tidemill.core.errors import ConflictError, TidemillError
from tidemill.core.extras import install_command
from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import RecordedEvent, RunEnded, RunStarted
from tidemill.ledger.io.home_files import make_private_folder, open_private
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.ledger.run import Receipt
from tidemill.operations.run_spans import SPAN_EVENTS, run_spans
from tidemill.project.metrics import open_metrics
from tidemill.project.workspace import Workspace

if TYPE_CHECKING:
    from tidemill.operations.io.run_telemetry import RunExporter

# Seconds that the end of a run waits at most for a collector.
WITHIN_S = 2.0
# Runs that wait for a collector; older ones are given up.
_MOST_WAITING = 1_000
_LEASE, _LEASE_S = "telemetry", 60.0
_LATE = "the collector didn't answer in time"
_REFUSED = "the collector doesn't accept them"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRuns:
    """The runs whose ends are events up to the number `after` were exported, or given up."""

    after: int


def export_runs(space: Workspace, receipt: Receipt) -> Receipt:
    """Export a run and those that wait; what fails is a message of the run.

    Runs that weren't exported wait for the end of the next one.
    """
    try:
        module = import_module("tidemill.operations.io.run_telemetry")
    except ModuleNotFoundError as error:
        message = f"OpenTelemetry needs {install_command(error.name or 'opentelemetry')}"
    else:
        export = RunExport(space, receipt.run, module.RunExporter)
        thread = threading.Thread(target=export.work, name="tidemill-telemetry", daemon=True)
        thread.start()
        thread.join(WITHIN_S)
        message = export.finish()
    return replace(receipt, messages=(*receipt.messages, message)) if message else receipt


class RunExport:
    """One export, which works in a thread of its own until it is done, or is told to finish.

    `opened` opens the exporter for the name of a service.
    """

    def __init__(self, space: Workspace, run: str, opened: Callable[[str], RunExporter]) -> None:
        self._space, self._run, self._opened = space, run, opened
        self._lock = threading.Lock()
        self._is_over = False
        self._problem = _LATE
        self._lost = 0
        workflow = space.declared.name
        name = fingerprint("telemetry", workflow)[:16]
        self._file = space.home / "telemetry" / f"{name}.json"

    def work(self) -> None:
        """Export what waits; whatever goes wrong is kept for `finish`."""
        try:
            problem = self._export()
        # A run that succeeded mustn't fail by what watches it.
        except Exception as error:  # noqa: BLE001
            shown = str(error) if isinstance(error, TidemillError) else type(error).__name__
            problem = self._space.redactor.redact(shown)
        self._problem = problem

    def finish(self) -> str:
        """Let the thread do no more; return what wasn't exported and why, "" if all was."""
        with self._lock:
            self._is_over = True
        waits = [f"runs wait to be exported: {self._problem}"] if self._problem else []
        count = plural(self._lost, "run")
        lost = [f"{count} waited for too long and won't be exported"] if self._lost else []
        return f"OpenTelemetry: {'; '.join([*waits, *lost])}" if waits or lost else ""

    def _export(self) -> str:
        tools = self._space.tools
        holder = this_process("telemetry")
        try:
            lease = tools.ledger.acquire(
                _LEASE, holder, now=tools.clock(), ttl=_LEASE_S, dead=is_dead
            )
        except ConflictError:
            # Another process exports them.
            return ""
        exporter = self._opened(self._space.declared.name)
        try:
            return self._send(exporter)
        finally:
            exporter.close()
            self._unless_over(partial(tools.ledger.release, lease))

    def _send(self, exporter: RunExporter) -> str:
        """Send the spans of each run that waits, and then the metrics as they are now."""
        ledger, workflow = self._space.tools.ledger, self._space.declared.name
        for fact in self._waiting():
            event = fact.event
            if not isinstance(event, RunEnded):
                continue
            spans = run_spans(ledger.events(kinds=SPAN_EVENTS, run=event.run), workflow)
            if not exporter.send_spans(spans):
                return _REFUSED
            if not self._unless_over(partial(self._store, ExportedRuns(after=fact.seq))):
                return _LATE
        metrics = open_metrics(self._space)
        families, since = metrics.families(), metrics.read().since
        sent = exporter.send_metrics(families, since, self._space.tools.clock())
        return "" if sent else _REFUSED

    def _waiting(self) -> Iterator[RecordedEvent]:
        """The ends of runs that are to be exported, oldest first."""
        kinds, ledger = (RunEnded.__name__,), self._space.tools.ledger
        known = self._known()
        newest = [*islice(ledger.events(kinds=kinds, after=known, newest=True), _MOST_WAITING)]
        if newest:
            first = newest[-1].seq
            older = ledger.events(kinds=kinds, after=known, limit=_MOST_WAITING)
            self._lost = sum(fact.seq < first for fact in older)
        yield from reversed(newest)

    def _known(self) -> int:
        """Up to which event runs were exported; the first time up to the start of this one."""
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._file.read_bytes(), type=ExportedRuns).after
        ledger = self._space.tools.ledger
        start = ledger.events(kinds=(RunStarted.__name__,), run=self._run, limit=1)
        begun = next((fact.seq for fact in start), ledger.state(self._space.environment).seq)
        self._unless_over(partial(self._store, ExportedRuns(after=begun)))
        return begun

    def _store(self, done: ExportedRuns) -> None:
        """Note what was exported; on a full disk it is exported again, with the same ids."""
        beside = self._file.with_name(f"{self._file.name}.{uuid.uuid4().hex}")
        with suppress(OSError):
            make_private_folder(self._file.parent)
            with open(beside, "xb", opener=open_private) as file:
                file.write(msgspec.json.encode(done))
            os.replace(beside, self._file)

    def _unless_over(self, act: Callable[[], object]) -> bool:
        """Do something that changes the home, unless the run doesn't wait any more."""
        with self._lock:
            if not self._is_over:
                act()
            return not self._is_over
