"""Judge the drift of tables at the end of a run, and record new alarms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from tidemill.contracts.spec import ContractSpec
from tidemill.core.counts import plural
from tidemill.core.errors import TidemillError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.binding import Binding
from tidemill.ledger.drift import DriftVerdict, RaisedAlarm
from tidemill.ledger.event import DriftAlarmed, DriftJudged, Event
from tidemill.runs.drift_due import alarm_advice, alarm_note, drift_signature, new_alarms
from tidemill.runs.io.job import Job
from tidemill.runs.io.unjudged_drift import drift_environments, unjudged_tables

if TYPE_CHECKING:
    from tidemill.store.drift import TableDrift

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftFindings:
    """The messages and events about drift at the end of a run."""

    messages: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()


def check_drift(job: Job, bound: Callable[[str], Mapping[str, Binding]]) -> DriftFindings:
    """Judge every table with a drift alarm whose partitions changed since it was judged.

    A table that can't be read doesn't fail the run, and is judged by a later one.
    """
    messages, events = list[str](), list[Event]()
    for stage, spec in unjudged_tables(job, bound).items():
        try:
            verdict = _verdict(job, stage, spec, bound(stage))
        except TidemillError as error:
            messages.append(f"{stage}: its drift can't be judged: {error}")
            continue
        facts = job.tools.ledger.events(kinds=(DriftAlarmed.__name__,), stage=stage)
        fresh = new_alarms(verdict, facts, drift_environments(job))
        messages += _alarm_messages(stage, fresh)
        events += _events(job, stage, verdict, fresh)
    return DriftFindings(messages=tuple(messages), events=tuple(events))


def _verdict(
    job: Job, stage: str, spec: ContractSpec, bound: Mapping[str, Binding]
) -> DriftVerdict:
    # Only tables with drift alarms need what judges them.
    judge_drift = import_module("tidemill.store.drift").judge_drift
    found = [
        judge_drift(job.tools.artifacts, stage, spec, rule, bound) for rule in spec.drift_alarms
    ]
    return DriftVerdict(
        signature=drift_signature(spec, bound),
        alarms=tuple(alarm for drift in found for alarm in raised_alarms(drift)),
        investigate=tuple(drift.rule.name for drift in found if drift.is_open),
    )


def raised_alarms(drift: TableDrift) -> tuple[RaisedAlarm, ...]:
    """Return the alarms of a rule as they are recorded."""
    return tuple(
        RaisedAlarm(
            rule=drift.rule.name,
            partition=alarm.partition,
            reference=alarm.reference,
            columns=alarm.columns,
        )
        for alarm in drift.history.alarms
    )


def _alarm_messages(stage: str, alarms: Sequence[RaisedAlarm]) -> list[str]:
    shown = [alarm_note(stage, alarm) for alarm in alarms[-_SHOWN:]]
    earlier = len(alarms) - len(shown)
    count = f"and {plural(earlier, 'earlier drift alarm')}"
    more = [f"{stage}: {count}; {alarm_advice(stage)}"] if earlier else []
    return [*more, *shown]


def _events(
    job: Job, stage: str, verdict: DriftVerdict, alarms: Sequence[RaisedAlarm]
) -> list[Event]:
    environment, run = job.plan.environment, job.run
    raised = [
        DriftAlarmed(
            environment=environment, stage=stage, partition=alarm.partition, run=run, alarm=alarm
        )
        for alarm in alarms
    ]
    judged = DriftJudged(environment=environment, stage=stage, run=run, verdict=verdict)
    return [judged, *raised]
