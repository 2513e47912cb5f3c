"""Tell a run in the events of OpenLineage: the run, its stages, and the checks of their contracts.

A run is a run of the job `WORKFLOW`, the parent of a run of the job `WORKFLOW.STAGE` for each stage that had
steps, which reads and writes datasets. The checks of a stage's contract are a run of the job
`WORKFLOW.STAGE.contract`, which only reads the stage's dataset, as OpenLineage attaches results of checks to
what is read. The events are made from those of the ledger and from the declaration, so they can be made at
any time. What the declaration says of columns is left out when the recipe has changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field
from functools import partial
from typing import TypeAlias

from tidemill.contracts.finding import Finding
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import partition_instants
from tidemill.ledger.event import (
    Attempted,
    EffectQueued,
    Judged,
    Published,
    RecordedEvent,
    Removed,
    RunEnded,
    RunStarted,
)
from tidemill.ledger.run import Failure, Receipt, Status
from tidemill.lineage.openlineage.facets import CORE, FacetBuilder, Json, instant, timestamp
from tidemill.lineage.openlineage.lineage_context import LineageContext
from tidemill.lineage.openlineage.run_ids import run_uuid
from tidemill.lineage.openlineage.stage_datasets import StageDatasets
from tidemill.lineage.openlineage.stage_tally import StageTally
from tidemill.workflow.stage import Kind, Stage

# Makes one event. That may take a while, and so isn't done where a run waits for it.
MakeEvent: TypeAlias = Callable[[], Json]

_ENDS = {
    Status.OK: "COMPLETE",
    Status.FAILED: "FAIL",
    Status.INTERRUPTED: "ABORT",
    Status.LOST: "ABORT",
}
# These ends leave open whether all steps of a stage ran.
_BROKEN_OFF = (Status.INTERRUPTED, Status.LOST)
_NAMED_FAILURES = 3


@dataclass(slots=True)
class RunEvents:
    """Finds the events of one run; `add` takes the events of the ledger in their order.

    A run begins with its RunStarted, and ends with its RunEnded. Events of other environments, and what comes
    after the end, are ignored. Which events there are is known at once; each is made when it is called for,
    also in another thread.
    """

    context: LineageContext
    _builder: FacetBuilder = field(init=False)
    _start: RunStarted | None = field(default=None, init=False)
    _started: float = field(default=0.0, init=False)
    _stages: dict[str, StageTally] = field(default_factory=dict, init=False)
    _ended: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._builder = FacetBuilder(f"urn:tidemill:{self.context.version}")

    def add(self, fact: RecordedEvent) -> list[MakeEvent]:
        """What makes the events of OpenLineage that an event of the ledger leads to."""
        event, at = fact.event, fact.at
        if isinstance(event, RunStarted) and self._start is None:
            self._start, self._started = event, at
            return [partial(self._run_event, "START", at)]
        start = self._start
        if start is None or self._ended:
            return []
        if isinstance(event, RunEnded):
            return self._end(event, at) if event.run == start.run else []
        if getattr(event, "environment", None) != start.environment:
            return []
        if isinstance(event, Attempted) and event.run == start.run:
            return self._add_attempt(event, at)
        self._add_result(event)
        return []

    def _add_attempt(self, event: Attempted, at: float) -> list[MakeEvent]:
        attempt, found = event.attempt, list[MakeEvent]()
        tally = self._stages.get(attempt.stage)
        if tally is None:
            began = max(self._started, at - attempt.wall_s - attempt.queued_s)
            tally = self._stages[attempt.stage] = StageTally(attempt.stage, began, at)
            found = [partial(self._stage_event, attempt.stage, "START", began)]
        tally.add_attempt(attempt, at)
        return found

    def _add_result(self, event: object) -> None:
        if isinstance(event, EffectQueued):
            stage = event.effect.stage
        elif isinstance(event, (Published, Removed, Judged)):
            stage = event.stage
        else:
            return
        tally = self._stages.get(stage)
        # A delivery that a run before left queued has no steps in this one.
        if tally is None:
            return
        match event:
            case Published():
                tally.add_binding(event.partition, event.binding)
            case Removed():
                tally.removed.add(event.partition)
            case EffectQueued():
                tally.add_effect(event.effect)
            case _:
                tally.broken.add(event.verdict.findings)

    def _end(self, event: RunEnded, at: float) -> list[MakeEvent]:
        self._ended = True
        found: list[MakeEvent] = []
        for tally in self._stages.values():
            found.append(partial(self._stage_end, tally, event.status, at))
            found += self._check_events(tally)
        return [*found, partial(self._run_end, event, at)]

    def _run_end(self, event: RunEnded, at: float) -> Json:
        end = self._run_event(_ENDS.get(event.status, "FAIL"), at)
        if message := _failure_of(event):
            end["run"]["facets"]["errorMessage"] = self._builder.error(message)
        return end

    @property
    def _workflow(self) -> str:
        return self.context.flow.name

    @property
    def _environment(self) -> str:
        assert self._start is not None
        return self._start.environment

    def _uuid(self, *job: str) -> str:
        assert self._start is not None
        namespace = self.context.places.namespace_of(self._environment)
        return run_uuid(self._started, namespace, self._start.run, self._workflow, *job)

    def _event(self, kind: str, at: float, job: tuple[str, ...], facets: tuple[Json, Json]) -> Json:
        """An event of a job below the workflow, with facets of the run and of the job."""
        places = self.context.places
        return {
            "eventType": kind,
            "eventTime": timestamp(at),
            "producer": self._builder.producer,
            "schemaURL": f"{CORE}#/$defs/RunEvent",
            "run": {"runId": self._uuid(*job), "facets": facets[0]},
            "job": {
                "namespace": places.namespace_of(self._environment),
                "name": ".".join((self._workflow, *job)),
                "facets": facets[1],
            },
            "inputs": [],
            "outputs": [],
        }

    def _run_event(self, kind: str, at: float) -> Json:
        assert self._start is not None
        run = {
            "processing_engine": self._engine(),
            "executionParameters": self._builder.parameters(
                [
                    ("command", self._start.command),
                    ("environment", self._environment),
                    ("run", self._start.run),
                ]
            ),
        }
        job = self._builder.job("WORKFLOW", about="", owner=self.context.flow.owner, code=None)
        return self._event(kind, at, (), (run, job))

    def _stage_event(self, name: str, kind: str, at: float) -> Json:
        stage = self._declared(name)
        run = {"parent": self._parent(), "processing_engine": self._engine()}
        job = self._builder.job(
            str(stage.kind if stage else "stage").upper(),
            about=_about(stage),
            owner=self.context.flow.owner,
            code=self.context.code_of(stage) if stage else None,
        )
        return self._event(kind, at, (name,), (run, job))

    def _stage_end(self, tally: StageTally, status: Status, ended: float) -> Json:
        broken_off = status in _BROKEN_OFF
        kind = "FAIL" if tally.failures else "ABORT" if tally.skips or broken_off else "COMPLETE"
        event = self._stage_event(tally.stage, kind, ended if broken_off else tally.ended)
        run = event["run"]["facets"]
        run["executionParameters"] = self._builder.parameters(tally.parameters())
        if (times := self._nominal_time(tally)) is not None:
            run["nominalTime"] = times
        message, trace = _stage_failure(tally, status)
        if message:
            run["errorMessage"] = self._builder.error(message, trace)
        self._datasets(tally).describe(event)
        return event

    def _check_events(self, tally: StageTally) -> Iterable[MakeEvent]:
        """The run of the checks of a contract: of what was published, or of why nothing was."""
        stage = self._declared(tally.stage)
        is_data = stage is not None and stage.kind in (Kind.INGEST, Kind.TRANSFORM)
        if (tally.published and is_data) or tally.broken.found:
            for kind in ("START", "FAIL" if tally.broken.failed else "COMPLETE"):
                yield partial(self._check_event, tally, kind)

    def _check_event(self, tally: StageTally, kind: str) -> Json:
        run = {"parent": self._parent(tally.stage)}
        job = self._builder.job("CONTRACT", about="", owner=self.context.flow.owner, code=None)
        event = self._event(kind, tally.ended, (tally.stage, "contract"), (run, job))
        if kind != "START":
            self._datasets(tally).describe_checks(event)
        return event

    def _datasets(self, tally: StageTally) -> StageDatasets:
        return StageDatasets(
            context=self.context,
            builder=self._builder,
            tally=tally,
            environment=self._environment,
            stage=self._declared(tally.stage),
        )

    def _declared(self, name: str) -> Stage | None:
        return self.context.flow[name] if name in self.context.flow.names else None

    def _parent(self, *job: str) -> Json:
        namespace = self.context.places.namespace_of(self._environment)

        def reference(*parts: str) -> Json:
            name = ".".join((self._workflow, *parts))
            return {
                "run": {"runId": self._uuid(*parts)},
                "job": {"namespace": namespace, "name": name},
            }

        return self._builder.facet("parent", **reference(*job), root=reference())

    def _engine(self) -> Json:
        version = self.context.version
        return self._builder.facet(
            "processing_engine", version=version, name="Tidemill", openlineageAdapterVersion=version
        )

    def _nominal_time(self, tally: StageTally) -> Json | None:
        """The time that the partitions of a stage cover."""
        stage, keys = self._declared(tally.stage), tally.partitions
        if stage is not None and stage.kind is Kind.DELIVER:
            stage = self._declared(stage.inputs[0].name)
        if stage is None or stage.partitioning.grain is None or not keys:
            return None
        grain, clock = stage.partitioning.grain, stage.partitioning.clock
        try:
            first = partition_instants(keys[0], grain, clock)[0]
            last = partition_instants(keys[-1], grain, clock)[1]
        except UsageError:
            return None
        return self._builder.facet(
            "nominalTime", nominalStartTime=instant(first), nominalEndTime=instant(last)
        )


def _about(stage: Stage | None) -> str:
    """The first paragraph of the docstring of a stage's function."""
    text = (getattr(stage.function, "__doc__", None) or "").strip() if stage else ""
    return " ".join(text.partition("\n\n")[0].split())


