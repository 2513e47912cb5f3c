"""Execute the steps of a plan one by one: skip what turned out current, bind what is known, else work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from polars.exceptions import PanicException

from tidemill.act.bench import Bench
from tidemill.act.deliver import effect_of
from tidemill.act.failing import failed
from tidemill.act.frames import PARQUET, Frames, encode
from tidemill.act.gates import pass_gates
from tidemill.act.intake import Intake, is_apart
from tidemill.act.job import Job
from tidemill.act.modeling import Trainer
from tidemill.act.profiling import Profiles
from tidemill.act.publish import Parcel
from tidemill.act.tenure import Holdings, Meter
from tidemill.act.work import Objects, Workroom
from tidemill.decide.changes import FILES
from tidemill.decide.contents import RULINGS, Contents
from tidemill.decide.models import BASELINE, LIVE
from tidemill.decide.reuse import key_for, reuse_of
from tidemill.decide.rulings import contents_of
from tidemill.domain.binding import Binding, Product
from tidemill.domain.errors import GateError, StepError, TidemillError
from tidemill.domain.event import (
    Attempted,
    EffectQueued,
    Event,
    Published,
    Removed,
)
from tidemill.domain.fingerprint import object_name
from tidemill.domain.model import Artifact
from tidemill.domain.partition import WHOLE
from tidemill.domain.plan import Action, Step
from tidemill.domain.ruling import Ruling
from tidemill.domain.run import Attempt, Outcome
from tidemill.domain.source import SourceFile
from tidemill.domain.stage import Kind, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a step: its attempt (none when it turned out current) and what is to be published.

    `put_off` is the key that another run is at work on: nothing became of the step yet.
    """

    attempt: Attempt | None
    parcel: Parcel | None = None
    put_off: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """What a step gave: its product, the bytes of its objects, and events besides the publication."""

    product: Product
    objects: Objects = ()
    events: tuple[Event, ...] = ()
    touched: tuple[str, ...] = ()
    bound: bool = False
    rechecked: bool = False


class Skip(Exception):
    """The step can't run because something that it needs isn't there; not a failure of its own."""


class _Claimed(Exception):
    """Another run is at work on the step's key."""


def _failed(attempt: Attempt, error: TidemillError) -> Attempt:
    """The attempt with what went wrong, where."""
    text = str(error)
    if not text.startswith(attempt.stage):
        place = "" if attempt.partition == WHOLE else f" {attempt.partition}"
        text = f"{attempt.stage}{place}: {text}"
    return replace(
        attempt,
        outcome=Outcome.REFUSED if isinstance(error, GateError) else Outcome.FAILED,
        message=text,
        trace=error.trace if isinstance(error, StepError) else "",
        exit_code=error.exit_code,
    )


