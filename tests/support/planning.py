"""Small flows, and a world where plans are executed with symbols for data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.core.fingerprint import fingerprint
from tidemill.core.partition import WHOLE, Grain
from tidemill.ledger.binding import Binding, Head, Mark, Product
from tidemill.ledger.cost import Cost
from tidemill.ledger.delivery import Decision, Delivery
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.models.degradation import observe_degradation
from tidemill.models.gates import BASELINE, CANDIDATE, LIVE, subject_of
from tidemill.models.triggers import MetricHistory, Observation
from tidemill.models.warm_start import parent_digest, recorded_parent, unseen_partitions
from tidemill.planning.completion import completion_marks
from tidemill.planning.data_stages import FILES
from tidemill.planning.live_days import day_of
from tidemill.planning.plan import Plan, PlanInputs, Step
from tidemill.planning.planner import make_plan, request_scope
from tidemill.planning.request import Request
from tidemill.planning.source_changes import source_changes
from tidemill.reuse.recipe import Recipe
from tidemill.reuse.step_key import StepKey, key_for
from tidemill.reuse.training_key import snapshot_of, training_key
from tidemill.sources.scan import Scan
from tidemill.workflow.gate import Scores, beats_baseline
from tidemill.workflow.gate_kinds import Gate
from tidemill.workflow.model import Artifact, ParentVersion
from tidemill.workflow.sink import Sink
from tidemill.workflow.source import OnMissing, SourceFile
from tidemill.workflow.stage import Approval, Flow, Input, Kind, Stage, Training
from tidemill.workflow.trigger import Degraded, PredictionShift, Trigger
from tidemill.workflow.window import Window

TIMED = ("hour", "day", "week", "month")
CUTS = (*TIMED, "value", "whole")


def spec(cut: str, *, version: str = "1.0.0", zone: str | None = None) -> ContractSpec:
    """A contract whose output is cut by hour, day, week, month, value, or not at all."""
    value = Column(name="x", dtype=DType("Int64"))
    if cut == "whole":
        return ContractSpec(name="Table", version=version, columns=(value,))
    if cut == "value":
        own = Column(name="own", dtype=DType("String"), partition="value")
    else:
        own = Column(name="own", dtype=DType("Datetime", ("us", zone)), partition=Grain(cut))
    return ContractSpec(name="Table", version=version, columns=(own, value))


def reads(
    producer: Stage, window: Window | None = None, *, optional: bool = False, version: str = "1.0.0"
) -> Input:
    """An input that takes what `producer` gives."""
    contract = None if producer.output is None else replace(producer.output, version=version)
    return Input(name=producer.name, contract=contract, window=window, optional=optional)


def ingest(
    name: str, cut: str = "day", *, start: str | None = None, zone: str | None = None
) -> Stage:
    """A stage that is fed by files."""
    return _stage(name, Kind.INGEST, output=spec(cut, zone=zone), start=start)


def transform(name: str, cut: str, *inputs: Input, zone: str | None = None) -> Stage:
    """A stage that makes one table of others."""
    return _stage(name, Kind.TRANSFORM, *inputs, output=spec(cut, zone=zone))


def model(
    name: str,
    *inputs: Input,
    retrain: Trigger | None = None,
    gates: tuple[Gate, ...] | None = (beats_baseline("mae"),),
    warm_start: int | None = None,
) -> Stage:
    """A model; without `gates` nothing is approved."""
    approval = None if gates is None else Approval(model=name, gates=gates, place="flow.py:9")
    training = Training(retrain=retrain, warm_start=warm_start)
    return _stage(name, Kind.MODEL, *inputs, training=training, approval=approval)


def evaluate(name: str, subject: Stage, *inputs: Input) -> Stage:
    """The evaluation of a model."""
    return _stage(name, Kind.EVALUATE, Input(name=subject.name, contract=None), *inputs)


def deliver(name: str, subject: Stage, features: Stage) -> Stage:
    """The delivery of features, scored."""
    item = Input(name=features.name, contract=None)
    return _stage(name, Kind.DELIVER, item, model=subject.name, sink=Sink(folder="out"))


def _stage(name: str, kind: Kind, *inputs: Input, **rest: Any) -> Stage:
    rest.setdefault("output", None)
    return Stage(name=name, kind=kind, function=None, inputs=inputs, place="flow.py:1", **rest)


def flow_of(*stages: Stage) -> Flow:
    """A flow of stages that are already in order."""
    return Flow(name="flow", owner="", stages=stages)


def file_of(path: str, digest: str, rows: Mapping[str, int]) -> SourceFile:
    """A file that feeds some partitions."""
    return SourceFile(path=path, size=1000, mtime_ns=0, digest=digest, rows=dict(rows))


def content_made(
    stage: str, version: int, partition: str, handed: Mapping[str, Mapping[str, str]], coarse: bool
) -> str:
    """What a stage gives: every second version does the same, and a coarse one looks at keys only."""
    seen = {name: list(items) if coarse else dict(items) for name, items in handed.items()}
    return fingerprint("made", stage, version // 2, partition, seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishaps:
    """Stages whose steps fail in a run, don't give what they gave before, or reach for the clock."""

    failing: Collection[str] = ()
    surprising: Collection[str] = ()
    touching: Collection[str] = ()


