"""What every run does first: clean up after one that died. And the run that has nothing to do.

Nothing here needs Polars, so a run with nothing to do never imports it.
"""

from __future__ import annotations

import resource
import sys

from tidemill.act.deliver import carry_out
from tidemill.act.holder import describe
from tidemill.act.tenure import Heartbeat, Meter
from tidemill.act.tools import Tools
from tidemill.decide.measure import tally
from tidemill.domain.event import RunEnded, RunStarted
from tidemill.domain.plan import Plan
from tidemill.domain.run import Receipt, Status
from tidemill.domain.stage import Flow
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
    if state.pending:
        done = carry_out(tools, state.environment, state.pending)
        tools.ledger.append(done, now=tools.clock(), guard=guard)
        words.append(f"{len(done)} deliveries that were left queued are done")
    return words


def rest(
    tools: Tools, flow: Flow, plan: Plan, lease: Heartbeat, run: str, command: str, words: list[str]
) -> Receipt:
    """Record a run that found everything current."""
    meter = Meter()
    started = RunStarted(
        run=run,
        environment=plan.environment,
        command=command,
        holder=lease.lease.holder,
        steps=0,
    )
    wall, cpu = meter.read()
    receipt = Receipt(
        run=run,
        status=Status.OK,
        stages=tally(flow.names, (), plan),
        wall_s=wall,
        cpu_s=cpu,
        peak_rss=peak_rss(),
        messages=tuple(words),
    )
    ended = RunEnded(run=run, status=Status.OK, receipt=receipt)
    guard = Guard(lease=lease.lease)
    tools.ledger.append((started, ended), now=tools.clock(), guard=guard)
    return receipt


def peak_rss() -> int:
    """The most memory that this process held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
