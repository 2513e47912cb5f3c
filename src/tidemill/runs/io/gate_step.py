"""Evaluate the gates of a candidate model, and make it live when all of them pass and the rules allow it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import TypeAlias

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.governance.change_verdict import ALLOWED, Verdict
from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import GATES, Decision
from tidemill.ledger.event import Decided, Event
from tidemill.models.comparison import NO_LIVE, UNREADABLE_LIVE
from tidemill.models.gates import (
    BASELINE,
    CANDIDATE,
    LIVE,
    evaluate_gates,
    is_live,
    judged_baseline,
    judged_basis,
    standing_decision,
    subject_of,
)
from tidemill.models.live_events import live_events, scores_of
from tidemill.models.recorded_facts import RecordedFacts
from tidemill.runs.io.gate_tasks import MeasuredGates
from tidemill.runs.io.published_view import PublishedView
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredModels:
    """The scores that gates compare, by evaluation; without a live model `live` is None.

    `basis` is the digest of the rows and of the models that they are of.
    """

    candidate: Mapping[str, Scores]
    live: Mapping[str, Scores] | None
    baseline: Mapping[str, Scores]
    basis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatheredEvidence:
    """What gates need besides scores: recorded facts, and what a process found."""

    facts: RecordedFacts | None = None
    measured: MeasuredGates = field(default_factory=MeasuredGates)


# Gathers the evidence on a candidate, once it is known that it has to be judged.
GateEvidence: TypeAlias = Callable[[Artifact, ScoredModels], GatheredEvidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """The decision of the gates on an artifact, its evaluations by stage, and what was live before.

    `policy` is what the rules and people say of an artifact that passed its gates. `measured` is what gates
    found in a process. With `refused_before` an earlier decision refused the artifact.
    """

    decision: Decision
    artifact: Artifact
    evaluated: Mapping[str, Binding]
    replaced: str = ""
    policy: Verdict = ALLOWED
    measured: MeasuredGates = field(default_factory=MeasuredGates)
    refused_before: bool = False

    @property
    def goes_live(self) -> bool:
        return self.decision.approved and self.policy.allowed

    @property
    def message(self) -> str:
        """The decision, and a line per gate with its evidence; what the rules say of it comes first."""
        gates = (
            f"{result.word} {result.gate}: {result.evidence}" for result in self.decision.results
        )
        verdict = self.decision.verdict if self.policy.allowed else "passed its gates"
        subject = f"{self.artifact.stage} {self.artifact.id} {verdict}"
        return "\n".join((*self.policy.notes, f"{subject}:", *gates, *self._reused()))

    def _reused(self) -> Iterator[str]:
        """Say which results are those of a review that waits."""
        measured = self.measured
        if measured.known_from:
            names = ", ".join(result.gate for result in measured.results.values())
            yield (
                f"{names}: as in review {measured.known_from}, because the candidate, the live model, the "
                "rules and the rows are the same"
            )

    def publish(self, published: PublishedView) -> None:
        """Note that the artifact is live from now on, if it is."""
        if self.goes_live:
            published.live[self.artifact.stage] = self.artifact
            for stage, binding in self.evaluated.items():
                published.add(stage, LIVE, binding)

    def events(
        self, environment: str, model: str, days: Iterable[tuple[str, str]] = (), run: str = ""
    ) -> tuple[Event, ...]:
        """The decision; if approved also the delivery, and the candidate's scores as the live model's.

        The partitions `days` (by stage) with figures of the model that was live until then are removed. What
        rules or people keep from going live stays a candidate; an earlier refusal of it doesn't stand.
        """
        if not self.policy.allowed:
            held = Decided(
                environment=environment,
                stage=model,
                decision=replace(self.decision, approved=False, held=True),
            )
            return (*self.policy.events, *([held] if self.refused_before else []))
        decided = Decided(environment=environment, stage=model, decision=self.decision)
        if not self.decision.approved:
            return (*self.policy.events, decided)
        live = live_events(
            environment,
            self.decision,
            self.artifact,
            self.evaluated,
            replaced=self.replaced,
            days=days,
            run=run,
        )
        return *self.policy.events, *live


def earlier_refusal(
    model: Stage, published: PublishedView, decisions: Iterable[Decision]
) -> Decision | None:
    """The decision that refused the candidate of a model before; None if it is live, or wasn't refused."""
    trained = published.get(model.name, WHOLE)
    artifact = trained.product.artifact if trained else None
    if artifact is None or is_live(published.live.get(model.name), artifact):
        return None
    last = standing_decision(decisions, artifact)
    return None if last is None or last.approved else last


def run_gate_step(
    model: Stage,
    evaluations: Mapping[str, str],
    published: PublishedView,
    now: float,
    *,
    compare_live: bool = True,
    through: str = "",
    evidence: GateEvidence | None = None,
) -> GateVerdict | None:
    """Evaluate the gates of a candidate, with `compare_live` against the live model; None if it is live.

    `evaluations` maps each evaluation of the model to its recipe; `through` is the newest partition that they
    are of. `evidence` gathers what gates need besides scores.
    """
    trained = published.get(model.name, WHOLE)
    candidate = _evaluated(published, evaluations, CANDIDATE)
    if trained is None or model.approval is None or len(candidate) < len(evaluations):
        return None
    artifact = trained.product.artifact
    live = published.live.get(model.name)
    if artifact is None or is_live(live, artifact):
        return None
    before = live.id if live is not None else ""
    others = {
        LIVE: _evaluated(published, evaluations, LIVE) if live and compare_live else {},
        BASELINE: _evaluated(published, evaluations, BASELINE),
    }
    judged = ScoredModels(
        candidate=scores_of(candidate),
        live=scores_of(others[LIVE]) if live and compare_live else None,
        baseline=scores_of(others[BASELINE]),
        basis=judged_basis(before, {CANDIDATE: candidate, **others}),
    )
    gathered = GatheredEvidence() if evidence is None else evidence(artifact, judged)
    results = evaluate_gates(
        model.approval.gates,
        judged.candidate,
        judged.live,
        judged.baseline,
        facts=gathered.facts,
        measured=gathered.measured.results,
        no_live=NO_LIVE if live is None else UNREADABLE_LIVE,
    )
    recipes = ",".join(evaluations.values())
    decision = Decision(
        subject=subject_of(artifact, model.approval, recipes, gathered.measured.contents),
        artifact=artifact.id,
        approved=all(result.passed for result in results),
        results=results,
        actor=GATES,
        at=now,
        through=through,
        baseline=judged_baseline(artifact, model.approval),
    )
    return GateVerdict(
        decision=decision,
        artifact=artifact,
        evaluated=candidate,
        replaced=before,
        measured=gathered.measured,
    )


def _evaluated(
    published: PublishedView, evaluations: Iterable[str], subject: str
) -> dict[str, Binding]:
    """The evaluations of a subject, by stage; those without scores are left out."""
    found = {name: published.get(name, subject) for name in evaluations}
    return {name: held for name, held in found.items() if held and held.product.scores is not None}
