"""Train a model, evaluate one, and score rows with one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, repeat
from typing import TYPE_CHECKING, Any

import polars as pl

from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import (
    ContractError,
    did_you_mean,
)
from tidemill.core.fingerprint import fingerprint, object_name
from tidemill.core.partition import WHOLE
from tidemill.core.payload import byte_count
from tidemill.ledger.binding import Binding, Product
from tidemill.models.gates import BASELINE
from tidemill.models.input_compatibility import column_as_json, incompatibility, inputs_as_json
from tidemill.models.io.batches import with_partitions
from tidemill.models.io.parent import LoadedParent
from tidemill.models.predictors import ModelPredictor, TrivialPredictor, predicted_schema
from tidemill.models.warm_start import continuation_fault, parent_digest, unseen_partitions
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.formats import ModelFormat, ModelProbe
from tidemill.reuse.training_key import snapshot_of
from tidemill.steps.io.audit_watch import AuditWatch
from tidemill.steps.io.input_frames import InputFrames
from tidemill.steps.io.invocation import call_stage, collect_query
from tidemill.steps.io.leakage_checks import check_training, evaluation_findings
from tidemill.steps.io.model_export import (
    ModelExport,
    export_difference,
    export_model,
    step_error,
    unstored_predictor,
)
from tidemill.steps.io.model_loading import format_named, load_parent, load_predictor
from tidemill.steps.io.training_platform import hardware, loaded_packages
from tidemill.steps.step_messages import Inputs, StepOutput, Work, count_rows, part_of
from tidemill.store.frames import PARQUET, encode, encode_all
from tidemill.workflow.gate import Scores
from tidemill.workflow.guarantees import guarantee_faults
from tidemill.workflow.model import Artifact, ClassLabel, Fitted, ParentVersion
from tidemill.workflow.search import NoTrial, Trial
from tidemill.workflow.stage import Flow, Stage

if TYPE_CHECKING:
    from tidemill.folds.io.partials_cache import FoldSession


class ModelStepRunner:
    """Runs the model steps of one run: training, evaluation and delivery."""

    def __init__(
        self,
        flow: Flow,
        frames: InputFrames,
        artifacts: Artifacts,
        formats: Sequence[ModelFormat],
        probe: ModelProbe,
        settle: Callable[[], None],
        check: Callable[[Stage, Work, pl.DataFrame], StepOutput],
    ) -> None:
        self._flow = flow
        self._check = check
        self._frames = frames
        self._settle = settle
        self._loaded: dict[str, ModelPredictor] = {}
        self._artifacts = artifacts
        self._formats = formats
        self._probe = probe

    def train(self, stage: Stage, work: Work, folder: FoldSession | None) -> StepOutput:
        """Call the training function; store its model as bytes, with what it was trained on."""
        return self.train_to_predict(stage, work, folder)[0]

    def train_to_predict(
        self, stage: Stage, work: Work, folder: FoldSession | None
    ) -> tuple[StepOutput, ModelPredictor]:
        """Train as a run does; return the output, and the predictor of the model in memory."""
        assert stage.training is not None
        params = {**stage.training.params, **json.loads(work.chosen or "{}")}
        frames = self.window(stage, work.inputs, folder)
        parent = self._parent(work)
        with AuditWatch(stage.place, active=not stage.is_vouched_for) as opened:
            fitted = self.fit(stage, frames, params, parent=parent)
        artifact, export = self.export(stage, work, fitted, frames)
        checked = check_training(
            stage,
            fitted,
            export.label.stage,
            frames,
            work.inputs,
            classes=bool(artifact.classes),
        )
        artifact = replace(artifact, study=work.study, entities=checked.entities)
        self._frames.confirm(work.inputs)
        # It was loaded just now, when its export was compared.
        self._probe.remember(artifact, export.form)
        product = Product(
            content=artifact.content,
            objects=(artifact.object, artifact.golden),
            rows=artifact.rows,
            bytes=byte_count(export.payload),
            artifact=artifact,
            findings=checked.findings,
        )
        output = StepOutput(
            product=product,
            touched=opened.describe(),
            objects=((export.payload, f".{artifact.format}"), (export.golden, GOLDEN)),
        )
        return output, unstored_predictor(artifact, export)

    def export(
        self, stage: Stage, work: Work, fitted: Fitted, frames: Mapping[str, pl.LazyFrame]
    ) -> tuple[Artifact, ModelExport]:
        """Describe a model that was trained on `frames`; return the bytes, which were compared with it."""
        assert stage.training is not None
        training, inputs = stage.training, work.inputs
        params = {**training.params, **json.loads(work.chosen or "{}")}
        export = export_model(stage, fitted, frames, self._formats)
        label, form, payload = export.label, export.form, export.payload
        name = object_name(payload, f".{form.name}")
        artifact = Artifact(
            id=model_id(name, fitted, export.classes),
            stage=stage.name,
            object=name,
            format=form.name,
            inputs=fitted.inputs.columns,
            output=fitted.output,
            baseline=export.baseline,
            anchor=max(inputs.get(stage.frames[0].name, ()), default=""),
            rows=sum(b.product.rows for b in inputs.get(stage.frames[0].name, {}).values()),
            trained_on={name: tuple(sorted(bound)) for name, bound in inputs.items()},
            contracts={i.name: i.contract.version for i in stage.frames if i.contract},
            recipe=work.recipe,
            params=json.dumps(params, sort_keys=True, default=repr),
            seed=training.seed,
            reads=inputs_as_json(fitted.inputs),
            encodings=fitted.encodings,
            feed=export.feed,
            label=column_as_json(label.contract, fitted.output),
            classes=json.dumps(export.classes) if export.classes else "",
            shares=export.shares,
            golden=object_name(export.golden, GOLDEN),
            snapshot=_snapshot(inputs),
            packages=loaded_packages(),
            hardware=hardware(),
            entity=fitted.entity,
            labelled=sum(held.product.rows for held in inputs[label.stage].values()),
            key=work.key,
            data_at=max((b.at for bound in inputs.values() for b in bound.values()), default=0.0),
        )
        artifact = self._continued(stage, work, artifact)
        difference = export_difference(stage, export, artifact, self._probe)
        return replace(artifact, export_difference=difference), export

    def _continued(self, stage: Stage, work: Work, artifact: Artifact) -> Artifact:
        """The artifact with the parent that its training continued; StepError if it can't have."""
        if work.parent is None:
            return artifact
        if fault := continuation_fault(work.parent, artifact):
            raise step_error(
                stage,
                f"{fault}: it can't have been continued. Give the model of its parent the same columns, and "
                "its encoder the same categories: tm.encoder(table, inputs=..., parent=parent)",
            )
        unseen = unseen_partitions(work.parent, _snapshot(work.inputs))
        digest = parent_digest(work.parent, unseen)
        return replace(
            artifact,
            parent=ParentVersion(id=work.parent.id, key=work.parent.key, digest=digest),
            generation=work.parent.generation + 1,
        )

    def _parent(self, work: Work) -> LoadedParent | None:
        """The version that a training continues, in memory."""
        if work.parent is None:
            return None
        self._settle()
        new = frozenset(unseen_partitions(work.parent, _snapshot(work.inputs)))
        return load_parent(work.parent, new, self._artifacts, self._formats, self._probe)

    def window(
        self, stage: Stage, inputs: Inputs, folder: FoldSession | None
    ) -> dict[str, pl.LazyFrame]:
        """The frames to train on, which know their partitions."""
        frames = self._frames.of_partition(stage, inputs, folder)
        parts = self._frames.by_partition(stage, inputs)
        columns = {
            item.name: item.contract.partitioning.column for item in stage.frames if item.contract
        }
        return {
            name: with_partitions(frame, parts[name], columns[name]) if name in parts else frame
            for name, frame in frames.items()
        }

    def fit(
        self,
        stage: Stage,
        frames: Mapping[str, pl.LazyFrame],
        params: Mapping[str, Any],
        trial: Trial | None = None,
        parent: LoadedParent | None = None,
    ) -> Fitted:
        """Call the training function; StepError if it doesn't return a model that can be used."""
        training = stage.training
        assert training is not None
        arguments: dict[str, Any] = dict(frames)
        if training.wants_params:
            arguments["params"] = dict(params)
        if training.wants_seed:
            arguments["seed"] = training.seed
        if training.wants_trial:
            arguments["trial"] = trial or NoTrial()
        if training.warm_start is not None:
            arguments["parent"] = parent
        fitted: Fitted = call_stage(stage, WHOLE, arguments)
        self._refuse(stage, fitted)
        return fitted

    def evaluate(self, stage: Stage, work: Work, folder: FoldSession | None) -> StepOutput:
        """Score a model, or the trivial baseline, on partitions that its training never saw."""
        assert work.artifact is not None
        artifact, trivial = work.artifact, work.subject == BASELINE
        model = next(self._flow[item.name] for item in stage.inputs if item.contract is None)
        inputs = {name: bound for name, bound in work.inputs.items() if name != model.name}
        if not trivial:
            _require_compatible(artifact, model, [item.contract for item in stage.frames])
        for name, bound in inputs.items():
            both = sorted(set(bound) & set(artifact.trained_on.get(name, ())) - {WHOLE})
            if both:
                raise step_error(
                    stage,
                    f"{artifact.id} was trained on {name} {both[0]}; its scores would be biased",
                )
        predictor = TrivialPredictor(artifact) if trivial else self.predictor(artifact)
        return self._scores(stage, model, artifact, predictor, inputs, folder)

    def backtest(self, stage: Stage, work: Work, folder: FoldSession | None) -> StepOutput:
        """Train a model as of the past, and score it on the window that followed; it isn't stored."""
        model = next(self._flow[item.name] for item in stage.inputs if item.contract is None)
        assert model.training is not None
        training, evaluation = (
            part_of(work.inputs, work.windows[name]) for name in ("training", "evaluation")
        )
        frames = self.window(model, training, folder)
        with AuditWatch(model.place, active=not model.is_vouched_for) as opened:
            fitted = self.fit(model, frames, model.training.params)
        trained = replace(work, inputs=training)
        artifact, export = self.export(model, trained, fitted, frames)
        predictor = unstored_predictor(artifact, export)
        output = self._scores(stage, model, artifact, predictor, evaluation, folder)
        self._frames.confirm(training)
        return replace(output, touched=(*opened.describe(), *output.touched))

    def _scores(
        self,
        stage: Stage,
        model: Stage,
        artifact: Artifact,
        predictor: ModelPredictor | TrivialPredictor,
        inputs: Inputs,
        folder: FoldSession | None,
    ) -> StepOutput:
        """Call the evaluation function with a predictor."""
        trivial = isinstance(predictor, TrivialPredictor)
        frames = self._frames.of_partition(stage, inputs, folder)
        with AuditWatch(stage.place, active=not stage.is_vouched_for) as opened:
            found = call_stage(stage, WHOLE, {**frames, model.name: predictor})
        findings = () if trivial else evaluation_findings(stage, artifact, frames)
        self._frames.confirm(inputs)
        if not isinstance(found, Scores):
            raise step_error(stage, f"it returned {type(found).__name__}, not tm.scores(...)")
        content = fingerprint("scores", repr(found))
        product = Product(content=content, rows=found.rows, scores=found, findings=findings)
        return StepOutput(product=product, touched=opened.describe())

    def deliver(self, stage: Stage, work: Work) -> StepOutput:
        """The rows of a partition to deliver; scored by the live model, if the delivery has one."""
        [bound] = work.inputs.values()
        query = self._delivered_rows(stage, work, tuple(bound.values()))
        rows = collect_query(stage, work.partition, query, count_rows(work.inputs))
        self._frames.confirm(work.inputs)
        return self._delivered(stage, work, rows)

    def deliver_together(self, stage: Stage, works: Sequence[Work]) -> dict[str, StepOutput]:
        """The rows of several partitions by one query; none if that could change what is delivered."""
        artifact = works[0].artifact
        if artifact is not None and not format_named(artifact, self._formats).is_rowwise:
            return {}
        bindings = [
            held for work in works for bound in work.inputs.values() for held in bound.values()
        ]
        query = self._delivered_rows(stage, works[0], bindings)
        if any(dtype == pl.Categorical for dtype in query.collect_schema().dtypes()):
            return {}  # its categories would include those of other partitions
        together, partitions = query.collect(engine="in-memory"), [w.partition for w in works]
        self._frames.confirm({stage.inputs[0].name: dict(zip(partitions, bindings, strict=True))})
        rows = _split_rows(together, [held.product.rows for held in bindings])
        if stage.output is not None:
            outputs = map(self._check, repeat(stage), works, rows)
        else:
            outputs = map(_stored, rows, encode_all(rows, statistics=True))
        return dict(zip(partitions, outputs, strict=True))

    def _delivered_rows(
        self, stage: Stage, work: Work, bindings: Sequence[Binding]
    ) -> pl.LazyFrame:
        """The rows of partitions to deliver: as they are, or scored."""
        if stage.model:
            return self._scored(stage, work, bindings)
        source = stage.inputs[0].name
        contract = self._flow[source].output
        assert contract is not None
        return self._frames.of_stage(source, bindings, contract)

    def _delivered(self, stage: Stage, work: Work, rows: pl.DataFrame) -> StepOutput:
        """The output of rows to deliver; with a contract, of those that pass it."""
        if stage.output is not None:
            return self._check(stage, work, rows)
        # Statistics are for readers outside of Tidemill.
        return _stored(rows, encode(rows, statistics=True))

    def predictor(self, artifact: Artifact) -> ModelPredictor:
        """Return the predictor of an artifact, which is loaded once; this run may still be storing it."""
        if artifact.id not in self._loaded:
            self._settle()
            self._loaded[artifact.id] = load_predictor(
                artifact, self._artifacts, self._formats, self._probe
            )
        return self._loaded[artifact.id]

    def _scored(self, stage: Stage, work: Work, bindings: Sequence[Binding]) -> pl.LazyFrame:
        """The rows of partitions to deliver: key columns, predictions, `model`."""
        assert work.artifact is not None
        artifact, model, source = work.artifact, self._flow[stage.model], stage.inputs[0]
        contract = self._flow[source.name].output
        assert contract is not None
        missing = [name for name in artifact.inputs if name not in contract.names]
        if missing:
            advice = did_you_mean(missing[0], contract.names)
            raise step_error(
                stage,
                f"{contract.name} has no column {missing[0]!r} that the model reads ({advice})",
            )
        _require_compatible(artifact, model, [contract])
        declared = source.reads
        over = [n for n in artifact.inputs if declared is not None and n not in declared.columns]
        if over:
            raise step_error(
                stage, f"the live model reads {over[0]!r}, which it doesn't declare ({declared})"
            )
        kept = contract.key or contract.names if stage.output is None else stage.output.names
        needed = [name for name in contract.names if name in {*artifact.inputs, *kept}]
        frames = self._frames.of_stage(source.name, bindings, contract, needed)
        scored = self.predictor(artifact).predict(frames)
        scored = scored.with_columns(pl.lit(artifact.id).alias("model"))
        if stage.output is not None:
            # What it lacks, such as the probability of a class, is reported by the check.
            known = scored.collect_schema()
            return scored.select(name for name in stage.output.names if name in known)
        return scored.select(*kept, *predicted_schema(artifact), "model")

    def _refuse(self, stage: Stage, fitted: object) -> None:
        if not isinstance(fitted, Fitted):
            raise step_error(stage, f"it returned {type(fitted).__name__}, not tm.fitted(...)")
        for fault in guarantee_faults(stage, fitted.inputs):
            raise step_error(stage, f"{fault.message.partition(': ')[2]} ({fault.hint})")
        if fitted.output in fitted.inputs.columns:
            raise step_error(
                stage, f"its label {fitted.output!r} is among the columns that it reads"
            )


