"""Gather what the gates of a candidate need besides its scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidemill.core.errors import StorageError
from tidemill.ledger.binding import Binding
from tidemill.models.recorded_facts import RecordedFacts
from tidemill.ports.artifacts import Artifacts
from tidemill.runs.io.gate_step import GatheredEvidence, ScoredModels
from tidemill.runs.io.gate_tasks import GateTasks, Recall
from tidemill.runs.io.job import Job
from tidemill.runs.io.published_view import PublishedView
from tidemill.steps.gate_messages import GateWork
from tidemill.steps.io.step_runner import StepRunner
from tidemill.workflow.model import Artifact
from tidemill.workflow.recorded_gates import ContractOk, Size
from tidemill.workflow.stage import Stage


class EvidenceGatherer:
    """Gathers the evidence on the candidates of a run, as far as their gates need it."""

    def __init__(self, job: Job, published: PublishedView, runner: StepRunner) -> None:
        self._job = job
        self._published = published
        self._runner = runner
        self._tasks = GateTasks(job, runner)

    def gather(
        self,
        model: Stage,
        artifact: Artifact,
        scored: ScoredModels,
        now: float,
        through: str,
        recall: Recall,
    ) -> GatheredEvidence:
        """The evidence on a candidate of a model; `through` is the newest partition that scored it.

        `recall` finds the review in which the same evidence waits already.
        """
        assert model.approval is not None
        gates, price = model.approval.gates, self._job.price
        facts = RecordedFacts(
            artifact=artifact,
            model=model,
            now=now,
            through=through,
            stages={stage.name: stage for stage in self._job.flow.stages},
            endpoints=self._job.flow.endpoints,
            sizes=self._sizes(artifact) if any(isinstance(g, Size) for g in gates) else (),
            training=self._training(artifact)
            if any(isinstance(gate, ContractOk) for gate in gates)
            else {},
        )
        work = GateWork(
            model=model.name,
            position=None,
            artifact=artifact,
            scores=scored.candidate,
            live=scored.live or {},
            baseline=scored.baseline,
            cpu_hour=price.cpu_hour,
            currency=price.currency,
        )
        measured = self._tasks.measure(model, work, scored.basis, recall)
        return GatheredEvidence(facts=facts, measured=measured)

    def _sizes(self, artifact: Artifact) -> tuple[int | None, ...]:
        self._runner.settle()
        return tuple(_sizes(artifact.all_objects, self._job.tools.artifacts))

    def _training(self, artifact: Artifact) -> Mapping[str, Mapping[str, Binding | None]]:
        """What is published now of the partitions that a model was trained on."""
        return {
            name: {key: self._published.get(name, key) for key in keys}
            for name, keys in artifact.trained_on.items()
        }


def _sizes(names: Iterable[str], artifacts: Artifacts) -> Iterable[int | None]:
    """The bytes of stored objects; None for one that is missing."""
    for name in names:
        try:
            with artifacts.open(name) as stored:
                yield stored.size
        except StorageError:
            yield None
