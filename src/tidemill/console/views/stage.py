"""One stage: what it does, how it is doing and why, its contract, its partitions, its last runs."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.console.contract_cards import ContractCard, contract_card
from tidemill.console.partition_calendar import PartitionCalendar, partition_calendar
from tidemill.console.stage_rows import StageRow, docstring, find_stage_row
from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, summarize_keys
from tidemill.delivery.effects import delivery_place
from tidemill.governance.permissions import Permission
from tidemill.ledger.run import FAILURES, Attempt, Outcome
from tidemill.lineage.impact import Consumer
from tidemill.lineage.io.origins import Origin
from tidemill.lineage.io.provenance import Explanation
from tidemill.project.project import Project
from tidemill.sources.missing import Frozen
from tidemill.workflow.environment import environment_option
from tidemill.workflow.seal import dependencies
from tidemill.workflow.sink import Sink
from tidemill.workflow.stage import Stage

# So many attempts of the last runs are looked at, and so many columns and runs are shown.
_ATTEMPTS, _COLUMNS, _RUNS, _FILES = 300, 100, 8, 5
# What the last partitions were computed from is looked up; of all that takes seconds if there are thousands.
_TRACED = 20
_ALL, _NONE = "all columns", "only how many rows there are"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageInput:
    """A stage that this one depends on, or that is further up: what is read of it, and its files.

    `changed` says which of its columns changed since.
    """

    stage: str
    is_direct: bool
    columns: str = ""
    ignored: str = ""
    fold: str = ""
    partitions: str = ""
    rows: int = 0
    published: float | None = None
    changed: str = ""
    files: tuple[str, ...] = ()
    more_files: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReader:
    """A stage that reads this one: which columns, or why it may read any."""

    stage: str
    columns: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """What a run did with a stage; `message` is of the last attempt that failed.

    If it `is_cut`, only its last attempts are counted.
    """

    run: str
    at: float
    done: int
    failed: int
    retried: int
    rows: int
    wall_s: float
    cpu_s: float
    message: str
    is_cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierDelivery:
    """A run that delivered before the last one did, and the command that brings back what there was then."""

    run: str
    at: float
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveredTo:
    """Where a table is delivered to in this environment: the format, the place, and the table there, if any.

    `earlier` are the last runs to whose deliveries one can go back; `right` says who may.
    """

    format: str
    place: str
    table: str
    earlier: tuple[EarlierDelivery, ...]
    right: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """A stage as a whole: `row` is its line in the list of stages.

    `key_range` are its partitions. `inputs` tells what the last `traced` of them were computed from.
    `stale` says what changed since they were computed, `unproven` why its results are never reused. A
    delivery delivers what its `model` predicts, to where `delivered_to` says.
    """

    row: StageRow
    is_declared: bool
    description: str
    place: str
    version: str
    partitioning: str
    key_range: str
    inputs: tuple[StageInput, ...]
    traced: int
    readers: tuple[StageReader, ...]
    stale: tuple[str, ...]
    unproven: tuple[str, ...]
    findings: tuple[str, ...]
    frozen: tuple[str, ...]
    judged_by: str
    recipe: str
    contract: ContractCard | None
    calendar: PartitionCalendar
    runs: tuple[StageRun, ...]
    model: str
    delivered_to: DeliveredTo | None
    forgetting: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgottenStage:
    """A stage whose `partitions` were removed; `told` says so."""

    stage: str
    partitions: int
    told: str


def show_stage(project: Project, stage: str) -> StageView:
    """Show a stage: what it does and where, what it reads and who reads it, its state and why.

    Also its contract, its partitions by day and month, and its last runs.
    """
    space = project.workspace
    known, bound = space.known_stage(stage), space.bindings(stage)
    found = project.lineage.explain(stage, most=_TRACED)
    consumers = project.lineage.consumers(stage) if known.is_declared else ()
    spec, runs = known.output, _last_runs(project, stage)
    return StageView(
        row=find_stage_row(project, known),
        is_declared=known.is_declared,
        description=docstring(known),
        place=found.place,
        version=known.version or "",
        partitioning=str(known.partitioning) if spec is not None else "",
        key_range=summarize_keys({*bound} - {WHOLE}),
        inputs=_inputs(known, found),
        traced=min(len(bound), _TRACED),
        readers=tuple(map(_reader, consumers)),
        stale=found.stale,
        unproven=tuple(dict.fromkeys((*found.unproven, *found.touched))),
        findings=tuple(f"{each.severity}: {each.message or each.rule}" for each in found.findings),
        frozen=tuple(_frozen(each) for each in found.frozen),
        judged_by=found.judged_by,
        recipe=found.recipe,
        contract=None if spec is None else contract_card(spec, consumers, 0, _COLUMNS),
        calendar=partition_calendar(known.partitioning, bound),
        runs=runs,
        model=known.model,
        forgetting=action_right(project, Permission.FORGET_STAGES),
        delivered_to=None
        if known.sink is None
        else _delivered_to(project, known.sink, stage, runs),
    )


def _delivered_to(
    project: Project, sink: Sink, stage: str, runs: Iterable[StageRun]
) -> DeliveredTo:
    """Where a table is delivered to, and how to go back to what earlier runs delivered."""
    place, table = delivery_place(sink, project.environment)
    delivered = [run for run in runs if run.done]
    option = environment_option(project.environment)
    return DeliveredTo(
        format=sink.format,
        place=project.workspace.redactor.redact(place),
        table=table,
        earlier=tuple(
            EarlierDelivery(
                run=run.run, at=run.at, command=f"tidemill restore {stage} {run.run}{option}"
            )
            for run in delivered[1:]
        ),
        right=action_right(project, Permission.RESTORE),
    )


def forget_stage(project: Project, stage: str, confirm: str) -> ForgottenStage:
    """Remove what a stage published that is no longer declared; `confirm` repeats its name.

    Stored results stay, and can be reused if it is declared again.
    """
    project.workspace.require(Permission.FORGET_STAGES)
    if confirm != stage:
        raise UsageError(f"to remove {stage}, repeat its name; {confirm!r} is another one")
    count = project.environments.forget([stage])[stage]
    told = f"Removed {stage} with {plural(count, 'partition')} from {project.environment}."
    return ForgottenStage(stage=stage, partitions=count, told=told)


def _inputs(stage: Stage, found: Explanation) -> tuple[StageInput, ...]:
    """What a stage reads directly, then what else its data come from."""
    direct, reads = dependencies(stage), {each.name: each for each in found.reads}
    origins = {each.stage: each for each in found.origins if each.stage != stage.name}
    own = {each.stage: each for each in found.origins}.get(stage.name)
    names = (*sorted(direct), *(name for name in origins if name not in direct))
    rows = []
    for name in (*names, *((stage.name,) if own is not None and own.files else ())):
        read, origin = reads.get(name), origins.get(name, own if name == stage.name else None)
        files = origin.files if origin is not None else ()
        rows.append(
            StageInput(
                stage=name,
                is_direct=name in direct or name == stage.name,
                columns="" if read is None else ", ".join(read.reads) or _NONE,
                ignored="" if read is None else ", ".join(read.ignores),
                fold="" if read is None else read.fold,
                partitions="" if origin is None else summarize_keys({*origin.partitions} - {WHOLE}),
                rows=0 if origin is None else origin.rows,
                published=None if origin is None or not origin.last else origin.last,
                changed=_changed(origin),
                files=tuple(file.path for file in files[:_FILES]),
                more_files=max(len(files) - _FILES, 0),
            )
        )
    return tuple(rows)


def _changed(origin: Origin | None) -> str:
    if origin is None or not origin.changed:
        return ""
    return ", ".join(origin.changed_columns) or "yes"


def _reader(consumer: Consumer) -> StageReader:
    names = _ALL if consumer.columns is None else ", ".join(consumer.columns) or _NONE
    return StageReader(
        stage=consumer.stage,
        columns=names,
        why=consumer.why if consumer.columns is None else "",
    )


def _frozen(item: Frozen) -> str:
    keys = summarize_keys({*item.partitions} - {WHOLE})
    paths = ", ".join(item.paths[:_FILES])
    more = f" and {len(item.paths) - _FILES:,} more" if len(item.paths) > _FILES else ""
    return f"{item.stage} {keys}: kept as published, because its source lost rows: {paths}{more}"


def _last_runs(project: Project, stage: str) -> tuple[StageRun, ...]:
    """What the last runs did with a stage, newest first."""
    runs: dict[str, list[tuple[float, Attempt]]] = {}
    last = project.history.last_attempts(stage, project.environment, _ATTEMPTS)
    for fact, run, attempt in last:
        runs.setdefault(run, []).append((fact.at, attempt))
    # More attempts of the earliest of these runs may not have been read.
    cut = [*runs][-1] if len(last) == _ATTEMPTS else ""
    if len(runs) > 1:
        runs.pop(cut, None)
    return tuple(_stage_run(run, some, is_cut=run == cut) for run, some in [*runs.items()][:_RUNS])


def _stage_run(run: str, found: list[tuple[float, Attempt]], *, is_cut: bool) -> StageRun:
    """The attempts of a run, newest first, as one line."""
    attempts = [attempt for _, attempt in found]
    failed = [each for each in attempts if each.outcome in FAILURES]
    retried = [each for each in attempts if each.outcome is Outcome.RETRIED]
    bad = (*failed, *retried)
    done = [each for each in attempts if each.outcome in (Outcome.OK, Outcome.BOUND)]
    return StageRun(
        run=run,
        at=found[0][0],
        done=len(done),
        failed=len(failed),
        retried=len(retried),
        rows=sum(each.rows_out for each in attempts),
        wall_s=sum(each.wall_s for each in attempts),
        cpu_s=sum(each.cpu_s for each in attempts),
        message=bad[0].message if bad else "",
        is_cut=is_cut,
    )
