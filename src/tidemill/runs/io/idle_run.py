"""Record a run that has nothing to do, without loading Polars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidemill.ledger.binding import Binding
from tidemill.ledger.event import RunEnded
from tidemill.ledger.io.process_usage import Stopwatch, peak_memory
from tidemill.ledger.run import Receipt, Status
from tidemill.ports.ledger import Guard, State
from tidemill.runs.io.job import Job
from tidemill.runs.io.lease import Heartbeat
from tidemill.runs.io.run_events import completion_events, recipe_events, start_events
from tidemill.runs.io.table_age import check_table_ages
from tidemill.runs.totals import sum_stages


def record_idle_run(job: Job, lease: Heartbeat, messages: Sequence[str]) -> Receipt:
    """Record a run that found everything up to date."""
    meter = Stopwatch()
    versions = {name: head.version for name, head in job.state.heads.items()}
    age = check_table_ages(job, lambda name: _bound(job.state, name), versions)
    wall, cpu = meter.read()
    receipt = Receipt(
        run=job.run,
        status=Status.FAILED if age.exit_code else Status.OK,
        stages=sum_stages(job.flow.names, (), job.plan),
        wall_s=wall,
        cpu_s=cpu,
        peak_rss=peak_memory(),
        cost=job.price.of(cpu),
        currency=job.price.currency,
        exit_code=age.exit_code,
        messages=(*messages, *age.messages),
    )
    events = (
        *start_events(job, lease.lease),
        *recipe_events(job, lambda name: _bound(job.state, name)),
        *completion_events(job, (), (), versions),
        *age.events,
        RunEnded(run=job.run, status=receipt.status, receipt=receipt),
    )
    job.tools.ledger.append(events, now=job.tools.clock(), guard=Guard(lease=lease.lease))
    return receipt


def _bound(state: State, stage: str) -> Iterable[Binding]:
    return state.heads[stage].partitions.values() if stage in state.heads else ()
