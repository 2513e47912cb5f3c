"""Collect the versions of a model from recorded events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE
from tidemill.costs.quantities import total_quantities
from tidemill.ledger.binding import Binding
from tidemill.ledger.delivery import GATES, Decision, Delivery
from tidemill.ledger.event import Attempted, Computed, Decided, Delivered, Published, RecordedEvent
from tidemill.ledger.governance_events import ReviewOpened, Voted
from tidemill.ledger.model_version import (
    Evaluation,
    LivePeriod,
    ModelVersion,
    TrainingCost,
    VersionState,
)
from tidemill.ledger.review import Choice, Review
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.models.gates import CANDIDATE, LIVE, is_live, last_decision
from tidemill.reuse.input_contents import input_digest, share_columns
from tidemill.workflow.model import Artifact

# The kinds of events that tell about versions.
KINDS = ("Published", "Computed", "Decided")
_TRIED = (Outcome.OK, Outcome.RETRIED)


@dataclass(slots=True, kw_only=True)
class VersionFacts:
    """What events say about the versions of one model, as far as they were noted.

    `evaluations` are the stages that evaluate it. `ours` says whether an event belongs to the history of
    the environment: others only tell where a version was trained first, and what that cost.
    """

    model: str
    evaluations: Collection[str]
    ours: Callable[[str, int], bool]
    first: dict[str, tuple[Artifact, Binding]] = field(default_factory=dict)
    here: dict[str, Artifact] = field(default_factory=dict)
    decisions: list[Decision] = field(default_factory=list)
    deliveries: list[tuple[str, Delivery]] = field(default_factory=list)
    _approvers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    _scored: list[tuple[str, Binding]] = field(default_factory=list)
    # The scores of candidates that aren't published here.
    _scored_elsewhere: list[tuple[str, Binding]] = field(default_factory=list)

    def note(self, fact: RecordedEvent) -> None:
        """Note an event; those of other stages are left out."""
        event = fact.event
        ours = self.ours(getattr(event, "environment", ""), fact.seq)
        if isinstance(event, Published | Computed):
            self._note_binding(event.stage, event.partition, event.binding, ours=ours)
        elif isinstance(event, Attempted):
            attempt = event.attempt
            if attempt.stage == self.model and attempt.action == Action.TRAIN:
                self._attempts.setdefault(event.run, []).append(attempt)
        elif isinstance(event, Decided) and event.stage == self.model and ours:
            self.decisions.append(event.decision)
        elif isinstance(event, Delivered) and event.delivery.name == self.model:
            self.deliveries.append((event.environment, event.delivery))
            if ours:
                self.here[event.delivery.artifact.id] = event.delivery.artifact
        elif isinstance(event, ReviewOpened) and event.review.name == self.model and ours:
            self._note_asked(event.review)
        elif isinstance(event, Voted) and event.vote.choice is Choice.APPROVE:
            known = self._approvers.get(event.review, ())
            self._approvers[event.review] = tuple(dict.fromkeys((*known, event.vote.actor)))

    def _note_asked(self, review: Review) -> None:
        """Note a candidate that a promotion would bring here, with its scores: in its run, or from before."""
        found = self.first.get(review.artifact)
        if not review.source or found is None or review.artifact in self.here:
            return
        self.here[review.artifact] = found[0]
        digest = input_digest({WHOLE: found[0].content}, None)
        known = [
            (stage, binding)
            for stage, binding in self._scored_elsewhere
            if binding.inputs.get(self.model) == digest
        ]
        own = [(stage, binding) for stage, binding in known if binding.run == review.run]
        self._scored += dict(own or known).items()

    def _note_binding(self, stage: str, partition: str, binding: Binding, *, ours: bool) -> None:
        artifact = binding.product.artifact
        if stage == self.model and artifact is not None:
            self.first.setdefault(artifact.id, (artifact, binding))
            if ours:
                self.here[artifact.id] = artifact
        elif stage in self.evaluations and partition in (CANDIDATE, LIVE):
            (self._scored if ours else self._scored_elsewhere).append((stage, binding))

    def versions(
        self, live: Artifact | None, candidate: Artifact | None
    ) -> tuple[ModelVersion, ...]:
        """The versions in the history of the environment, the one that was trained last first."""
        decisions: defaultdict[str, list[Decision]] = defaultdict(list)
        for decision in self.decisions:
            decisions[decision.artifact].append(decision)
        scored: defaultdict[str, list[tuple[str, Binding]]] = defaultdict(list)
        for stage, binding in self._scored:
            scored[binding.inputs.get(self.model, "")].append((stage, binding))
        found = []
        for name, artifact in self.here.items():
            if name in self.first:
                own = tuple(decisions[name])
                state = _state_of(artifact, live, candidate, own)
                digest = input_digest({WHOLE: artifact.content}, None)
                found.append(self._version(artifact, state, own, scored[digest]))
        return tuple(sorted(found, key=lambda version: version.trained_at, reverse=True))

    def _version(
        self,
        artifact: Artifact,
        state: VersionState,
        own: tuple[Decision, ...],
        scored: Iterable[tuple[str, Binding]],
    ) -> ModelVersion:
        _, binding = self.first[artifact.id]
        return ModelVersion(
            artifact=artifact,
            state=state,
            trained_at=binding.at,
            run=binding.run,
            bytes=binding.product.bytes,
            key=binding.key,
            columns={
                name: share_columns(seen) or () for name, seen in sorted(binding.seen.items())
            },
            evaluations=tuple(self._evaluations(scored)),
            decisions=own,
            cost=_cost_of(self._attempts.get(binding.run, [])),
            approvers={
                d.review: self._approvers[d.review] for d in own if d.review in self._approvers
            },
        )

    def _evaluations(self, scored: Iterable[tuple[str, Binding]]) -> Iterable[Evaluation]:
        for stage, binding in scored:
            if binding.product.scores is not None:
                yield Evaluation(
                    stage=stage,
                    scores=binding.product.scores,
                    run=binding.run,
                    at=binding.at,
                    rows_read=rows_read(binding, self.model),
                )

    def live_periods(self) -> tuple[LivePeriod, ...]:
        """Return the periods in which versions were live, in every environment, in the order of the moves."""
        found: list[LivePeriod] = []
        approvals = {d.subject: d for d in self.decisions if d.approved}
        ends: dict[str, float] = {}
        for environment, delivery in reversed(self.deliveries):
            # None if it isn't in this history.
            decision = approvals.get(delivery.decision)
            found.append(
                LivePeriod(
                    environment=environment,
                    version=delivery.artifact.id,
                    since=delivery.at,
                    until=ends.get(environment),
                    actor=delivery.actor,
                    reason=delivery.reason,
                    replaced=delivery.replaced,
                    rollback=delivery.rollback,
                    evidence=_evidence(decision),
                    note=delivery.note,
                    approvers=self._approvers_of(delivery, decision),
                )
            )
            ends[environment] = delivery.at
        return tuple(reversed(found))

    def _approvers_of(self, delivery: Delivery, decision: Decision | None) -> tuple[str, ...]:
        """Who approved a delivery in a review; nobody if a person moved what is live without one."""
        if decision is None or delivery.actor != decision.actor or delivery.rollback:
            return ()
        return self._approvers.get(decision.review, ())


def rows_read(binding: Binding, model: str) -> str:
    """What identifies the rows on which an evaluation scored a model."""
    rows = {name: digest for name, digest in binding.inputs.items() if name != model}
    return " ".join(f"{name} {rows[name]}" for name in sorted(rows))


def _evidence(decision: Decision | None) -> tuple[str, ...]:
    results = decision.results if decision is not None else ()
    return tuple(f"{result.gate}: {result.evidence}" for result in results)


def _state_of(
    artifact: Artifact,
    live: Artifact | None,
    candidate: Artifact | None,
    decisions: Collection[Decision],
) -> VersionState:
    if is_live(live, artifact):
        return VersionState.LIVE
    last = last_decision(decisions, artifact.id)
    if last is None or last.held:
        judged = candidate is not None and candidate.id == artifact.id
        return VersionState.CANDIDATE if judged else VersionState.TRAINED
    if last.approved:
        return VersionState.APPROVED
    is_refused = last.actor == GATES or last.review
    return VersionState.REFUSED if is_refused else VersionState.WITHDRAWN


def _cost_of(attempts: Collection[Attempt]) -> TrainingCost | None:
    tried = [attempt for attempt in attempts if attempt.outcome in _TRIED]
    if not tried:
        return None
    used = total_quantities(tried)
    return TrainingCost(
        attempts=len(tried),
        wall_s=sum(attempt.wall_s for attempt in tried),
        cpu_s=sum(attempt.cpu_s for attempt in tried),
        peak_rss=max(attempt.peak_rss for attempt in tried),
        rows=max(attempt.rows_in for attempt in tried),
        memory_gb_s=used.memory_gb_s,
        gpu_s=used.gpu_s,
        egress_gb=used.egress_gb,
        units=used.units,
        spent=used.spent,
    )