class MetricWatch:
    """Looks at metrics; nothing is delivered, so that no predictions can shift."""

    def degradation(self, trigger: Degraded, history: MetricHistory) -> Observation:
        return observe_degradation(trigger, history)

    def prediction_shift(self, trigger: PredictionShift, model: str, since: str) -> Observation:
        return Observation(seen=f"nothing was delivered by {model} since {since}")


@dataclass(slots=True, kw_only=True)
class World:
    """Files, versions of code, and what is published; plans are executed on symbols."""

    flow: Flow
    coarse: Collection[str] = ()
    versions: dict[str, int] = field(default_factory=dict)
    unproven: dict[str, tuple[str, ...]] = field(default_factory=dict)
    files: dict[str, dict[str, SourceFile]] = field(default_factory=dict)
    broken: dict[str, dict[str, str]] = field(default_factory=dict)
    held: dict[str, frozenset[str]] = field(default_factory=dict)
    heads: dict[str, dict[str, Binding]] = field(default_factory=dict)
    known_recipes: dict[str, dict[str, str]] = field(default_factory=dict)
    live: dict[str, Delivery] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    traces: dict[str, Binding] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    mae: dict[str, float] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    moves: dict[str, int] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    sources: dict[str, dict[str, SourceFile]] = field(default_factory=dict)
    settled: dict[str, Mark] = field(default_factory=dict)
    costs: dict[str, dict[str, Cost]] = field(default_factory=dict)
    mishaps: Mishaps = Mishaps()
    on_missing: OnMissing = "remove"
    clock: float = 0.0

    def feed(self, stage: str, path: str, *keys: str, digest: str = "one", rows: int = 10) -> None:
        """A file comes, or comes with other rows."""
        self.files.setdefault(stage, {})[path] = file_of(path, digest, dict.fromkeys(keys, rows))

    def recipe(self, stage: str) -> Recipe:
        """The recipe of a stage's version."""
        version = self.versions.get(stage, 0)
        parts = {"code": fingerprint("code", stage, version)}
        unproven = self.unproven.get(stage, ())
        return Recipe(
            digest=fingerprint("recipe", parts), parts=parts, unproven=unproven,
            check=self.checks.get(stage, ""),
        )  # fmt: skip

    def plan(self, *, marks: bool = True, **request: Any) -> Plan:
        """What would run now; without `marks` nothing is taken for current unseen."""
        names, asked = self.flow.names, Request(**request)
        scope = request_scope(self.flow, asked)
        scans = {
            stage.name: Scan(
                files=self.files.get(stage.name, {}),
                broken=self.broken.get(stage.name, {}),
                kept_partitions=self.held.get(stage.name, frozenset()),
                on_missing=self.on_missing,
            )
            for stage in self.flow.stages
            if stage.kind is Kind.INGEST and stage.name in scope
        }
        now = PlanInputs(
            heads={
                name: Head(version=self.moves[name], partitions=self.opened(name))
                for name in self.heads
            },
            sources=self.sources,
            marks=self.settled if marks else {},
            costs=self.costs,
            recipes=self.known_recipes,
            live=self.live,
            decisions=self.decisions,
            at=self.clock,
            watch=MetricWatch(),
            missing_objects=self.missing,
        )
        recipes = {name: self.recipe(name) for name in names}
        return make_plan(self.flow, recipes, now, scans, self.known, asked, "prod")

    def opened(self, stage: str) -> Mapping[str, Binding]:
        """What is bound of a stage, as a plan sees it."""
        return dict(self.heads[stage])

    def known(self, keys: Collection[str]) -> Mapping[str, Binding]:
        """What was first bound under these keys."""
        return {key: self.traces[key] for key in keys if key in self.traces}

    def run(
        self, *, crash_after: int | None = None, mishaps: Mishaps | None = None, **request: Any
    ) -> Plan:
        """Plan and execute, all of it or as far as a crash lets it; the plan."""
        plan = self.plan(**request)
        self._see(plan)
        self.mishaps, attempts = mishaps or Mishaps(), []
        failed: set[tuple[str, str]] = set()
        for step in plan.steps[:crash_after]:
            outcome = self._attempt(step, plan, failed)
            if outcome in (Outcome.FAILED, Outcome.SKIPPED):
                failed.add((step.stage, step.partition))
            attempts.append(
                Attempt(
                    stage=step.stage, partition=step.partition, action=step.action, outcome=outcome
                )
            )
        if crash_after is None:
            recipes = {name: self.recipe(name) for name in self.flow.names}
            self.known_recipes = {name: dict(recipe.parts) for name, recipe in recipes.items()}
            touched = [
                a.stage
                for a in attempts
                if (held := self.heads.get(a.stage, {}).get(a.partition)) and held.touched
            ]
            marks = completion_marks(self.flow, recipes, plan, attempts, touched, self.moves, {})
            self.settled.update(marks)
        return plan

    def _see(self, plan: Plan) -> None:
        """Files are known from a run's start on, and what was settled on others isn't any more."""
        for stage in plan.sources:
            known = self.sources.get(stage, {})
            if (seen := source_changes(plan, stage, known, 1.0)) is not None:
                left = {path: file for path, file in known.items() if path not in seen[1]}
                self.sources[stage] = {**left, **{file.path: file for file in seen[0]}}
                self.settled.pop(stage, None)

    def _attempt(self, step: Step, plan: Plan, failed: set[tuple[str, str]]) -> Outcome:
        read = {(name, key) for name, keys in step.reads.items() for key in keys}
        if step.action is Action.GATE:
            read.add((step.stage, WHOLE))
        if step.action is not Action.REMOVE:
            if read & failed:
                return Outcome.SKIPPED
            if step.stage in self.mishaps.failing and step.action is not Action.GATE:
                return Outcome.FAILED
        if step.action is Action.DELIVER and self.flow[step.stage].model not in self.live:
            return Outcome.SKIPPED
        return self._do(step, plan)

    def contents(self) -> dict[str, dict[str, str]]:
        """What is published, by stage and partition."""
        return {
            name: {key: binding.product.content for key, binding in bound.items()}
            for name, bound in self.heads.items()
            if bound
        }

    def _do(self, step: Step, plan: Plan) -> Outcome:
        stage = self.flow[step.stage]
        bound = self.heads.setdefault(step.stage, {})
        if step.action is Action.REMOVE:
            del bound[step.partition]
            self._move(step.stage)
        elif step.action is Action.GATE:
            self._gate(stage, step, plan)
        else:
            handed = {
                name: {key: self._handed(stage, step, plan, name, key) for key in keys}
                for name, keys in step.reads.items()
            }
            partition = "" if stage.kind is Kind.EVALUATE else step.partition
            held, parent = bound.get(step.partition), self._parent(step, plan, handed)
            found = training_key(self.recipe(stage.name), handed, recorded_parent(held))
            if stage.kind is not Kind.MODEL:
                found = key_for(self.recipe(stage.name), partition, handed)
            same = not step.forced and held is not None and held.key == found.key
            if stage.kind is Kind.MODEL and not same:
                found = training_key(
                    self.recipe(stage.name), handed, parent.digest if parent else ""
                )
            assert found.key is not None
            if held is not None and same and held.check == self.recipe(stage.name).check:
                return Outcome.CURRENT
            reuse = not step.forced and stage.kind is not Kind.DELIVER
            known = (held if same else self.traces.get(found.key)) if reuse else None
            if known is not None and (known.touched or stage.name in self.mishaps.surprising):
                known = None
            if known is None:
                self.made.append(found.key)
                known = self._binding(
                    stage, found, self._make(stage, step, handed, found.key, parent)
                )
                self.traces.setdefault(found.key, known)
                outcome = Outcome.OK
            else:
                outcome = Outcome.OK if same else Outcome.BOUND
                known = replace(self._binding(stage, found, known.product), touched=())
            bound[step.partition] = known
            self._move(step.stage)
            return outcome
        return Outcome.OK

    def _move(self, stage: str) -> None:
        self.moves[stage] = self.moves.get(stage, 0) + 1

    def _binding(self, stage: Stage, found: StepKey, product: Product) -> Binding:
        assert found.key is not None
        return Binding(
            key=found.key, inputs=dict(found.inputs),
            seen={name: dict(seen) for name, seen in found.short_shares.items()},
            recipe=self.recipe(stage.name).digest, contract="", product=product,
            check=self.recipe(stage.name).check, run="run", at=self.clock,
            touched=("the clock",) if stage.name in self.mishaps.touching else (),
        )  # fmt: skip

    def _handed(self, stage: Stage, step: Step, plan: Plan, name: str, key: str) -> str:
        if stage.kind is Kind.INGEST and name == FILES:
            return plan.sources[stage.name][key].digest
        if stage.kind is Kind.EVALUATE and self.flow[name].kind is Kind.MODEL:
            artifact = self._artifact(name, step.subject)
            return artifact.baseline_content if step.subject == BASELINE else artifact.content
        return self.heads[name][key].product.content

    def _artifact(self, name: str, subject: str) -> Artifact:
        if subject == LIVE:
            return self.live[name].artifact
        artifact = self.heads[name][WHOLE].product.artifact
        assert artifact is not None
        return artifact

    def _parent(
        self, step: Step, plan: Plan, handed: Mapping[str, Mapping[str, str]]
    ) -> ParentVersion | None:
        """What a training continues, if there is something new to continue it with."""
        if not step.parent:
            return None
        parent = plan.parents[step.stage]
        assert parent.id == step.parent
        digest = parent_digest(parent, unseen_partitions(parent, snapshot_of(handed)))
        return ParentVersion(id=parent.id, key=parent.key, digest=digest) if digest else None

    def _make(
        self,
        stage: Stage,
        step: Step,
        handed: Mapping[str, Mapping[str, str]],
        key: str,
        parent: ParentVersion | None,
    ) -> Product:
        version = self.versions.get(stage.name, 0)
        coarse = stage.name in self.coarse
        content = content_made(stage.name, version, step.partition, handed, coarse)
        if stage.name in self.mishaps.surprising:
            content = fingerprint("surprise", content, len(self.made))
        rows = 10 * sum(len(items) for items in handed.values())
        product = Product(content=content, rows=rows, bytes=8 * rows)
        if stage.kind is Kind.MODEL:
            if parent is not None:
                content = fingerprint("continued", content, parent.digest)
            artifact = self._trained(stage, content, handed, rows)
            grown = self._version(parent).generation + 1 if parent is not None else 0
            artifact = replace(artifact, key=key, parent=parent, generation=grown)
            return replace(product, content=content, artifact=artifact)
        if stage.kind is Kind.EVALUATE:
            model_name = next(item.name for item in stage.inputs if item.contract is None)
            subject = self._artifact(model_name, step.subject)
            mae = 9.0 if step.subject == BASELINE else self.mae.get(subject.id, 1.0)
            return replace(product, scores=Scores(rows=rows, metrics={"mae": mae}))
        return product

    def _version(self, parent: ParentVersion) -> Artifact:
        artifact = self.traces[parent.key].product.artifact
        assert artifact is not None
        assert artifact.id == parent.id
        return artifact

    def _trained(
        self, stage: Stage, content: str, handed: Mapping[str, Mapping[str, str]], rows: int
    ) -> Artifact:
        return Artifact(
            id=content, stage=stage.name, object=content, format="symbol", inputs=("x",),
            output="x", baseline=0.0, anchor="", rows=rows,
            trained_on={name: tuple(items) for name, items in handed.items()},
            contracts={i.name: i.contract.version for i in stage.frames if i.contract},
            recipe=self.recipe(stage.name).digest, params="{}", seed=None,
            snapshot=snapshot_of(handed),
        )  # fmt: skip

    def _gate(self, stage: Stage, step: Step, plan: Plan) -> None:
        (evaluation,) = step.reads
        candidate = self.heads[evaluation][CANDIDATE]
        artifact, scores = self._artifact(stage.name, CANDIDATE), candidate.product.scores
        assert stage.approval is not None
        assert scores is not None
        subject = subject_of(artifact, stage.approval, self.recipe(evaluation).digest)
        approved, through = scores.metrics["mae"] < 9.0, plan.evaluated_through[stage.name]
        self.decisions[subject] = Decision(
            subject=subject, artifact=artifact.id, approved=approved, results=(), actor="gates",
            at=self.clock, through=through,
        )  # fmt: skip
        if approved:
            self.live[stage.name] = Delivery(
                name=stage.name, artifact=artifact, decision=subject, scores=scores,
                at=self.clock, through=through,
            )  # fmt: skip
            for key in [key for key in self.heads[evaluation] if day_of(key)]:
                del self.heads[evaluation][key]
            self.heads[evaluation][LIVE] = candidate
            self._move(evaluation)


def shown(plan: Plan) -> list[str]:
    """The steps of a plan in short."""
    return [step.id for step in plan.steps]
