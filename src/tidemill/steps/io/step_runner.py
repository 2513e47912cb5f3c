"""Run one step from plain data: in the run's own process or in any that can import the workflow.

What only models, gates and folds need is imported when one runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from polars.exceptions import PanicException

from tidemill.contracts.finding import BrokenContract
from tidemill.core.errors import ContractError, StepError, TidemillError
from tidemill.core.partition import WHOLE
from tidemill.costs.io.usage_meter import UsageMeter
from tidemill.history.io.log_recorder import LogRecorder
from tidemill.ledger.binding import Binding
from tidemill.memos.io.lookup import MemoIncomplete, MemoSession
from tidemill.ports.runtime import Runtime
from tidemill.reuse.recipe import Recipe
from tidemill.steps.gate_messages import GateWork
from tidemill.steps.io.data_step import DataStepRunner
from tidemill.steps.io.ingest_reader import IngestReader
from tidemill.steps.step_messages import StepFailure, StepOutput, Work
from tidemill.store.frames import FrameStore
from tidemill.store.profiles import PartitionProfiler
from tidemill.workflow.gate import GateResult
from tidemill.workflow.retry_policy import Retries
from tidemill.workflow.source import SourceFile
from tidemill.workflow.stage import Flow, Kind, Stage
from tidemill.workflow.user_errors import user_error

if TYPE_CHECKING:
    from tidemill.folds.io.partials_cache import FoldSession
    from tidemill.memos.io.segments import SegmentIndex
    from tidemill.steps.io.gate_runner import GateRunner
    from tidemill.steps.io.model_step import ModelStepRunner
    from tidemill.steps.io.trial_step import TrialRunner

# The partition under which the output of gates is recorded.
GATE = "(gate)"


class StepRunner:
    """Runs steps of a workflow; `recorder`, which is open meanwhile, keeps what their code prints and logs.

    `settle` waits until all output so far is durable. `upcoming` are the files that may be read ahead, by
    stage. `memo_shelves` are those of all runners of the process.
    """

    def __init__(  # noqa: PLR0913 - what surrounds steps, in keywords
        self,
        tools: Runtime,
        flow: Flow,
        recipes: Mapping[str, Recipe],
        environment: str,
        recorder: LogRecorder,
        *,
        settle: Callable[[], None] = lambda: None,
        upcoming: Mapping[str, Mapping[str, SourceFile]] | None = None,
        memo_shelves: dict[str, SegmentIndex] | None = None,
    ) -> None:
        self._flow = flow
        self._recipes = recipes
        self.recorder = recorder

        def head(stage: str) -> Mapping[str, Binding]:
            # The heads that the run found can't be read once it has published; what is published stays.
            settle()
            found = tools.ledger.state(environment).heads.get(stage)
            return found.partitions if found else {}

        self._tools = tools
        self._artifacts = tools.artifacts
        self._memos = tools.memos
        self._memo_shelves = {} if memo_shelves is None else memo_shelves
        self._fold_shelves: dict[str, SegmentIndex] = {}
        states = {name: r.code.held_state for name, r in recipes.items() if r.code is not None}
        self.frames = FrameStore(tools.artifacts, settle)
        profiles = PartitionProfiler(tools.artifacts, head)
        self.data = DataStepRunner(
            IngestReader(tools, upcoming or {}),
            self.frames,
            profiles,
            states,
            {name for name, recipe in recipes.items() if recipe.opaque},
        )
        self.settle = settle
        self._unbilled: dict[str, dict[str, float]] = {}

    @cached_property
    def _trainer(self) -> ModelStepRunner:
        tools = self._tools
        made: ModelStepRunner = import_module("tidemill.steps.io.model_step").ModelStepRunner(
            self._flow,
            self.data.frames,
            tools.artifacts,
            tools.formats,
            tools.model_probe,
            self.settle,
            self.data.check_rows,
        )
        return made

    @cached_property
    def _trials(self) -> TrialRunner:
        made: TrialRunner = import_module("tidemill.steps.io.trial_step").TrialRunner(
            self._flow, self.data.frames, self._trainer, self._tools.sampler
        )
        return made

    @cached_property
    def _gates(self) -> GateRunner:
        made: GateRunner = import_module("tidemill.steps.io.gate_runner").GateRunner(
            self._flow, self._tools.root, self._artifacts, self._trainer.predictor
        )
        return made

    def _folder(self, stage: Stage) -> FoldSession | None:
        """What folds the inputs of a step, and of the model that it evaluates; None if nothing does."""
        if stage.kind not in (Kind.MODEL, Kind.EVALUATE) and not any(i.fold for i in stage.frames):
            return None
        made: FoldSession = import_module("tidemill.folds.io.partials_cache").FoldSession(
            self._memos, self.frames, self._fold_shelves
        )
        return made

    def run(self, work: Work) -> StepOutput | StepFailure:
        """Run a step; whatever goes wrong in it becomes its result."""
        stage = self._flow[work.stage]
        if self._recipes[stage.name].digest != work.recipe:
            return StepFailure(
                message=f"{stage.name} does something else in this process", other_code=True
            )
        desk = MemoSession(self._memos, self._memo_shelves)
        folder, meter = self._folder(stage), UsageMeter()
        for unit, count in self._unbilled.pop(stage.name, {}).items():
            meter.add(unit, count)
        try:
            with (
                self.recorder.step(stage.name, work.partition, work.attempt),
                meter.activate(),
                desk.activate(),
            ):
                made = self._make(stage, work, folder)
                used = folder.usage if folder is not None else None
                return replace(made, memo=desk.usage, fold=used, units=meter.units)
        # One step's failure must not end the run, whatever raised it.
        except (Exception, PanicException) as error:  # noqa: BLE001
            if desk.failure and any(isinstance(item, MemoIncomplete) for item in _causes(error)):
                error = _memo_failure(stage, work.partition, desk.failure)
            failure = describe_failure(stage, work.partition, error)
            return replace(failure, memo=desk.usage, units=meter.units)

    def judge(self, work: GateWork) -> GateResult:
        """Evaluate a gate that needs the model, or runs code of the user; what it prints is recorded."""
        with self.recorder.step(work.model, GATE, 1):
            return self._gates.run(work)

    def run_together(self, works: Sequence[Work]) -> list[StepOutput | None]:
        """Run the same step on several partitions at once; None for those that have to run alone.

        All of them have to when something fails, is printed or logged: it belongs to one of them.
        """
        stage, made = self._flow[works[0].stage], dict[str, StepOutput]()
        draft, meter = self.recorder.detector(stage.name), UsageMeter()
        try:
            with draft, meter.activate():
                made = self._make_together(stage, works)
        except (Exception, PanicException):  # noqa: BLE001 - the step that fails reports it when it runs alone
            pass
        if draft.has_output:
            made = {}
        # To which of them it belongs isn't known: each has an equal part, or else the first that runs alone.
        units = meter.units
        if units and made:
            part = {unit: count / len(made) for unit, count in units.items()}
            made = {partition: replace(output, units=part) for partition, output in made.items()}
        elif units:
            self._unbilled[stage.name] = units
        return [made.get(work.partition) for work in works]

    def _make_together(self, stage: Stage, works: Sequence[Work]) -> dict[str, StepOutput]:
        match stage.kind:
            case Kind.INGEST:
                return self.data.ingest_together(stage, works)
            case Kind.DELIVER:
                return self._trainer.deliver_together(stage, works)
            case _:
                return self.data.transform_together(stage, works, self._recipes[stage.name])

    def run_and_store(self, work: Work) -> StepOutput | StepFailure:
        """Run a step and store its objects."""
        gave = self.run(work)
        if isinstance(gave, StepFailure):
            return gave
        try:
            self._artifacts.put_all(gave.objects)
        except TidemillError as error:
            failure = describe_failure(self._flow[work.stage], work.partition, error)
            return replace(failure, memo=gave.memo, units=gave.units)
        return replace(gave, objects=())

    def _make(self, stage: Stage, work: Work, folder: FoldSession | None) -> StepOutput:
        match stage.kind:
            case Kind.INGEST:
                return self.data.ingest(stage, work)
            case Kind.TRANSFORM:
                return self.data.transform(stage, work, self._recipes[stage.name].reads, folder)
            case Kind.MODEL if work.trial is not None:
                return self._trials.run(stage, work, folder)
            case Kind.MODEL:
                return self._trainer.train(stage, work, folder)
            case Kind.EVALUATE if work.windows:
                return self._trainer.backtest(stage, work, folder)
            case Kind.EVALUATE:
                return self._trainer.evaluate(stage, work, folder)
            case Kind.DELIVER:
                return self._trainer.deliver(stage, work)


def describe_failure(stage: Stage, partition: str, error: BaseException) -> StepFailure:
    """Describe as data what went wrong in a step."""
    ours = error if isinstance(error, TidemillError) else user_error(stage, partition, error)
    return StepFailure(
        message=str(ours),
        trace=ours.trace if isinstance(ours, StepError) else "",
        exit_code=ours.exit_code,
        transient=is_transient(error, stage.retries),
        findings=error.findings if isinstance(error, BrokenContract) else (),
    )


def _memo_failure(stage: Stage, partition: str, failure: MemoIncomplete) -> StepError:
    """The failure of a memo as the user should see it, not as Polars wraps it."""
    cause = failure.__cause__
    place = "" if partition == WHOLE else f" {partition}"
    trace = user_error(stage, partition, cause).trace if cause is not None else ""
    error = StepError(
        f"{stage.name}{place}: {failure}", stage=stage.name, partition=partition, trace=trace
    )
    error.__cause__ = cause
    return error


def is_transient(error: BaseException, retries: Retries) -> bool:
    """Return whether an error, or one of its causes, is of a kind that is retried."""
    if isinstance(error, ContractError):
        return False
    return any(isinstance(cause, retries.on) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
