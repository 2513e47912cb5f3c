"""Make what a step gives, out of data alone: in the run's own process or in any that has the workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from polars.exceptions import PanicException

from tidemill.act.failing import failed
from tidemill.act.frames import PARQUET, encode
from tidemill.act.modeling import Trainer
from tidemill.act.work import Objects, Workroom
from tidemill.decide.models import BASELINE
from tidemill.decide.recipe import Recipe
from tidemill.domain.binding import Binding, Product
from tidemill.domain.errors import ContractError, StepError, TidemillError
from tidemill.domain.fingerprint import object_name
from tidemill.domain.model import Artifact
from tidemill.domain.resources import Retries
from tidemill.domain.ruling import Ruling
from tidemill.domain.source import SourceFile
from tidemill.domain.stage import Flow, Kind, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """All that it takes to make what a step gives.

    `recipe` names what the stage did when the step was planned. `inputs` are partitions by stage,
    `files` those of an ingest, `artifact` the model that is scored, or delivered with.
    """

    stage: str
    partition: str
    recipe: str
    subject: str = ""
    inputs: Mapping[str, Mapping[str, Binding]] = field(default_factory=dict)
    files: Mapping[str, SourceFile] = field(default_factory=dict)
    rulings: tuple[Ruling, ...] = ()
    artifact: Artifact | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Why nothing was made: in words, the user's own frames, and whether to try again makes sense."""

    message: str
    trace: str = ""
    exit_code: int = 1
    transient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a step gave, what else its code reached for, and the bytes of objects that aren't stored."""

    product: Product
    touched: tuple[str, ...] = ()
    objects: Objects = ()


class Workshop:
    """Makes what steps of a workflow give."""

    def __init__(
        self, flow: Flow, recipes: Mapping[str, Recipe], room: Workroom, trainer: Trainer
    ) -> None:
        self._flow = flow
        self._recipes = recipes
        self._room = room
        self._trainer = trainer

    def make(self, work: Work) -> Made | Failed:
        """Do the work; whatever goes wrong in it is what became of it."""
        stage = self._flow[work.stage]
        try:
            self._refuse_changed(stage, work)
            return self._make(stage, work)
        # One step's failure must not take the rest of the run along, whatever raised it.
        except (Exception, PanicException) as error:  # noqa: BLE001
            return told(stage, work.partition, error)

    def _refuse_changed(self, stage: Stage, work: Work) -> None:
        if self._recipes[stage.name].digest != work.recipe:
            raise StepError(
                f"{stage.name} isn't what it was when this run was planned ({stage.place}): its code "
                "was edited meanwhile; run again",
                stage=stage.name,
                partition=work.partition,
            )

    def _make(self, stage: Stage, work: Work) -> Made:
        inputs = {name: tuple(bound.values()) for name, bound in work.inputs.items()}
        match stage.kind:
            case Kind.INGEST:
                product, objects = self._room.ingest(
                    stage, work.partition, work.files, work.rulings
                )
            case Kind.TRANSFORM:
                reads = self._recipes[stage.name].reads
                product, objects, touched = self._room.transform(
                    stage, work.partition, inputs, reads, work.rulings
                )
                return Made(product=product, objects=objects, touched=touched)
            case Kind.MODEL:
                product, objects = self._trainer.train(stage, work.inputs, work.recipe)
            case Kind.EVALUATE:
                return Made(product=self._evaluate(stage, work))
            case Kind.DELIVER:
                product, objects = self._deliver(stage, work)
        return Made(product=product, objects=objects)

    def _evaluate(self, stage: Stage, work: Work) -> Product:
        assert work.artifact is not None
        model = next(self._flow[item.name] for item in stage.inputs if item.contract is None)
        frames = {name: items for name, items in work.inputs.items() if name != model.name}
        trivial = work.subject == BASELINE
        return self._trainer.evaluate(stage, model, frames, work.artifact, trivial)

    def _deliver(self, stage: Stage, work: Work) -> tuple[Product, Objects]:
        assert work.artifact is not None
        source = self._flow[stage.inputs[0].name]
        assert source.output is not None
        [binding] = work.inputs[source.name].values()
        scored = self._trainer.score(
            stage, work.partition, binding, source.output, self._flow[stage.model], work.artifact
        )
        # Who reads delivered files, and how, isn't ours to know.
        payload = encode(scored, statistics=True)
        name = object_name(payload, PARQUET)
        product = Product(content=name, objects=(name,), rows=scored.height, bytes=len(payload))
        return product, ((payload, PARQUET),)


def told(stage: Stage, partition: str, error: BaseException) -> Failed:
    """What went wrong in a step, as data."""
    ours = error if isinstance(error, TidemillError) else failed(stage, partition, error)
    return Failed(
        message=str(ours),
        trace=ours.trace if isinstance(ours, StepError) else "",
        exit_code=ours.exit_code,
        transient=transient(error, stage.retries),
    )


def transient(error: BaseException, retries: Retries) -> bool:
    """Whether an error, or one that it was raised from, is of a kind that is tried again."""
    if isinstance(error, ContractError):
        return False
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, retries.on):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False


def lean(work: Work) -> Work:
    """The same work, without what only the record of its inputs is for."""
    inputs = {
        name: {key: replace(held, inputs={}, seen={}, verdict=None) for key, held in bound.items()}
        for name, bound in work.inputs.items()
    }
    return replace(work, inputs=inputs)
