"""Decide at the end of a training whether its model becomes the live one."""

from __future__ import annotations

from dataclasses import replace

from tidemill.core.errors import GateError
from tidemill.core.partition import WHOLE
from tidemill.ledger.review import Review
from tidemill.ledger.run import Outcome
from tidemill.models.gates import LIVE, refusal_message
from tidemill.planning.live_days import day_of
from tidemill.runs.io.change_decisions import ChangeDecisions
from tidemill.runs.io.gate_evidence import EvidenceGatherer
from tidemill.runs.io.gate_step import (
    GatheredEvidence,
    ScoredModels,
    earlier_refusal,
    run_gate_step,
)
from tidemill.runs.io.job import Job
from tidemill.runs.io.published_view import PublishedView
from tidemill.runs.io.publisher import Publication
from tidemill.runs.io.step_inputs import Skip
from tidemill.runs.io.step_progress import StepInProgress, StepResult
from tidemill.steps.io.step_runner import StepRunner
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Stage


class GateLifecycle:
    """Finishes gate steps; `governed` says whether rules and people let a model go live."""

    def __init__(
        self,
        job: Job,
        published: PublishedView,
        runner: StepRunner,
        governed: ChangeDecisions,
    ) -> None:
        self._governed = governed
        self._recipes = job.recipes
        self._clock = job.tools.clock
        self._environment = job.plan.environment
        self._run = job.run
        self._through = job.plan.evaluated_through
        self._decisions = tuple(job.state.decisions.values())
        self._published = published
        self._evidence = EvidenceGatherer(job, published, runner)

    def conclude(self, stage: Stage, begun: StepInProgress) -> StepResult:
        """Decide by the gates whether a candidate becomes the live model."""
        reads = begun.step.reads
        scored = [
            (name, subject)
            for name, subjects in reads.items()
            for subject in subjects
            if not day_of(subject)
        ]
        needed = [(stage.name, WHOLE), *scored]
        for name, key in needed:
            if (name, key) in self._published.failed:
                raise Skip(f"{name} of the candidate is missing: its step failed or was skipped")
        refusal = earlier_refusal(stage, self._published, self._decisions)
        if refusal is not None and not begun.step.forced:
            message = refusal_message(stage.name, refusal)
            return StepResult(attempt=replace(begun.attempt, outcome=Outcome.OK, message=message))
        recipes = {name: self._recipes[name].digest for name in reads}
        # A live model that can't read what the candidate reads isn't compared with it.
        is_live_scored = any(subject == LIVE for _, subject in scored)
        now, live = self._clock(), self._published.live.get(stage.name)
        through = self._through.get(stage.name, "")

        def recall(evidence: str) -> Review | None:
            return (
                None if begun.step.forced else self._governed.waiting_review(stage.name, evidence)
            )

        def gather(artifact: Artifact, scored: ScoredModels) -> GatheredEvidence:
            evidence = self._evidence.gather(stage, artifact, scored, now, through, recall)
            begun.add_cost(evidence.measured.cost)
            return evidence

        verdict = run_gate_step(
            stage, recipes, self._published, now, compare_live=is_live_scored, through=through,
            evidence=gather,
        )  # fmt: skip
        if verdict is None:
            return StepResult(attempt=None)
        verdict = self._governed.decide_delivery(
            stage,
            replace(verdict, refused_before=refusal is not None),
            compare_live=is_live_scored,
            again=begun.step.forced,
        )
        verdict.publish(self._published)
        days = []
        if verdict.goes_live:
            days = [
                (name, key) for name in reads for key in self._published.keys(name) if day_of(key)
            ]
        for name, day in days:
            self._published.remove(name, day)
        events = verdict.events(self._environment, stage.name, days, self._run)
        attempt = replace(
            begun.attempt,
            outcome=Outcome.OK if verdict.goes_live else Outcome.REFUSED,
            message=verdict.message,
            exit_code=0 if verdict.goes_live else GateError.exit_code,
        )
        was_live = {stage.name: live.id if live is not None else ""}
        policy = verdict.policy
        publication = Publication(
            events=events, live=was_live, kept=not policy.allowed, rests_on=policy.rests_on
        )
        return StepResult(attempt=attempt, publication=publication)
