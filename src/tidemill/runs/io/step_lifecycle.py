"""Begin and finish the steps of a run.

`begin` decides whether a step has to run, and on what; the run executes it, here or in another process, and
passes the output to `finish`, which says what to publish. Several steps can be in progress between the two.
What only trials and gates need is imported when there is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

from polars.exceptions import PanicException

from tidemill.core.errors import GateError
from tidemill.delivery.effects import effect_of
from tidemill.ledger.binding import Binding, Product
from tidemill.ledger.event import Attempted, EffectDone, EffectQueued, Event, Published, Removed
from tidemill.ledger.io.process_usage import Stopwatch
from tidemill.ledger.redacted import redacted_attempt
from tidemill.ledger.run import Action, Outcome
from tidemill.planning.plan import Step
from tidemill.reuse.step_key import key_for, reuse_action
from tidemill.runs.io.change_decisions import ChangeDecisions
from tidemill.runs.io.job import Job
from tidemill.runs.io.published_view import PublishedView
from tidemill.runs.io.publisher import Publication
from tidemill.runs.io.run_starters import RunStarters
from tidemill.runs.io.step_inputs import Bound, Skip, StepInputs, contents
from tidemill.runs.io.step_progress import (
    ClaimedElsewhere,
    StepInProgress,
    StepResult,
    bytes_written,
    failed_attempt,
    is_missing,
    new_attempt,
    result_of_failure,
)
from tidemill.runs.io.table_checks import TableChecker
from tidemill.runs.io.trained_source import ModelSources
from tidemill.steps.io.step_runner import StepRunner, describe_failure
from tidemill.steps.step_messages import StepCost, StepFailure, StepOutput, Work
from tidemill.workflow.stage import Kind, Stage

if TYPE_CHECKING:
    from tidemill.runs.io.gate_lifecycle import GateLifecycle
    from tidemill.runs.io.trial_lifecycle import TrialLifecycle


class StepLifecycle:
    """Begins and finishes steps, against what is published so far.

    `claim` returns whether a key is this run's to compute, `governed` whether rules and people let a change
    go on. `cpu_clock` returns the CPU seconds of work in the run's own thread.
    """

    def __init__(
        self,
        job: Job,
        published: PublishedView,
        runner: StepRunner,
        checker: TableChecker,
        claim: Callable[[str], bool],
        governed: ChangeDecisions,
        *,
        cpu_clock: Callable[[], float] = time.process_time,
    ) -> None:
        self._job = job
        self._runner = runner
        self._governed = governed
        self._tools = job.tools
        self._flow = job.flow
        self._recipes = job.recipes
        self._environment = job.plan.environment
        self._run = job.run
        self._at_once = job.at_once
        self._evidence = {model.stage: model.evidence for model in job.plan.models}
        self._published = published
        self._undelivered = [item.effect for item in job.undelivered]
        self._inputs = StepInputs(job, published)
        self._room = runner.data
        self._bench = checker
        self._claim = claim
        self._starters = RunStarters(job.tools.ledger)
        self._cpu_clock = cpu_clock
        self._redact = job.tools.redactor.redact
        stages = [step.stage for step in job.plan.steps]
        self._sources = ModelSources(job.flow, job.recipes, stages, self._redact)

    @cached_property
    def _trials(self) -> TrialLifecycle:
        from tidemill.runs.io.trial_lifecycle import TrialLifecycle

        return TrialLifecycle(self._job, self._published, self._inputs, self._claim)

    @cached_property
    def _gates(self) -> GateLifecycle:
        from tidemill.runs.io.gate_lifecycle import GateLifecycle

        return GateLifecycle(self._job, self._published, self._runner, self._governed)

    def begin(self, steps: Sequence[Step]) -> list[StepInProgress | StepResult]:
        """Prepare steps, unless they are up to date or can't run; their errors are in their attempts.

        What became known since the plan is looked up together, once all keys are claimed.
        """
        all_begun = [self._new(step) for step in steps]
        ends = [self._identify_unless_refused(begun) for begun in all_begun]
        keys = [begun.key for begun in all_begun if begun.claimed]
        traces = cache(partial(self._tools.ledger.traces, keys))
        for at, begun in enumerate(all_begun):
            if ends[at] is None and begun.inputs is not None:
                ends[at] = self._metered(begun, self._prepare, traces)
        return [end or begun for begun, end in zip(all_begun, ends, strict=True)]

    def _new(self, step: Step) -> StepInProgress:
        attempt = new_attempt(step)
        if self._flow[step.stage].kind is Kind.MODEL and step.action in (Action.TRAIN, Action.BIND):
            attempt = replace(attempt, evidence=self._evidence.get(step.stage))
        return StepInProgress(step=step, attempt=attempt)

    def _identify_unless_refused(self, begun: StepInProgress) -> StepResult | None:
        if refusal := self._governed.refusal(begun.step.stage):
            return self._refuse(begun, refusal)
        if begun.step.action in (Action.REMOVE, Action.GATE):
            return None
        return self._metered(begun, self._identify)

    def skip(self, begun: StepInProgress | Step, message: str, exit_code: int = 0) -> StepResult:
        """Skip a step, which doesn't run; what reads its output is skipped too."""
        if isinstance(begun, Step):
            begun = StepInProgress(step=begun, attempt=new_attempt(begun))
        skipped = replace(
            begun.attempt, outcome=Outcome.SKIPPED, message=message, exit_code=exit_code
        )
        return self._recorded(begun, StepResult(attempt=skipped))

    def _refuse(self, begun: StepInProgress, message: str) -> StepResult:
        """Refuse a step because of its contract; what reads its output is skipped."""
        step = begun.step
        attempt = replace(
            begun.attempt,
            outcome=Outcome.REFUSED,
            message=message,
            exit_code=GateError.exit_code,
        )
        self._published.failed[step.stage, step.partition] = message
        return self._recorded(begun, StepResult(attempt=attempt))

    def finish(
        self, begun: StepInProgress, output: StepOutput | StepFailure | None, cost: StepCost
    ) -> StepResult:
        """Check the output of a step, and say what to publish.

        Errors of the step are in its attempt; those of the store are raised.
        """
        begun.add_cost(cost)
        result = self._metered(begun, self._conclude, output)
        assert result is not None
        return result

    def _metered(
        self,
        begun: StepInProgress,
        act: Callable[..., StepResult | None],
        *given: Any,
    ) -> StepResult | None:
        """Return the result of `act` with its cost; an error that it raises becomes the step's result."""
        watch, stage = Stopwatch(self._cpu_clock), self._flow[begun.step.stage]
        try:
            result = act(stage, begun, *given)
        except ClaimedElsewhere as other:
            return StepResult(attempt=None, postponed_for=str(other))
        except Skip as skip:
            skipped = replace(begun.attempt, outcome=Outcome.SKIPPED, message=str(skip))
            result = StepResult(attempt=skipped)
        # One step's failure must not end the run, whatever raised it.
        except (Exception, PanicException) as error:  # noqa: BLE001
            failure = describe_failure(stage, begun.step.partition, error)
            result = StepResult(attempt=failed_attempt(begun.attempt, failure))
        wall, cpu = watch.read()
        begun.add_cost(StepCost(wall_s=wall, cpu_s=cpu))
        return result if result is None or result.attempt is None else self._recorded(begun, result)

    def _recorded(self, begun: StepInProgress, result: StepResult) -> StepResult:
        """The result with its whole cost, and the event that the step was attempted."""
        assert result.attempt is not None
        cost = begun.cost
        attempt = replace(
            result.attempt,
            wall_s=cost.wall_s,
            cpu_s=cost.cpu_s,
            queued_s=cost.queued_s,
            peak_rss=cost.peak_rss,
            worker=cost.worker,
            gpus=self._flow[result.attempt.stage].resources.gpus if cost.worker else 0,
        )
        attempt = redacted_attempt(attempt, self._redact)
        if is_missing(attempt):
            self._published.failed[attempt.stage, attempt.partition] = attempt.message
        event = Attempted(run=self._run, environment=self._environment, attempt=attempt)
        parcel = result.publication or Publication(events=())
        parcel = replace(parcel, events=(event, *parcel.events))
        return replace(result, attempt=attempt, publication=parcel, key=begun.key)

    def _identify(self, stage: Stage, begun: StepInProgress) -> StepResult | None:
        """Find the step's key and claim it; ClaimedElsewhere if another run has it."""
        step, recipe = begun.step, self._recipes[stage.name]
        if step.action is Action.TRIAL:
            return self._trials.prepare(stage, begun)
        self._require_model(stage)
        inputs = self._inputs.resolve(stage, step)
        held = self._published.get(stage.name, step.partition)
        partition = "" if stage.kind is Kind.EVALUATE else step.partition
        begun.step_key = key_for(recipe, partition, contents(inputs))
        if stage.kind is Kind.MODEL:
            begun.step_key = self._inputs.published_key(stage, inputs, held)
        assert begun.step_key.key is not None
        if not step.forced and held is not None and self._is_up_to_date(stage, begun, held):
            return StepResult(attempt=None)
        if stage.kind is Kind.MODEL:
            begun.step_key, begun.parent = self._inputs.continued_key(stage, step, inputs)
        begun.inputs = inputs
        if not step.forced and stage.kind is not Kind.DELIVER:
            self._find_or_claim(stage, begun, held)
        return None

    def _find_or_claim(self, stage: Stage, begun: StepInProgress, held: Binding | None) -> None:
        """Look a result up that was known when the run was planned, or else claim its key."""
        if begun.step.action is Action.BIND:
            self._find_known(stage, begun, held, self._tools.ledger.traces((begun.key,)))
        if begun.known is None:
            if not self._claim(begun.key):
                raise ClaimedElsewhere(begun.key)
            begun.claimed = True

    def _prepare(
        self, stage: Stage, begun: StepInProgress, traces: Callable[[], Mapping[str, Binding]]
    ) -> StepResult | None:
        """Look the step's result up, or put together the work that gives it."""
        step, inputs = begun.step, begun.inputs
        assert inputs is not None
        held = self._published.get(stage.name, step.partition)
        if begun.claimed:
            # Only now: a run that had the key until a moment ago has published its result.
            self._find_known(stage, begun, held, traces())
        if begun.known is None:
            begun.work = self._inputs.work(stage, step, inputs, key=begun.key, parent=begun.parent)
            if held is not None and not step.forced:
                begun.work = self._only_stale_columns(stage, begun, held, inputs)
                begun.origins = held.makers
            if step.needs:
                self._trials.choose_best(stage, begun)
        return None

    def _require_model(self, stage: Stage) -> None:
        """Skip predictions that a promotion never publishes: those of the model that would be replaced."""
        if self._at_once and stage.model in self._governed.kept:
            raise Skip(f"{stage.model} is kept from going live")

    def _only_stale_columns(
        self, stage: Stage, begun: StepInProgress, held: Binding, inputs: Mapping[str, Bound]
    ) -> Work:
        """The work on those columns of a published partition that are stale, where that is possible."""
        work, digests = begun.work, begun.step_key.inputs
        assert work is not None
        columns = self._inputs.stale_columns(stage, held, inputs, digests)
        if not columns or self._room.has_missing(held.product.objects):
            return work
        return replace(work, held=held.product, columns=columns)

    def _is_up_to_date(self, stage: Stage, begun: StepInProgress, held: Binding) -> bool:
        """Whether what is published is the step's result, and its objects are all stored."""
        if held.key != begun.key:
            return False
        reuse = reuse_action(held, self._recipes[stage.name], partition=begun.step.partition)
        return reuse is Action.BIND and not self._room.has_missing(held.product.all_objects)

    def _find_known(
        self,
        stage: Stage,
        begun: StepInProgress,
        held: Binding | None,
        traces: Mapping[str, Binding],
    ) -> None:
        """Find a known result whose objects are all stored; check it again if its checks changed."""
        own = held is not None and held.key == begun.key
        found = held if own else traces.get(begun.key)
        if found is None or self._room.has_missing(found.product.all_objects):
            return
        recipe, begun.origins = self._recipes[stage.name], found.makers
        reuse = reuse_action(found, recipe, partition=begun.step.partition, own=own)
        if reuse is Action.BIND or (reuse is Action.RECHECK and found.check == recipe.check):
            begun.known, begun.reuse = StepOutput(product=found.product), reuse
        elif reuse is Action.RECHECK:
            product = self._room.recheck(stage, begun.step.partition, found)
            if product is not None:
                begun.known, begun.reuse = StepOutput(product=product), reuse

    def _conclude(
        self, stage: Stage, begun: StepInProgress, output: StepOutput | StepFailure | None
    ) -> StepResult:
        if begun.step.action is Action.REMOVE:
            return self._remove(stage, begun)
        if begun.step.action is Action.GATE:
            return self._gates.conclude(stage, begun)
        if output is not None and output.memo is not None:
            begun.attempt = replace(begun.attempt, memo=output.memo)
        if output is not None and output.units:
            begun.attempt = replace(begun.attempt, units=output.units)
        if isinstance(output, StepOutput) and output.fold is not None:
            begun.attempt = replace(begun.attempt, fold=output.fold)
        if begun.step.action is Action.TRIAL:
            return self._trials.conclude(stage, begun, output)
        if isinstance(output, StepFailure):
            return result_of_failure(stage, begun, output)
        made = begun.known or output
        assert made is not None
        if stage.kind is Kind.MODEL and begun.known is None:
            made = self._sources.added_to(made, stage.name)
        return self._publish(stage, begun, made)

    def _publish(self, stage: Stage, begun: StepInProgress, made: StepOutput) -> StepResult:
        """Bind the output of a step to its partition."""
        partition, product = begun.step.partition, made.product
        binding = self._binding(stage, begun, made)
        self._published.add(stage.name, partition, binding)
        events: list[Event] = [
            Published(
                environment=self._environment,
                stage=stage.name,
                partition=partition,
                binding=binding,
            )
        ]
        if stage.kind is Kind.DELIVER:
            events += self._effect_events(stage, partition, product.objects[0])
        attempt = replace(
            begun.attempt,
            rows_out=product.rows,
            quarantined=product.quarantined,
            columns=made.columns,
            **self._reuse_or_sizes(stage, begun, made),
        )
        live = {stage.model: self._published.live[stage.model].id} if stage.model else {}
        publication = Publication(events=tuple(events), objects=made.objects, live=live)
        return StepResult(attempt=attempt, publication=publication)

    def _reuse_or_sizes(
        self, stage: Stage, begun: StepInProgress, made: StepOutput
    ) -> dict[str, Any]:
        """The fields of an attempt that say how a result was reused, or what was read and written."""
        if begun.reuse is Action.BIND:
            return {"outcome": Outcome.BOUND}
        rows, size = self._published.input_size(begun.step)
        written = bytes_written(begun, made)
        is_sent = stage.sink is not None and stage.sink.is_remote
        message = begun.attempt.message, _warnings(stage, made.product)
        return {
            "action": Action.RECHECK if begun.reuse is Action.RECHECK else begun.attempt.action,
            "rows_in": rows,
            "bytes_in": size,
            "bytes_out": written,
            "egress_bytes": written if is_sent else 0,
            "message": "\n".join(filter(None, message)),
        }

    def _binding(self, stage: Stage, begun: StepInProgress, made: StepOutput) -> Binding:
        """The record of what is published; ContractError when a rule about the whole table forbids it."""
        recipe, handed, at = self._recipes[stage.name], begun.step_key, self._tools.clock()
        return Binding(
            key=begun.key,
            inputs=dict(handed.inputs),
            seen={name: dict(seen) for name, seen in handed.short_shares.items()},
            touched=made.touched,
            recipe=recipe.digest,
            contract=stage.output.version if stage.output else "",
            check=recipe.check,
            product=made.product,
            run=self._run,
            at=at,
            verdict=self._bench.check(
                stage,
                begun.step.partition,
                made.product,
                made.objects[0][0] if made.objects else None,
                rules=recipe.table_check,
                at=at,
            ),
            sample=recipe.sample,
            model=stage.model,
            origins=self._origins(begun, made),
        )

    def _origins(self, begun: StepInProgress, made: StepOutput) -> tuple[str, ...]:
        """The runs whose work is in a result, unless it is only that of who started this one."""
        if begun.known is not None:
            return begun.origins
        if not made.columns and not begun.step.needs:
            return ()
        # The partition's other columns, or trials of the search, are from before.
        found = self._starters.one_run_each((self._run, *begun.origins))
        return found if len(found) > 1 else ()

    def _remove(self, stage: Stage, begun: StepInProgress) -> StepResult:
        """Unbind a partition; a delivery is removed from its sink, too."""
        partition, environment = begun.step.partition, self._environment
        self._published.remove(stage.name, partition)
        self._bench.remove(stage, partition)
        events: list[Event] = [
            Removed(environment=environment, stage=stage.name, partition=partition, run=self._run)
        ]
        if stage.kind is Kind.DELIVER:
            events += self._effect_events(stage, partition)
        return StepResult(attempt=begun.attempt, publication=Publication(events=tuple(events)))

    def _effect_events(self, stage: Stage, partition: str, name: str = "") -> Iterator[Event]:
        """Queue the effect on a partition; one that is queued from earlier is given up."""
        at, environment = self._tools.clock(), self._environment
        effect = effect_of(stage, partition, environment, self._run, name, at=at)
        yield EffectQueued(environment=environment, effect=effect)
        for late in self._undelivered:
            if (late.stage, late.partition) == (stage.name, partition):
                detail = {"given up": f"replaced by {effect.key}"}
                yield EffectDone(environment=environment, key=late.key, detail=detail)


def _warnings(stage: Stage, product: Product) -> str:
    """The findings about a model or its evaluation, for the receipt."""
    if stage.kind not in (Kind.MODEL, Kind.EVALUATE) or not product.findings:
        return ""
    return f"{stage.name}: {'; '.join(found.message for found in product.findings)}"
