"""What comes before a step is made and after: is it needed, is it known, with what, and what came of it.

`begin` finds out what a step is to be made of; whoever makes it, here or in another process, hands what
that gave to `finish`. Several steps can be at work between the two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from polars.exceptions import PanicException

from tidemill.contracts.row_ruling import Ruling
from tidemill.core.errors import GateError
from tidemill.core.partition import WHOLE
from tidemill.delivery.effects import effect_of
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Attempted, EffectQueued, Event, Published, Removed
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.models.gates import LIVE
from tidemill.planning.data_stages import FILES
from tidemill.planning.plan import Step
from tidemill.ports.execution import Fate
from tidemill.quarantine.ruling_input import contents_of
from tidemill.reuse.contents import RULINGS, Contents
from tidemill.reuse.stale_columns import columns_anew
from tidemill.reuse.step_key import Handed, key_for, reuse_of
from tidemill.runs.io.gate_step import pass_gates
from tidemill.runs.io.job import Job
from tidemill.runs.io.meter import Meter
from tidemill.runs.io.published_view import Holdings
from tidemill.runs.io.publisher import Parcel
from tidemill.runs.io.table_checks import Bench
from tidemill.steps.io.step_runner import Workshop, told
from tidemill.steps.step_messages import Failed, Made, Work
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Kind, Stage

# What an input hands a step, by partition; of files, models and rulings what names their content.
Bound: TypeAlias = "Mapping[str, Binding | str]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the work on a step took, and which other process did it; seconds and bytes."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    queued_s: float = 0.0
    peak_rss: int = 0
    worker: str = ""


@dataclass(slots=True, kw_only=True)
class Begun:
    """A step that is at work. There is nothing to be made when it has no `work`: finish it.

    `made` is what is known to come out, and `how` it is known: BIND as it is, RECHECK judged anew.
    `deaths` counts the tries at it whose process died.
    """

    step: Step
    attempt: Attempt
    handed: Handed = field(default_factory=lambda: Handed(key="", inputs={}, shares={}))
    work: Work | None = None
    made: Made | None = None
    how: Action | None = None
    deaths: int = 0

    @property
    def key(self) -> str:
        """The key that the step has claimed, if it has."""
        return self.handed.key or ""

    def spend(self, spent: Spent) -> None:
        """Add what some of the work on the step took."""
        now = self.attempt
        self.attempt = replace(
            now,
            wall_s=now.wall_s + spent.wall_s,
            cpu_s=now.cpu_s + spent.cpu_s,
            queued_s=spent.queued_s or now.queued_s,
            peak_rss=spent.peak_rss or now.peak_rss,
            worker=spent.worker or now.worker,
        )

    def again(self) -> Begun:
        """The same step before its next try."""
        attempt = _attempt(self.step, self.attempt.number + 1)
        work = None if self.work is None else replace(self.work, number=attempt.number)
        return replace(self, attempt=attempt, work=work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a step: its attempt (none when it turned out current) and what is to be published.

    `key` is what it had claimed. `put_off` is the key that another run is at work on: nothing became of
    the step yet. `again_s`: it failed, and is to be tried again after so many seconds.
    """

    attempt: Attempt | None
    parcel: Parcel | None = None
    key: str = ""
    put_off: str = ""
    again_s: float | None = None


class Skip(Exception):
    """The step can't run because something that it needs isn't there; not a failure of its own."""


class _Claimed(Exception):
    """Another run is at work on the step's key."""


