"""Decide which tables' drift has to be judged, from the ledger and without reading profiles."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from tidemill.contracts.spec import ContractSpec
from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import readable_keys
from tidemill.ledger.binding import Binding
from tidemill.ledger.drift import DriftVerdict, RaisedAlarm
from tidemill.ledger.event import DriftAlarmed, DriftJudged, RecordedEvent
from tidemill.workflow.stage import Flow


def watched_stages(flow: Flow) -> dict[str, ContractSpec]:
    """The contracts with drift alarms, by stage."""
    found = {stage.name: stage.output for stage in flow.stages}
    return {name: spec for name, spec in found.items() if spec is not None and spec.drift_alarms}


def drift_signature(spec: ContractSpec, bound: Mapping[str, Binding]) -> str:
    """Return the digest of all that the drift of a table depends on."""
    contents = [[key, bound[key].product.content] for key in readable_keys(bound)]
    columns = [[column.name, str(column.dtype)] for column in spec.columns]
    rules = [repr(rule) for rule in spec.drift_alarms]
    return fingerprint("drift", rules, columns, str(spec.partitioning), contents)


def last_verdict(
    newest_first: Iterable[RecordedEvent], environments: Sequence[str]
) -> DriftVerdict | None:
    """Return the last verdict in the first of these environments that has one."""
    found: dict[str, DriftVerdict] = {}
    for fact in newest_first:
        if isinstance(fact.event, DriftJudged):
            found.setdefault(fact.event.environment, fact.event.verdict)
            if environments[:1] == [fact.event.environment]:
                break
    return next((found[name] for name in environments if name in found), None)


def open_alarm_notes(stage: str, verdict: DriftVerdict | None) -> list[str]:
    """Say which alarms of a stage are to be investigated."""
    alarms = verdict.open_alarms if verdict is not None else ()
    return [alarm_note(stage, alarm) for alarm in alarms]


def alarm_note(stage: str, alarm: RaisedAlarm) -> str:
    """Say what drifted, and how to find out more."""
    return f"{stage}: {alarm.rule}: {alarm}; {alarm_advice(stage, alarm.partition)}"


def alarm_advice(stage: str, partition: str = "") -> str:
    """Name the command that shows the alarm at a partition, or lists the alarms of a stage."""
    # Without a partition it shows the newest one, which may be long after an alarm.
    words = [stage, shlex.quote(partition)] if partition else [stage]
    return f"see `tidemill drift {' '.join(words)}`"


def new_alarms(
    verdict: DriftVerdict, facts: Iterable[RecordedEvent], environments: Iterable[str]
) -> tuple[RaisedAlarm, ...]:
    """Return the alarms that none of these environments has recorded: one per rule and partition."""
    known = {
        (fact.event.alarm.rule, fact.event.partition)
        for fact in facts
        if isinstance(fact.event, DriftAlarmed) and fact.event.environment in {*environments}
    }
    return tuple(alarm for alarm in verdict.alarms if (alarm.rule, alarm.partition) not in known)
