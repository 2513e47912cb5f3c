"""Record a run that has nothing to do."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Sequence
from pathlib import Path

from tidemill.ledger.binding import Binding
from tidemill.ledger.event import RunEnded
from tidemill.ledger.run import Receipt, Status
from tidemill.ports.ledger import Guard, State
from tidemill.runs.io.job import Job, beginning, marks_settled, recipes_settled
from tidemill.runs.io.lease import Heartbeat
from tidemill.runs.io.meter import Meter
from tidemill.runs.io.table_age import aged
from tidemill.runs.totals import tally


def rest(job: Job, lease: Heartbeat, words: Sequence[str]) -> Receipt:
    """Record a run that found everything current."""
    meter = Meter()
    versions = {name: head.version for name, head in job.state.heads.items()}
    age = aged(job, lambda name: _bound(job.state, name), versions)
    wall, cpu = meter.read()
    receipt = Receipt(
        run=job.run,
        status=Status.FAILED if age.exit_code else Status.OK,
        stages=tally(job.flow.names, (), job.plan),
        wall_s=wall,
        cpu_s=cpu,
        peak_rss=peak_rss(),
        cost=job.price.of(cpu),
        currency=job.price.currency,
        exit_code=age.exit_code,
        messages=(*words, *age.messages),
    )
    events = (
        *beginning(job, lease.lease),
        *recipes_settled(job, lambda name: _bound(job.state, name)),
        *marks_settled(job, (), (), versions),
        *age.events,
        RunEnded(run=job.run, status=receipt.status, receipt=receipt),
    )
    job.tools.ledger.append(events, now=job.tools.clock(), guard=Guard(lease=lease.lease))
    return receipt


def _bound(state: State, stage: str) -> Iterable[Binding]:
    return state.heads[stage].partitions.values() if stage in state.heads else ()


def peak_rss() -> int:
    """The most memory that this process held so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage also counts what the parent held when it started this process.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