class Steps:
    """Begins and finishes steps, against what is published so far.

    `claim` says whether a key is ours to work on, `clock` tells what the work here takes in CPU seconds.
    """

    clock: Callable[[], float] = staticmethod(time.process_time)

    def __init__(
        self,
        job: Job,
        holdings: Holdings,
        shop: Workshop,
        bench: Bench,
        claim: Callable[[str], bool],
    ) -> None:
        self._tools = job.tools
        self._flow = job.flow
        self._recipes = job.recipes
        self._plan = job.plan
        self._run = job.run
        self._rulings = job.state.rulings
        self._before = job.state.recipes
        self._holdings = holdings
        self._room = shop.room
        self._bench = bench
        self._claim = claim

    def begin(self, step: Step) -> Done | Begun:
        """Find out what a step is to be made of, if it isn't known; errors of it are in its attempt."""
        begun = Begun(step=step, attempt=_attempt(step))
        if step.action in (Action.REMOVE, Action.GATE):
            return begun
        return self._tried(begun, lambda: self._prepare(self._flow[step.stage], begun))

    def finish(self, begun: Begun, gave: Made | Failed | None, spent: Spent) -> Done:
        """Judge what making a step gave, for so much, and say what is to be published.

        Errors of the step are in its attempt; those of the store are raised.
        """
        begun.spend(spent)
        done = self._tried(begun, lambda: self._conclude(self._flow[begun.step.stage], begun, gave))
        assert isinstance(done, Done)
        return done

    def _tried(self, begun: Begun, act: Callable[[], Done | Begun]) -> Done | Begun:
        """What `act` gives, metered; what it raises is what became of the step."""
        meter, step = Meter(self.clock), begun.step
        try:
            done = act()
        except _Claimed as other:
            return Done(attempt=None, put_off=str(other))
        except Skip as skip:
            done = Done(attempt=replace(begun.attempt, outcome=Outcome.SKIPPED, message=str(skip)))
        # One step's failure must not take the rest of the run along, whatever raised it.
        except (Exception, PanicException) as error:  # noqa: BLE001
            why = told(self._flow[step.stage], step.partition, error)
            done = Done(attempt=_failed(begun.attempt, why))
        wall, cpu = meter.read()
        begun.spend(Spent(wall_s=wall, cpu_s=cpu))
        return done if isinstance(done, Begun) else self._recorded(begun, done)

    def _recorded(self, begun: Begun, done: Done) -> Done:
        if done.attempt is None:
            return done
        spent = begun.attempt
        attempt = replace(
            done.attempt,
            wall_s=spent.wall_s,
            cpu_s=spent.cpu_s,
            queued_s=spent.queued_s,
            peak_rss=spent.peak_rss,
            worker=spent.worker,
        )
        if attempt.outcome in (Outcome.FAILED, Outcome.SKIPPED):
            self._holdings.failed[attempt.stage, attempt.partition] = attempt.message
        event = Attempted(run=self._run, environment=self._plan.environment, attempt=attempt)
        parcel = done.parcel or Parcel(events=())
        parcel = replace(parcel, events=(event, *parcel.events))
        return replace(done, attempt=attempt, parcel=parcel, key=begun.key)

    def _prepare(self, stage: Stage, begun: Begun) -> Done | Begun:
        step, recipe = begun.step, self._recipes[stage.name]
        inputs = self._inputs(stage, step)
        partition = "" if stage.kind is Kind.EVALUATE else step.partition
        handed = key_for(recipe, partition, _contents(inputs))
        assert handed.key is not None
        begun.handed = handed
        held = self._holdings.get(stage.name, step.partition)
        same = not step.forced and held is not None and held.key == handed.key
        if same and held is not None and reuse_of(held, recipe) is Action.BIND:
            return Done(attempt=None)
        if not step.forced:
            self._know_or_claim(stage, begun, held)
        if begun.made is None:
            begun.work = self._work(stage, step, inputs)
            if held is not None and not step.forced:
                begun.work = self._narrowed(stage, begun.work, held, inputs)
        return begun

    def _narrowed(
        self, stage: Stage, work: Work, held: Binding, inputs: Mapping[str, Bound]
    ) -> Work:
        """The work, of only some columns where the others can stay as they are."""
        before, recipe = self._before.get(stage.name, {}), self._recipes[stage.name]
        found = {name: self._found(name, bound) for name, bound in inputs.items()}
        columns = columns_anew(stage, recipe, before, held, _contents(inputs), _contents(found))
        if not columns or self._room.missing(held.product.objects):
            return work
        return replace(work, held=held.product, columns=columns)

    def _found(self, name: str, bound: Bound) -> Bound:
        """What an input was in these partitions when the run began."""
        was = {
            key: item if isinstance(item, str) else self._holdings.found(name, key)
            for key, item in bound.items()
        }
        return {key: item for key, item in was.items() if item is not None}

    def _conclude(self, stage: Stage, begun: Begun, gave: Made | Failed | None) -> Done:
        step = begun.step
        if step.action is Action.REMOVE:
            return self._remove(stage, step, begun.attempt)
        if step.action is Action.GATE:
            return self._gate(stage, step, begun.attempt)
        if gave is not None and gave.memo is not None:
            begun.attempt = replace(begun.attempt, memo=gave.memo)
        if isinstance(gave, Made) and gave.fold is not None:
            begun.attempt = replace(begun.attempt, fold=gave.fold)
        if isinstance(gave, Failed):
            return _fallen(stage, begun, gave)
        made, recipe, at = begun.made or gave, self._recipes[stage.name], self._tools.clock()
        assert made is not None
        handed = begun.handed
        binding = Binding(
            key=begun.key,
            inputs=dict(handed.inputs),
            seen={name: dict(seen) for name, seen in handed.seen.items()},
            touched=made.touched,
            recipe=recipe.digest,
            contract=stage.output.version if stage.output else "",
            check=recipe.check,
            product=made.product,
            run=self._run,
            at=at,
            verdict=self._bench.verdict(
                stage,
                step.partition,
                made.product,
                made.objects[0][0] if made.objects else None,
                rules=recipe.wider,
                at=at,
            ),
            sample=recipe.sample,
        )
        return self._publish(stage, begun, binding, made)

    def _publish(self, stage: Stage, begun: Begun, binding: Binding, made: Made) -> Done:
        step, attempt, environment = begun.step, begun.attempt, self._plan.environment
        self._holdings.bind(stage.name, step.partition, binding)
        events: list[Event] = [
            Published(
                environment=environment,
                stage=stage.name,
                partition=step.partition,
                binding=binding,
            )
        ]
        product = made.product
        if begun.how is Action.BIND:
            attempt = replace(attempt, outcome=Outcome.BOUND)
        else:
            if begun.how is Action.RECHECK:
                attempt = replace(attempt, action=Action.RECHECK)
            rows, size = self._read(step)
            attempt = replace(attempt, rows_in=rows, bytes_in=size, bytes_out=_written(begun, made))
        if stage.kind is Kind.DELIVER:
            effect = effect_of(stage, step.partition, environment, self._run, product.objects[0])
            events.append(EffectQueued(environment=environment, effect=effect))
        attempt = replace(
            attempt,
            rows_out=product.rows,
            quarantined=product.quarantined,
            columns=made.columns,
        )
        return Done(attempt=attempt, parcel=Parcel(events=tuple(events), objects=made.objects))

    def _read(self, step: Step) -> tuple[int, int]:
        """Rows and bytes that a step was handed."""
        products = [
            binding.product
            for name, keys in step.reads.items()
            for key in keys
            if (binding := self._holdings.get(name, key)) is not None
        ]
        if not products:
            return step.rows, step.bytes
        return sum(p.rows for p in products), sum(p.bytes for p in products)

    def _know_or_claim(self, stage: Stage, begun: Begun, held: Binding | None) -> None:
        """Find what is known to come out; what isn't is ours to make, or another run's."""
        if stage.kind is Kind.DELIVER:
            return
        if begun.step.action is Action.BIND:
            self._know(stage, begun, held)
        if begun.made is None:
            if not self._claim(begun.key):
                raise _Claimed(begun.key)
            # Only now: whoever had the key until a moment ago has published what it stands for.
            self._know(stage, begun, held)

    def _know(self, stage: Stage, begun: Begun, held: Binding | None) -> None:
        """Find what is known to come out, if all of it is still there; judged again where it must be."""
        own = held is not None and held.key == begun.key
        found = held if own else self._tools.ledger.traces((begun.key,)).get(begun.key)
        if found is None or self._room.missing(found.product.pins):
            return
        recipe = self._recipes[stage.name]
        how = reuse_of(found, recipe, own=own)
        if how is Action.BIND or (how is Action.RECHECK and found.check == recipe.check):
            begun.made, begun.how = Made(product=found.product), how
        elif how is Action.RECHECK:
            product = self._room.recheck(stage, begun.step.partition, found)
            if product is not None:
                begun.made, begun.how = Made(product=product), how

    def _inputs(self, stage: Stage, step: Step) -> dict[str, dict[str, Binding | str]]:
        """What each input hands the step: bindings, or for files and models the digest that names them."""
        if stage.refers:
            failed = {name for name, _ in self._holdings.failed}.intersection(stage.refers.values())
            for name in sorted(failed):
                raise Skip(f"{name}, which it refers to, is missing: see its own line")
        found: dict[str, dict[str, Binding | str]] = {}
        for name, keys in step.reads.items():
            found[name] = {}
            for key in keys:
                if (name, key) in self._holdings.failed:
                    raise Skip(
                        f"{name}{'' if key == WHOLE else f' {key}'} is missing: see its own line"
                    )
                found[name][key] = self._handed(stage, step, name, key)
        return found

    def _handed(self, stage: Stage, step: Step, name: str, key: str) -> Binding | str:
        if name == RULINGS:
            return contents_of(self._ruled(step))[key]
        if stage.kind is Kind.INGEST and name == FILES:
            return self._plan.sources[stage.name][key].digest
        if stage.kind is Kind.EVALUATE and self._flow[name].kind is Kind.MODEL:
            return self._artifact(name, step.subject).object
        binding = self._holdings.get(name, key)
        if binding is None:
            raise Skip(f"{name} {key} was not published")
        return binding

    def _ruled(self, step: Step) -> tuple[Ruling, ...]:
        """The rulings that the step's key has."""
        return self._rulings.get(step.stage, {}).get(step.partition, ())

    def _artifact(self, model: str, subject: str) -> Artifact:
        if subject == LIVE:
            return self._holdings.live[model]
        binding = self._holdings.get(model, WHOLE)
        if binding is None or binding.product.artifact is None:
            raise Skip(f"{model} has no artifact")
        return binding.product.artifact

    def _work(self, stage: Stage, step: Step, inputs: Mapping[str, Bound]) -> Work:
        artifact = None
        if stage.kind is Kind.EVALUATE:
            model = next(item.name for item in stage.inputs if item.contract is None)
            artifact = self._artifact(model, step.subject)
        elif stage.kind is Kind.DELIVER:
            artifact = self._holdings.live.get(stage.model)
            if artifact is None:
                raise Skip(f"{stage.model} has no approved model")
        seen = self._plan.sources.get(stage.name, {}) if stage.kind is Kind.INGEST else {}
        return Work(
            stage=stage.name,
            partition=step.partition,
            recipe=self._recipes[stage.name].digest,
            subject=step.subject,
            inputs={
                name: {key: item for key, item in items.items() if isinstance(item, Binding)}
                for name, items in inputs.items()
            },
            files={path: seen[path] for path in inputs.get(FILES, ())} if seen else {},
            rulings=self._ruled(step),
            artifact=artifact,
        )

    def _remove(self, stage: Stage, step: Step, attempt: Attempt) -> Done:
        environment = self._plan.environment
        self._holdings.remove(stage.name, step.partition)
        self._bench.removed(stage, step.partition)
        gone = Removed(
            environment=environment, stage=stage.name, partition=step.partition, run=self._run
        )
        events: tuple[Event, ...] = (gone,)
        if stage.kind is Kind.DELIVER:
            effect = effect_of(stage, step.partition, environment, self._run)
            events = (gone, EffectQueued(environment=environment, effect=effect))
        return Done(attempt=attempt, parcel=Parcel(events=events))

    def _gate(self, stage: Stage, step: Step, attempt: Attempt) -> Done:
        evaluation = self._flow[next(iter(step.reads))]
        needed = [(stage.name, WHOLE), *((evaluation.name, s) for s in step.reads[evaluation.name])]
        for name, key in needed:
            if (name, key) in self._holdings.failed:
                raise Skip(f"{name} of the candidate is missing: see its own line")
        recipe = self._recipes[evaluation.name].digest
        # A live model that can't be fed what the candidate is fed isn't compared with it.
        beside = LIVE in step.reads[evaluation.name]
        now = self._tools.clock()
        verdict = pass_gates(stage, evaluation, recipe, self._holdings, now, beside=beside)
        if verdict is None:
            return Done(attempt=None)
        events = verdict.events(self._plan.environment, stage.name, evaluation.name)
        attempt = replace(
            attempt,
            outcome=Outcome.OK if verdict.decision.approved else Outcome.REFUSED,
            message=verdict.message,
            exit_code=0 if verdict.decision.approved else GateError.exit_code,
        )
        return Done(attempt=attempt, parcel=Parcel(events=events))