# The suffix of the rows on which a model was compared with its export.
GOLDEN = ".golden.parquet"


def model_id(name: str, fitted: Fitted, classes: Sequence[ClassLabel]) -> str:
    """The id of a model's version: the digest of its bytes, of its inputs in order, and of its classes.

    The bytes alone don't say how a model predicts: a booster of unnamed columns is the same in any order.
    """
    encodings = [[e.name, e.kind, list(e.categories), e.unseen] for e in fitted.encodings]
    named = [[type(label).__name__, str(label)] for label in classes]
    return fingerprint("model", name, list(fitted.inputs.columns), encodings, named)[:12]


def _snapshot(inputs: Inputs) -> dict[str, dict[str, str]]:
    return snapshot_of(
        {name: {key: held.product for key, held in bound.items()} for name, bound in inputs.items()}
    )


def _split_rows(together: pl.DataFrame, heights: Sequence[int]) -> list[pl.DataFrame]:
    """Split a frame into consecutive ones of some heights."""
    ends = [*accumulate(heights, initial=0)]
    assert together.height == ends[-1], "the partitions have other rows than their bindings say"
    return [together.slice(at, height) for at, height in zip(ends, heights, strict=False)]


def _stored(rows: pl.DataFrame, payload: bytes) -> StepOutput:
    name = object_name(payload, PARQUET)
    product = Product(content=name, objects=(name,), rows=rows.height, bytes=len(payload))
    return StepOutput(product=product, objects=((payload, PARQUET),))


def _require_compatible(
    artifact: Artifact, model: Stage, contracts: Sequence[ContractSpec | None]
) -> None:
    """Raise ContractError when a model's inputs aren't compatible with those it was trained on."""
    message = incompatibility(artifact, model, contracts)
    if message:
        raise ContractError(message)
