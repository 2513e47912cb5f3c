"""Find the tables whose drift has to be judged.

Nothing here needs Polars, so that a run with nothing to do never imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tidemill.contracts.spec import ContractSpec
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import DriftJudged, RecordedEvent
from tidemill.ports.ledger import Ledger, State
from tidemill.runs.drift_due import (
    drift_signature,
    last_verdict,
    open_alarm_notes,
    watched_stages,
)
from tidemill.runs.io.job import Job
from tidemill.workflow.stage import Flow


def unjudged_tables(
    job: Job, bound: Callable[[str], Mapping[str, Binding]]
) -> dict[str, ContractSpec]:
    """Return the contracts of the stages whose partitions or drift alarms changed since the last verdict."""
    return {
        stage: spec
        for stage, spec in watched_stages(job.flow).items()
        if (held := bound(stage)) and _is_unjudged(job, stage, spec, held)
    }


def is_drift_unjudged(job: Job) -> bool:
    """Whether the drift of a table wasn't judged, such as after a run that was killed."""
    heads = job.state.heads
    return bool(unjudged_tables(job, lambda name: heads[name].partitions if name in heads else {}))


def drift_environments(job: Job) -> list[str]:
    """Return this environment and the one that it branched from, whose alarms it shares."""
    return with_parent(job.state, job.plan.environment)


def with_parent(state: State, environment: str) -> list[str]:
    """Return an environment and the one that it branched from."""
    known = state.environments.get(environment)
    return [environment, *([known.parent] if known and known.parent else [])]


def drift_notes(ledger: Ledger, flow: Flow, state: State, environment: str) -> list[str]:
    """Say which drift alarms are to be investigated, from the last verdicts."""
    environments = with_parent(state, environment)
    return [
        note
        for stage in watched_stages(flow)
        for note in open_alarm_notes(
            stage,
            last_verdict(_verdicts(ledger, stage), environments),
        )
    ]


def _is_unjudged(job: Job, stage: str, spec: ContractSpec, bound: Mapping[str, Binding]) -> bool:
    verdict = last_verdict(_verdicts(job.tools.ledger, stage), drift_environments(job))
    return verdict is None or verdict.signature != drift_signature(spec, bound)


def _verdicts(ledger: Ledger, stage: str) -> Iterable[RecordedEvent]:
    """The verdicts on the drift of a table, newest first."""
    return ledger.events(kinds=(DriftJudged.__name__,), stage=stage, newest=True)
