"""What every run does first: clean up after one that died. And the run that has nothing to do.

Nothing here needs Polars, so a run with nothing to do never imports it.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tidemill.act.aging import aged
from tidemill.act.deliver import carry_out
from tidemill.act.holder import describe
from tidemill.act.job import Job, beginning, marks_settled, recipes_settled
from tidemill.act.tenure import Heartbeat, Meter
from tidemill.act.tools import Tools
from tidemill.decide.measure import tally
from tidemill.domain.binding import Binding
from tidemill.domain.delivery import Effect
from tidemill.domain.event import EffectDone, Event, Removed, RunEnded
from tidemill.domain.run import Receipt, Status
from tidemill.ports import Guard, State


def recover(tools: Tools, state: State, lease: Heartbeat) -> list[str]:
    """Close runs that died and do what they left queued outside; what was done, in words."""
    guard, now = Guard(lease=lease.lease), tools.clock()
    words: list[str] = []
    if state.open_runs:
        lost = [RunEnded(run=run.id, status=Status.LOST) for run in state.open_runs]
        tools.ledger.append(lost, now=now, guard=guard)
        words += [
            f"run {run.id} of {describe(run.holder)} died; what it published is kept"
            for run in state.open_runs
        ]
    lost_objects = tools.artifacts.missing({e.object for e in state.pending if e.object})
    gone = [effect for effect in state.pending if effect.object in lost_objects]
    if gone:
        tools.ledger.append(tuple(_given_up(state, gone)), now=tools.clock(), guard=guard)
        words.append(f"{len(gone)} queued deliveries lost their objects; they are made anew")
    queued = [effect for effect in state.pending if effect not in gone]
    if queued:
        done = carry_out(tools, state.environment, queued)
        tools.ledger.append(done, now=tools.clock(), guard=guard)
        words.append(f"{len(done)} deliveries that were left queued are done")
    return words


def _given_up(state: State, effects: Sequence[Effect]) -> Iterator[Event]:
    """Queued deliveries whose objects are gone: unbound, so that the plan makes and delivers them anew."""
    for effect in effects:
        yield Removed(
            environment=state.environment, stage=effect.stage, partition=effect.partition, run=""
        )
        yield EffectDone(
            environment=state.environment, key=effect.key, detail={"given up": "its object is gone"}
        )


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