def _attempt(step: Step, number: int = 1) -> Attempt:
    return Attempt(
        stage=step.stage,
        partition=step.partition,
        action=step.action,
        outcome=Outcome.OK,
        reasons=step.reasons,
        number=number,
    )


def _fallen(stage: Stage, begun: Begun, why: Failed) -> Done:
    """What becomes of a step when making it failed: it is tried again, or that was it."""
    died = why.fate == Fate.LOST
    begun.deaths += died
    again_s = stage.retries.again_s(
        begun.attempt.number, transient=why.transient, deaths=begun.deaths if died else 0
    )
    attempt = _failed(begun.attempt, why)
    if again_s is not None:
        attempt = replace(attempt, outcome=Outcome.RETRIED, exit_code=0)
    return Done(attempt=attempt, again_s=again_s)


def _failed(attempt: Attempt, why: Failed) -> Attempt:
    """The attempt with what went wrong, where."""
    text = why.message
    if not text.startswith(attempt.stage):
        place = "" if attempt.partition == WHOLE else f" {attempt.partition}"
        text = f"{attempt.stage}{place}: {text}"
    refused = why.exit_code == GateError.exit_code
    return replace(
        attempt,
        outcome=Outcome.REFUSED if refused else Outcome.FAILED,
        message=text,
        trace=why.trace,
        exit_code=why.exit_code,
        fate=why.fate,
    )


def _written(begun: Begun, made: Made) -> int:
    """The bytes of what a step made; where that was some columns, without those that were there."""
    if not made.columns or begun.work is None or begun.work.held is None:
        return made.product.bytes
    there = begun.work.held.objects
    return sum(part.bytes for part in made.product.parts if part.object not in there)


def _contents(inputs: Mapping[str, Bound]) -> dict[str, Contents]:
    return {
        name: {key: item if isinstance(item, str) else item.product for key, item in bound.items()}
        for name, bound in inputs.items()
    }
