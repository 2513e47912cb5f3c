"""Make what a step gives, out of data alone: in the run's own process or in any that has the workflow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from polars.exceptions import PanicException

from tidemill.core.errors import ContractError, StepError, TidemillError
from tidemill.core.fingerprint import object_name
from tidemill.core.partition import WHOLE
from tidemill.folds.io.partials_cache import Folder
from tidemill.history.io.log_recorder import Recorder
from tidemill.ledger.binding import Binding, Product
from tidemill.memos.io.lookup import Desk, Unanswered
from tidemill.memos.io.segments import Shelf
from tidemill.models.gates import BASELINE
from tidemill.ports.runtime import Tools
from tidemill.reuse.recipe import Recipe
from tidemill.steps.io.data_step import Workroom
from tidemill.steps.io.ingest_reader import Intake
from tidemill.steps.io.model_step import Trainer
from tidemill.steps.step_messages import Again, Failed, Made, Objects, Work
from tidemill.store.frames import PARQUET, Frames, encode
from tidemill.store.profiles import Profiles
from tidemill.workflow.retry_policy import Retries
from tidemill.workflow.source import SourceFile
from tidemill.workflow.stage import Flow, Kind, Stage
from tidemill.workflow.user_errors import failed


class Workshop:
    """Makes what steps of a workflow give; what their code says goes to the `recorder`, which is open then.

    `settle` waits until all that was made so far is durable, `coming` are the files that an intake may
    read ahead.
    """

    def __init__(
        self,
        tools: Tools,
        flow: Flow,
        recipes: Mapping[str, Recipe],
        environment: str,
        recorder: Recorder,
        *,
        settle: Callable[[], None] = lambda: None,
        coming: Mapping[str, Mapping[str, SourceFile]] | None = None,
    ) -> None:
        self._flow = flow
        self._recipes = recipes
        self.recorder = recorder

        def head(stage: str) -> Mapping[str, Binding]:
            # What the run found can't be read any more; what is published now doesn't move any more.
            settle()
            found = tools.ledger.state(environment).heads.get(stage)
            return found.partitions if found else {}

        self._artifacts = tools.artifacts
        self._memos = tools.memos
        self._shelves: dict[str, Shelf] = {}
        states = {name: r.code.state for name, r in recipes.items() if r.code is not None}
        self.frames = Frames(tools.artifacts, settle)
        profiles = Profiles(tools.artifacts, head)
        self._folder = Folder(tools.memos, self.frames)
        self.room = Workroom(
            Intake(tools, coming or {}), self.frames, profiles, self._folder, states
        )
        self._trainer = Trainer(self.room, tools.artifacts, tools.formats, settle)

    def make(self, work: Work) -> Made | Failed:
        """Do the work; whatever goes wrong in it is what became of it."""
        stage = self._flow[work.stage]
        if self._recipes[stage.name].digest != work.recipe:
            return Failed(message=f"{stage.name} does something else in this process", unlike=True)
        desk = Desk(self._memos, self._shelves)
        self._folder.usage = None
        try:
            with self.recorder.step(stage.name, work.partition, work.number), desk.open():
                made = self._make(stage, work)
                return replace(made, memo=desk.usage, fold=self._folder.usage)
        # One step's failure must not take the rest of the run along, whatever raised it.
        except (Exception, PanicException) as error:  # noqa: BLE001
            if desk.failure and any(isinstance(item, Unanswered) for item in _causes(error)):
                error = _unanswered(stage, work.partition, desk.failure)
            return replace(told(stage, work.partition, error), memo=desk.usage)

    def make_together(self, works: Sequence[Work]) -> list[Made | None]:
        """Do the same work on many partitions of a stage at once; None for those that have to be made alone.

        These are all where something goes wrong, or is printed or logged: of each alone it is told then.
        """
        stage, made = self._flow[works[0].stage], dict[str, Made]()
        draft = self.recorder.draft(stage.name)
        try:
            with draft:
                made = self._made_together(stage, works)
        except (Exception, PanicException):  # noqa: BLE001 - the one that raised is told when it is alone
            pass
        return [None if draft.said else made.get(work.partition) for work in works]

    def _made_together(self, stage: Stage, works: Sequence[Work]) -> dict[str, Made]:
        recipe = self._recipes[stage.name]
        if stage.kind is Kind.INGEST:
            read = self.room.ingest_together(stage, {work.partition: work.files for work in works})
            return {key: Made(product=made[0], objects=made[1]) for key, made in read.items()}
        inputs = {work.partition: work.inputs for work in works}
        least = recipe.least or 0
        if works[0].held is None:
            found = self.room.together(stage, inputs, recipe.reads, least)
            return {
                partition: Made(product=product, objects=objects, touched=touched)
                for partition, (product, objects, touched) in found.items()
            }
        again = [_again(stage, work) for work in works]
        renewed = self.room.columns_together(again, inputs, recipe.reads, least)
        return {
            partition: Made(product=product, objects=objects, columns=works[0].columns)
            for partition, (product, objects) in renewed.items()
        }

    def store(self, work: Work) -> Made | Failed:
        """Do the work, and store what it gave."""
        gave = self.make(work)
        if isinstance(gave, Failed):
            return gave
        try:
            self._artifacts.put_all(gave.objects)
        except TidemillError as error:
            return replace(told(self._flow[work.stage], work.partition, error), memo=gave.memo)
        return replace(gave, objects=())

    def _make(self, stage: Stage, work: Work) -> Made:
        match stage.kind:
            case Kind.INGEST:
                product, objects = self.room.ingest(stage, work.partition, work.files, work.rulings)
            case Kind.TRANSFORM:
                reads = self._recipes[stage.name].reads
                if work.held is not None:
                    found = self.room.columns(_again(stage, work), work.inputs, reads)
                    if found is not None:
                        product, objects = found
                        return Made(product=product, objects=objects, columns=work.columns)
                product, objects, touched = self.room.transform(
                    stage, work.partition, work.inputs, reads, work.rulings
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


def _again(stage: Stage, work: Work) -> Again:
    assert work.held is not None
    return Again(stage=stage, partition=work.partition, held=work.held, columns=work.columns)


def told(stage: Stage, partition: str, error: BaseException) -> Failed:
    """What went wrong in a step, as data."""
    ours = error if isinstance(error, TidemillError) else failed(stage, partition, error)
    return Failed(
        message=str(ours),
        trace=ours.trace if isinstance(ours, StepError) else "",
        exit_code=ours.exit_code,
        transient=transient(error, stage.retries),
    )


def _unanswered(stage: Stage, partition: str, failure: Unanswered) -> StepError:
    """What a memo failed at as it was, and not as Polars passed it on."""
    cause = failure.__cause__
    place = "" if partition == WHOLE else f" {partition}"
    trace = failed(stage, partition, cause).trace if cause is not None else ""
    error = StepError(
        f"{stage.name}{place}: {failure}", stage=stage.name, partition=partition, trace=trace
    )
    error.__cause__ = cause
    return error


def transient(error: BaseException, retries: Retries) -> bool:
    """Whether an error, or one that it was raised from, is of a kind that is tried again."""
    if isinstance(error, ContractError):
        return False
    return any(isinstance(cause, retries.on) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it was raised from."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
