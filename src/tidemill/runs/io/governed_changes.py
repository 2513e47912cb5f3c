"""Ask rules and people whether what a run made may reach its users."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tidemill.core.counts import plural
from tidemill.core.partition import WHOLE
from tidemill.governance.change_verdict import Verdict
from tidemill.governance.delivery_facts import CandidateEvidence, delivery_facts
from tidemill.governance.io.moved_rows import count_moved_rows
from tidemill.governance.personal_columns import delivered_columns, personal_columns
from tidemill.governance.review_state import ReviewSubject
from tidemill.governance.subjects import delivery_subject, table_subject
from tidemill.governance.table_facts import TableEvidence, table_facts
from tidemill.governance.verdict import Proposal
from tidemill.ledger.binding import Binding, Product
from tidemill.ledger.event import Attempted, Computed, Published
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.review import Review
from tidemill.ledger.run import Action, Attempt
from tidemill.models.gates import LIVE
from tidemill.models.live_events import scores_of
from tidemill.planning.freshness import check_freshness, freshness_rules
from tidemill.ports.ledger import Ledger
from tidemill.runs.io.change_decisions import ChangeDecisions
from tidemill.runs.io.gate_step import GateVerdict
from tidemill.runs.io.job import Governance, Job
from tidemill.runs.io.published_view import PublishedView
from tidemill.store.frames import FrameStore
from tidemill.workflow.gate import Scores
from tidemill.workflow.model import Artifact
from tidemill.workflow.seal import dependencies
from tidemill.workflow.stage import Flow, Kind, Stage

_TRAININGS = (Action.TRAIN, Action.TRIAL)


class GovernedChanges(ChangeDecisions):
    """Decides on the changes of a run by rules and reviews.

    `settle` waits until what was published before is in the ledger.
    """

    def __init__(
        self,
        job: Job,
        published: PublishedView,
        frames: FrameStore,
        settle: Callable[[], None],
    ) -> None:
        super().__init__()
        self._job = job
        self._published = published
        self._frames = frames
        self._settle = settle

    def decide_delivery(
        self, model: Stage, verdict: GateVerdict, *, compare_live: bool, again: bool = False
    ) -> GateVerdict:
        """The verdict of the gates with that of the rules and people; the same one if nothing governs it.

        With `compare_live` the live model was evaluated on the same rows.
        """
        governance, approval = self._job.governance, model.approval
        terms = approval.review if approval is not None else None
        if governance is None or not governance.enforcement.governs(SubjectKind.DELIVERY, terms):
            return verdict
        if not verdict.decision.approved:
            ended = governance.enforcement.end_reviews(
                SubjectKind.DELIVERY, model.name, "the gates refused the candidate since"
            )
            return replace(verdict, policy=Verdict(events=ended))
        evidence = self._evidence(model, verdict, governance)
        if not compare_live:
            evidence = replace(evidence, live_scores=None)
        change = ReviewSubject(
            kind=SubjectKind.DELIVERY,
            name=model.name,
            subject=delivery_subject(verdict.decision),
            artifact=verdict.artifact.id,
            replaces=verdict.replaced,
            verdict=verdict.decision,
        )
        proposal = Proposal(
            change=change,
            title=f"{model.name} {verdict.artifact.id}",
            facts=delivery_facts(governance.context, evidence),
            evidence=verdict.measured.evidence,
        )
        policy = governance.enforcement.decide(proposal, terms, again=again)
        if not policy.allowed:
            self.kept.add(model.name)
        return replace(verdict, policy=policy)

    def waiting_review(self, model: str, evidence: str) -> Review | None:
        """The open review of a candidate that was measured by this evidence last; None if there is none."""
        governance = self._job.governance
        assert governance is not None
        return governance.enforcement.waiting_review(SubjectKind.DELIVERY, model, evidence)

    def refusal(self, stage: str) -> str:
        """Why a stage isn't published, because of its contract; "" if it may be."""
        return self._job.governance.refused.get(stage, "") if self._job.governance else ""

    def governs_table(self, stage: Stage) -> bool:
        """Whether rules are on what a stage delivers to a sink."""
        governance = self._job.governance
        return (
            governance is not None
            and stage.kind is Kind.DELIVER
            and governance.enforcement.governs(SubjectKind.TABLE)
        )

    def decide_table(
        self, stage: Stage, new: Mapping[str, Product | None], *, again: bool = False
    ) -> Verdict:
        """Decide on partitions that would go to the sink of a table, or be removed from it (None)."""
        governance = self._job.governance
        assert governance is not None
        assert stage.sink is not None
        evidence = self._table_evidence(stage, new, governance)
        subject = table_subject(
            stage.name,
            [*stage.sink.identity, self._job.plan.environment],
            {key: product.content if product else "" for key, product in new.items()},
            {key: product.content for key, product in evidence.old.items()},
        )
        proposal = Proposal(
            change=ReviewSubject(kind=SubjectKind.TABLE, name=stage.name, subject=subject),
            title=f"{stage.name}: {plural(len(new), 'partition')}",
            facts=table_facts(governance.context, evidence),
        )
        verdict = governance.enforcement.decide(proposal, again=again)
        if not verdict.allowed:
            self.kept.add(stage.name)
        return verdict

    def _table_evidence(
        self, stage: Stage, new: Mapping[str, Product | None], governance: Governance
    ) -> TableEvidence:
        job = self._job
        held = job.state.heads.get(stage.name)
        published = {key: b.product for key, b in held.partitions.items()} if held else {}
        old = {key: published[key] for key in new if key in published}
        moved = None
        if governance.enforcement.uses(SubjectKind.TABLE, "moved_rows"):
            apart = ("model",) if stage.model else ()
            moved = count_moved_rows(self._frames.partition, new, old, apart)
        assert stage.sink is not None
        return TableEvidence(
            name=stage.name,
            sink=stage.sink.format,
            new=new,
            old=old,
            published=len(published),
            published_rows=sum(product.rows for product in published.values()),
            moved=moved,
            public=stage.public,
            sample=job.recipes[stage.name].sample,
            personal=personal_columns(job.flow, job.recipes, delivered_columns(stage, job.flow)),
            stale=self._is_stale(stage.name),
        )

    def _evidence(
        self, model: Stage, verdict: GateVerdict, governance: Governance
    ) -> CandidateEvidence:
        job, artifact = self._job, verdict.artifact
        trained = self._published.get(model.name, WHOLE)
        gates = model.approval.gates if model.approval is not None else ()
        metrics = (getattr(gate, "metric", "") for gate in gates)
        return CandidateEvidence(
            artifact=artifact,
            live=self._published.live.get(model.name),
            results=verdict.decision.results,
            scores=scores_of(verdict.evaluated),
            live_scores=self._live_scores(verdict),
            metrics=tuple(dict.fromkeys(filter(None, metrics))),
            sample=trained.sample if trained is not None else 1.0,
            training=self._trainings(artifact, trained.run if trained is not None else ""),
            price=job.price,
            personal=personal_columns(job.flow, job.recipes, _columns_read(model, artifact.inputs)),
            pinned=governance.pinned(),
            stale=self._is_stale(model.name),
        )

    def _is_stale(self, name: str) -> bool:
        job = self._job
        return is_stale(job.flow, name, self._published.bindings, job.tools.clock())

    def _live_scores(self, verdict: GateVerdict) -> Mapping[str, Scores] | None:
        """The live model's scores on the rows that the candidate was evaluated on."""
        found = {name: self._published.get(name, LIVE) for name in verdict.evaluated}
        theirs = {name: held for name, held in found.items() if held is not None}
        return scores_of(theirs) or None

    def _trainings(self, artifact: Artifact, run: str) -> tuple[Attempt, ...] | None:
        """The attempts at the training of a candidate, which another run may have made, also elsewhere."""
        if not run:
            return None
        self._settle()
        ledger, model = self._job.tools.ledger, artifact.stage
        if found := _trainings_in(ledger, model, run):
            return found
        # It was reused here: the run that bound it first trained it.
        for fact in ledger.events(kinds=("Published", "Computed"), stage=model):
            event = fact.event
            assert isinstance(event, Published | Computed)
            made = event.binding.product.artifact
            if made is not None and made.id == artifact.id:
                return _trainings_in(ledger, model, event.binding.run)
        return ()


def _trainings_in(ledger: Ledger, model: str, run: str) -> tuple[Attempt, ...]:
    events = ledger.events(kinds=("Attempted",), run=run, stage=model)
    found = (fact.event.attempt for fact in events if isinstance(fact.event, Attempted))
    return tuple(attempt for attempt in found if attempt.action in _TRAININGS)


def is_stale(
    flow: Flow, name: str, bindings: Callable[[str], Iterable[Binding]], now: float
) -> bool:
    """Whether any table that a stage depends on is older than its contract allows."""
    wanted, seen = [*dependencies(flow[name])], set[str]()
    while wanted:
        upstream = wanted.pop()
        if upstream in seen:
            continue
        seen.add(upstream)
        stage = flow[upstream]
        wanted += dependencies(stage)
        if freshness_rules(stage):
            found = check_freshness(stage, bindings(upstream), 0, now)
            if found is None or found.findings:
                return True
    return False


def _columns_read(model: Stage, columns: tuple[str, ...]) -> dict[str, list[str]]:
    """The columns that a model reads of each of its inputs."""
    return {
        item.name: [
            name for name in columns if item.contract is None or name in item.contract.names
        ]
        for item in model.frames
    }
