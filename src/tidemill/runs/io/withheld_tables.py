"""Withhold the partitions of tables that rules govern, until all of them are known and decided on.

A table is decided on as a whole, and published in one transaction with the decision: an interruption leaves
either all of its partitions for the next run, or none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tidemill.core.errors import GateError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.change_verdict import Verdict
from tidemill.ledger.event import Attempted, Computed, Event, Published, Removed
from tidemill.ledger.governance_events import ReviewOpened
from tidemill.ledger.run import Action, Outcome
from tidemill.planning.plan import Step
from tidemill.runs.io.change_decisions import ChangeDecisions
from tidemill.runs.io.job import Job
from tidemill.runs.io.published_view import PublishedView
from tidemill.runs.io.publisher import Publication
from tidemill.runs.io.ready_queue import StepIndex
from tidemill.runs.io.step_progress import StepResult
from tidemill.runs.io.table_checks import TableChecker

_DONE = (Outcome.OK, Outcome.BOUND)


@dataclass(frozen=True, slots=True)
class _WithheldStep:
    index: StepIndex
    step: Step
    result: StepResult


class WithheldTables:
    """Keeps what steps of governed tables would publish, until the last one of its table has ended."""

    def __init__(
        self,
        steps: Sequence[Step],
        governed: ChangeDecisions,
        job: Job,
        published: PublishedView,
        checker: TableChecker,
    ) -> None:
        self._governed = governed
        self._job = job
        self._published = published
        self._checker = checker
        names = {stage.name for stage in job.flow.stages if governed.governs_table(stage)}
        self._left = Counter(step.stage for step in steps if step.stage in names)
        self._held: dict[str, list[_WithheldStep]] = {name: [] for name in names}

    def withhold(self, index: StepIndex, step: Step, result: StepResult) -> bool:
        """Keep the result of a step that has ended; return False if it isn't to be decided on."""
        if step.stage not in self._left:
            return False
        self._left[step.stage] -= 1
        attempt, publication = result.attempt, result.publication
        if attempt is None or publication is None or attempt.outcome not in _DONE:
            return False
        # A table can be larger than memory.
        if publication.objects:
            self._job.tools.artifacts.put_all(publication.objects)
            result = replace(result, publication=replace(publication, objects=()))
        self._held[step.stage].append(_WithheldStep(index, step, result))
        return True

    def decide(self, stage: str) -> list[tuple[StepIndex, StepResult]]:
        """The results of a table whose last step has ended; none before, and for other stages."""
        if self._left.get(stage, 1) > 0 or not self._held[stage]:
            return []
        held, self._held[stage] = self._held[stage], []
        bound = {
            each.step.partition: _product_event(each.result)
            for each in sorted(held, key=lambda each: each.step.partition)
        }
        new = {
            key: event.binding.product if isinstance(event, Published) else None
            for key, event in bound.items()
        }
        again = stage in self._job.plan.reruns
        verdict = self._governed.decide_table(self._job.flow[stage], new, again=again)
        first, *others = (self._ended(each, verdict) for each in held)
        publications = [each.result.publication for each in held]
        events = [event for each in (first, *others) for event in _events(each)]
        if any(isinstance(event, ReviewOpened) for event in verdict.events):
            # People compare these rows with what is published.
            events += [
                Computed(stage=event.stage, partition=event.partition, binding=event.binding)
                for event in bound.values()
                if isinstance(event, Published)
            ]
        live = {} if not verdict.allowed else {
            model: artifact for each in publications if each for model, artifact in each.live.items()
        }  # fmt: skip
        whole = Publication(
            events=(*verdict.events, *events),
            live=live,
            kept=not verdict.allowed,
            rests_on=verdict.rests_on,
        )
        told = replace(first, publication=whole)
        rest = [replace(result, publication=None) for result in others]
        return [(each.index, result) for each, result in zip(held, (told, *rest), strict=True)]

    def _ended(self, each: _WithheldStep, verdict: Verdict) -> StepResult:
        """The result of a step after the verdict on its table."""
        attempt, publication = each.result.attempt, each.result.publication
        assert attempt is not None
        assert publication is not None
        said = "\n".join(verdict.notes)
        if verdict.allowed:
            attempt = replace(attempt, message="\n".join(filter(None, (attempt.message, said))))
            kept = tuple(e for e in publication.events if not isinstance(e, Attempted))
        else:
            attempt = replace(
                attempt, outcome=Outcome.REFUSED, message=said, exit_code=GateError.exit_code
            )
            kept = ()
            self._take_back(each.step)
        tried = Attempted(
            run=self._job.run, environment=self._job.plan.environment, attempt=attempt
        )
        return replace(
            each.result, attempt=attempt, publication=replace(publication, events=(tried, *kept))
        )

    def _take_back(self, step: Step) -> None:
        """Note that a partition stays as it was published before."""
        stage = self._job.flow[step.stage]
        before = self._published.at_start(step.stage, step.partition)
        if step.action is not Action.REMOVE:
            self._checker.remove(stage, step.partition)
            self._published.remove(step.stage, step.partition)
        if before is not None:
            self._published.add(step.stage, step.partition, before)


def _product_event(result: StepResult) -> Event | None:
    """The event that publishes or removes a partition."""
    events = result.publication.events if result.publication is not None else ()
    return next((event for event in events if isinstance(event, Published | Removed)), None)


def _events(result: StepResult) -> tuple[Event, ...]:
    return result.publication.events if result.publication is not None else ()