def _stage_failure(tally: StageTally, status: Status) -> tuple[str, str]:
    """Why a stage failed or was broken off, and the traceback; the values of bad rows aren't named."""
    failure, more = tally.failure, tally.failures - 1
    if failure is not None:
        also = f" (and {more:,} more)" if more > 0 else ""
        if failure.findings:
            return f"{_broken_rules(failure.findings)}{also}", ""
        return f"{failure.message}{also}", failure.trace
    if tally.skips:
        return tally.skipped or "its steps were skipped", ""
    return (f"the run was {status}", "") if status in _BROKEN_OFF else ("", "")


def _failure_of(event: RunEnded) -> str:
    """Why a run failed, in short."""
    if event.status is Status.OK:
        return ""
    receipt: Receipt | None = event.receipt
    causes = [f"{one.stage}: {_cause(one)}" for one in receipt.failures] if receipt else []
    causes = causes or [
        f"the run was {event.status}" if event.status in _BROKEN_OFF else "it failed"
    ]
    more = len(causes) - _NAMED_FAILURES
    shown = causes[:_NAMED_FAILURES] + ([f"and {more:,} more"] if more > 0 else [])
    return "; ".join(shown)


def _cause(failure: Failure) -> str:
    return _broken_rules(failure.findings) if failure.findings else failure.why


def _broken_rules(findings: Iterable[Finding]) -> str:
    """The rules that rows break, without the values that a message shows."""
    return f"rows break the contract: {', '.join(dict.fromkeys(each.rule for each in findings))}"
