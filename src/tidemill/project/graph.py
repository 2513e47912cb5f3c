"""The graph of a workflow's stages, with the state of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice

from tidemill.governance.io.recorded_reviews import open_reviews
from tidemill.governance.permissions import Permission
from tidemill.history.io.runs import iter_runs
from tidemill.ledger.awaited_review import awaited_by_attempt
from tidemill.ledger.binding import Head
from tidemill.ledger.event import Attempted
from tidemill.ledger.run import Attempt, Outcome, Status
from tidemill.operations.ledger_metrics import LedgerMetrics
from tidemill.operations.stage_states import (
    StageFacts,
    StageGraph,
    Surroundings,
    select_around,
    stage_graph,
)
from tidemill.ports.ledger import Ledger, State
from tidemill.project.due_partitions import DueWork
from tidemill.project.metrics import Metrics
from tidemill.project.plans import Plans
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.project.workspace import Workspace
from tidemill.workflow.seal import dependencies
from tidemill.workflow.stage import Stage

# What gates refused is looked for in so many runs.
_RUNS = 20


class StageGraphs:
    """Reads the graph of a workspace's stages in its environment."""

    def __init__(self, workspace: Workspace, plans: Plans, metrics: Metrics) -> None:
        self._workspace, self._plans, self._metrics = workspace, plans, metrics
        # How many partitions each stage had, and after which event.
        self._sizes: dict[str, tuple[int, int]] = {}

    def read(
        self, around: Surroundings | None = None, due_work: DueWork | None = None
    ) -> StageGraph:
        """The graph of all stages, or around one; nothing is changed.

        What is due is planned anew unless `due_work` remembers it. It isn't known if nothing can be planned,
        which the graph notes. UsageError for an unknown stage, AccessError if the actor may not read.
        """
        space = self._workspace
        space.require(Permission.READ)
        if around is not None:
            space.stage(around.stage)
        state = space.preview_state()
        due = (due_work or DueWork(self._plans)).read(state, space.tools.clock())
        metrics = self._metrics.read()
        refused, waiting = self._refusals(metrics)
        failed = {**refused, **_failures(metrics)}
        facts = [
            self._facts(stage, state, metrics, due.counts, failed, waiting)
            for stage in space.flow.stages
        ]
        found = stage_graph(
            facts,
            workflow=space.declared.name,
            environment=space.environment,
            now=space.tools.clock(),
            is_running=any(run.status is Status.RUNNING for run in state.open_runs),
            note=due.note,
        )
        return found if around is None else select_around(found, around)

    def _refusals(self, metrics: LedgerMetrics) -> tuple[dict[str, str], dict[str, str]]:
        """Why gates refused the last attempt at each stage, where they did, in one of the last runs.

        Then which open review a stage waits for. Once that is decided, it says nothing about the stage.
        """
        suspects = [name for name, seen in metrics.outcomes.items() if Outcome.REFUSED in seen]
        refused, waiting = dict[str, str](), dict[str, str]()
        if not suspects:
            return refused, waiting
        ledger, name = self._workspace.tools.ledger, self._workspace.environment
        own = (run.id for run in iter_runs(ledger) if run.environment == name)
        recent, known = {*islice(own, _RUNS)}, open_reviews(ledger, name)
        for stage in suspects:
            refusal = _last_refusal(ledger, name, stage, recent)
            if refusal is None:
                continue
            review = awaited_by_attempt(refusal)
            if not review:
                refused[stage] = _first_line(refusal.message) or str(refusal.outcome)
            elif review in known:
                waiting[stage] = f"waits for review {review}"
        return refused, waiting

    def _facts(
        self,
        stage: Stage,
        state: State,
        metrics: LedgerMetrics,
        due: Mapping[str, int] | None,
        failed: Mapping[str, str],
        waiting: Mapping[str, str],
    ) -> StageFacts:
        head, verdict = state.heads.get(stage.name), state.stale.get(stage.name)
        return StageFacts(
            name=stage.name,
            kind=str(stage.kind),
            reads=sorted(dependencies(stage)),
            partitions=self._size(stage.name, head) if head is not None else 0,
            due=None if due is None else due.get(stage.name, 0),
            stale="; ".join(verdict.messages) if verdict is not None else "",
            published=self._published(stage.name, head, metrics) if head is not None else None,
            failed=failed.get(stage.name, ""),
            waiting=waiting.get(stage.name, ""),
        )

    def _size(self, stage: str, head: Head) -> int:
        """How many partitions a stage has, which are counted once after each change."""
        known = self._sizes.get(stage)
        if known is None or known[0] != head.last_event:
            known = self._sizes[stage] = head.last_event, len(head.partitions)
        return known[1]

    def _published(self, stage: str, head: Head, metrics: LedgerMetrics) -> float | None:
        """When a stage was published last; metrics don't know it of what a branch has from its parent."""
        if stage in metrics.published:
            return metrics.published[stage]
        ledger = self._workspace.tools.ledger
        # Which environments are the workflow's own needn't be found out for each stage.
        shared = ledger.shared if isinstance(ledger, WorkflowLedger) else ledger
        for fact in shared.events(after=head.last_event - 1, limit=1):
            return fact.at
        return None


def _last_refusal(
    ledger: Ledger, environment: str, stage: str, runs: Collection[str]
) -> Attempt | None:
    """The last attempt that gates refused in the last run that worked on a stage, if it is one of some runs.

    A stage was refused in a run if any of its partitions was.
    """
    last = ""
    for fact in ledger.events(kinds=(Attempted.__name__,), stage=stage, newest=True):
        event = fact.event
        if not isinstance(event, Attempted) or event.environment != environment:
            continue
        if event.run not in runs or last not in ("", event.run):
            return None
        last = event.run
        if event.attempt.outcome is Outcome.REFUSED:
            return event.attempt
    return None


def _failures(metrics: LedgerMetrics) -> Mapping[str, str]:
    """Why stages fail, which metrics and incidents tell, too."""
    failing = metrics.failing.items()
    return {stage: _first_line(each.message) or "failed" for stage, each in failing}


def _first_line(message: str) -> str:
    return message.partition("\n")[0]