class Steps:
    """Executes steps against what is published so far.

    `claim` says whether a key is ours to work on; `settle` waits until what was sent is durable;
    `versions` are those that the heads have by now.
    """

    def __init__(
        self,
        job: Job,
        holdings: Holdings,
        *,
        settle: Callable[[], None],
        claim: Callable[[str], bool],
        versions: Mapping[str, int],
    ) -> None:
        self._tools = tools = job.tools
        self._flow = job.flow
        self._recipes = job.recipes
        self._plan = job.plan
        self._run = job.run
        self._rulings = job.state.rulings
        self._holdings = holdings
        self._claim = claim
        intake = Intake(tools.root, _coming(job))
        states = {name: r.code.state for name, r in job.recipes.items() if r.code is not None}

        def head(stage: str) -> Mapping[str, Binding]:
            # What the run found can't be read any more; what is published now doesn't move any more.
            settle()
            found = tools.ledger.state(job.plan.environment).heads.get(stage)
            return found.partitions if found else {}

        profiles = Profiles(tools.artifacts, head)
        frames = Frames(tools.artifacts, settle)
        self._room = Workroom(intake, frames, profiles, states)
        self._bench = Bench(job.flow, holdings, frames, versions, settle)
        self._trainer = Trainer(self._room, tools.artifacts, tools.formats, settle)

    def do(self, step: Step) -> Done:
        """Execute one step. Errors of the step are in its attempt; those of the store are raised."""
        meter = Meter()
        stage = self._flow[step.stage]
        attempt = Attempt(
            stage=step.stage,
            partition=step.partition,
            action=step.action,
            outcome=Outcome.OK,
            reasons=step.reasons,
        )
        try:
            done = self._act(stage, step, attempt)
        except _Claimed as other:
            return Done(attempt=None, put_off=str(other))
        except Skip as skip:
            done = Done(attempt=replace(attempt, outcome=Outcome.SKIPPED, message=str(skip)))
        except TidemillError as error:
            done = Done(attempt=_failed(attempt, error))
        # One step's failure must not take the rest of the run along, whatever raised it.
        except (Exception, PanicException) as error:  # noqa: BLE001
            done = Done(attempt=_failed(attempt, failed(stage, step.partition, error)))
        return self._metered(step, done, meter)

    def _metered(self, step: Step, done: Done, meter: Meter) -> Done:
        if done.attempt is None:
            return done
        wall, cpu = meter.read()
        attempt = replace(done.attempt, wall_s=wall, cpu_s=cpu)
        if attempt.outcome in (Outcome.FAILED, Outcome.SKIPPED):
            self._holdings.failed[step.stage, step.partition] = attempt.message
        event = Attempted(run=self._run, environment=self._plan.environment, attempt=attempt)
        parcel = done.parcel or Parcel(events=())
        return Done(attempt=attempt, parcel=replace(parcel, events=(event, *parcel.events)))

    def _act(self, stage: Stage, step: Step, attempt: Attempt) -> Done:
        if step.action is Action.REMOVE:
            return self._remove(stage, step, attempt)
        if step.action is Action.GATE:
            return self._gate(stage, step, attempt)
        inputs = self._inputs(stage, step)
        recipe = self._recipes[stage.name]
        handed = key_for(
            recipe, "" if stage.kind is Kind.EVALUATE else step.partition, _contents(inputs)
        )
        assert handed.key is not None
        held = self._holdings.get(stage.name, step.partition)
        same = not step.forced and held is not None and held.key == handed.key
        if same and held is not None and reuse_of(held, recipe) is Action.BIND:
            return Done(attempt=None)
        made = None if step.forced else self._known_or_claimed(stage, step, handed.key, held)
        if made is None:
            made = self._make(stage, step, inputs)
        at = self._tools.clock()
        binding = Binding(
            key=handed.key,
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
        )
        return self._publish(stage, step, binding, made, attempt)

    def _publish(
        self, stage: Stage, step: Step, binding: Binding, made: _Made, attempt: Attempt
    ) -> Done:
        self._holdings.bind(stage.name, step.partition, binding)
        published = Published(
            environment=self._plan.environment,
            stage=stage.name,
            partition=step.partition,
            binding=binding,
        )
        product = made.product
        if made.bound:
            attempt = replace(attempt, outcome=Outcome.BOUND)
        else:
            if made.rechecked:
                attempt = replace(attempt, action=Action.RECHECK)
            rows, size = self._read(step)
            attempt = replace(attempt, rows_in=rows, bytes_in=size, bytes_out=product.bytes)
        attempt = replace(attempt, rows_out=product.rows, quarantined=product.quarantined)
        parcel = Parcel(events=(published, *made.events), objects=made.objects)
        return Done(attempt=attempt, parcel=parcel)

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

    def _known_or_claimed(
        self, stage: Stage, step: Step, key: str, held: Binding | None
    ) -> _Made | None:
        """What is known to come out; None when it is ours to make."""
        planned = self._known(stage, step, key, held) if step.action is Action.BIND else None
        if planned is not None or stage.kind is Kind.DELIVER:
            return planned
        if not self._claim(key):
            raise _Claimed(key)
        # Only now: whoever had the key until a moment ago has published what it stands for.
        return self._known(stage, step, key, held)

    def _known(self, stage: Stage, step: Step, key: str, held: Binding | None) -> _Made | None:
        """What is known to come out, if its objects are all still there; judged again where it must be."""
        if stage.kind is Kind.DELIVER:
            return None
        own = held is not None and held.key == key
        found = held if own else self._tools.ledger.traces((key,)).get(key)
        if found is None or self._room.missing(found.product.pins):
            return None
        match reuse_of(found, self._recipes[stage.name], own=own):
            case Action.BIND:
                return _Made(product=found.product, bound=True)
            case Action.RECHECK if found.check == self._recipes[stage.name].check:
                return _Made(product=found.product, rechecked=True)
            case Action.RECHECK:
                product = self._room.recheck(stage, step.partition, found)
                return None if product is None else _Made(product=product, rechecked=True)
        return None

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

    def _make(
        self, stage: Stage, step: Step, inputs: Mapping[str, Mapping[str, Binding | str]]
    ) -> _Made:
        bound = {
            name: {key: item for key, item in items.items() if isinstance(item, Binding)}
            for name, items in inputs.items()
        }
        lists = {name: tuple(items.values()) for name, items in bound.items()}
        match stage.kind:
            case Kind.INGEST:
                seen = self._plan.sources[stage.name]
                files = {path: seen[path] for path in inputs[FILES]}
                made = self._room.ingest(stage, step.partition, files, self._ruled(step))
            case Kind.TRANSFORM:
                return self._transform(stage, step, lists)
            case Kind.MODEL:
                made = self._trainer.train(stage, bound, self._recipes[stage.name].digest)
            case Kind.EVALUATE:
                return self._evaluate(stage, step, bound)
            case Kind.DELIVER:
                return self._deliver(stage, step, lists)
        return _Made(product=made[0], objects=made[1])

    def _transform(
        self, stage: Stage, step: Step, inputs: Mapping[str, tuple[Binding, ...]]
    ) -> _Made:
        reads, rulings = self._recipes[stage.name].reads, self._ruled(step)
        product, objects, touched = self._room.transform(
            stage, step.partition, inputs, reads, rulings
        )
        return _Made(product=product, objects=objects, touched=touched)

    def _evaluate(
        self, stage: Stage, step: Step, bound: Mapping[str, Mapping[str, Binding]]
    ) -> _Made:
        model = next(self._flow[item.name] for item in stage.inputs if item.contract is None)
        frames = {name: items for name, items in bound.items() if name != model.name}
        artifact = self._artifact(model.name, step.subject)
        trivial = step.subject == BASELINE
        return _Made(product=self._trainer.evaluate(stage, model, frames, artifact, trivial))

    def _deliver(
        self, stage: Stage, step: Step, inputs: Mapping[str, tuple[Binding, ...]]
    ) -> _Made:
        artifact = self._holdings.live.get(stage.model)
        if artifact is None:
            raise Skip(f"{stage.model} has no approved model")
        source = self._flow[stage.inputs[0].name]
        assert source.output is not None
        model, binding = self._flow[stage.model], inputs[source.name][0]
        scored = self._trainer.score(stage, step.partition, binding, source.output, model, artifact)
        # Who reads delivered files, and how, isn't ours to know.
        payload = encode(scored, statistics=True)
        name = object_name(payload, PARQUET)
        effect = effect_of(stage, step.partition, self._plan.environment, self._run, name)
        product = Product(content=name, objects=(name,), rows=scored.height, bytes=len(payload))
        queued = EffectQueued(environment=self._plan.environment, effect=effect)
        return _Made(product=product, objects=((payload, PARQUET),), events=(queued,))

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


def _coming(job: Job) -> dict[str, dict[str, SourceFile]]:
    """By ingest stage, the files that are a partition each, in the order of their steps."""
    found: dict[str, dict[str, SourceFile]] = {}
    for step in job.plan.steps:
        if step.action is Action.RUN and len(paths := step.reads.get(FILES, ())) == 1:
            file = job.plan.sources[step.stage][paths[0]]
            if is_apart(step.partition, {file.path: file}):
                found.setdefault(step.stage, {})[file.path] = file
    return found


def _contents(inputs: Mapping[str, Mapping[str, Binding | str]]) -> dict[str, Contents]:
    return {
        name: {key: item if isinstance(item, str) else item.product for key, item in bound.items()}
        for name, bound in inputs.items()
    }
