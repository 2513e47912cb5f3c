"""Why something is what it is: its recipe, its key, and what it was made of, down to source files.

All of it is read from what the ledger holds; nothing is computed again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tidemill.decide.mapping import cuts_of, seen_whole, visible
from tidemill.decide.recipe import Recipe, changes, input_digest
from tidemill.domain.binding import Binding
from tidemill.domain.column import Column
from tidemill.domain.contract import ContractSpec
from tidemill.domain.delivery import Decision
from tidemill.domain.errors import UsageError, did_you_mean
from tidemill.domain.event import Delivered, Published, RunStarted
from tidemill.domain.finding import Finding
from tidemill.domain.model import Artifact
from tidemill.domain.partition import UNPLACED, WHOLE, placed
from tidemill.domain.plan import spread
from tidemill.domain.source import SourceFile
from tidemill.domain.stage import Flow, Kind, Stage
from tidemill.ports import Ledger, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A run that made something: who asked for it with which command, and when it began."""

    run: str
    command: str
    host: str
    started: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What one stage contributed: its partitions, when and by which runs they were made, its files.

    `changed` says that a partition is no longer what it was when its reader was made.
    """

    stage: str
    kind: Kind
    partitions: tuple[str, ...]
    rows: int = 0
    first: float = 0.0
    last: float = 0.0
    runs: tuple[str, ...] = ()
    files: tuple[SourceFile, ...] = ()
    changed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A value that a column had: its hash, and the run that published it."""

    hash: str
    run: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """A column of a partition: its hash, the inputs that hold the very same values, and its history."""

    name: str
    type: str
    description: str
    hash: str = ""
    same_as: tuple[str, ...] = ()
    history: tuple[Version, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that makes a stage, or a partition of it, what it is.

    `recipe_parts` are the digests of what the stage does now; `stale` says in words what changed
    since. `origins` begin with what is read directly and end with source files.
    """

    stage: str
    kind: Kind
    place: str
    contract: str
    recipe: str
    recipe_parts: Mapping[str, str]
    unproven: tuple[str, ...]
    partitions: tuple[str, ...]
    partition: str = ""
    key: str = ""
    content: str = ""
    at: float = 0.0
    rows: int = 0
    quarantined: int = 0
    findings: tuple[Finding, ...] = ()
    stale: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()
    runs: tuple[Made, ...] = ()
    column: ColumnFacts | None = None
    artifact: Artifact | None = None
    live: str = ""
    decisions: tuple[Decision, ...] = ()
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Where explanations take their facts from."""

    flow: Flow
    recipes: Mapping[str, Recipe]
    state: State
    ledger: Ledger

    def bound(self, stage: str) -> Mapping[str, Binding]:
        """What is published of a stage."""
        head = self.state.heads.get(stage)
        return head.partitions if head else {}


def explain(known: Known, stage: Stage, partition: str = "", column: str = "") -> Explanation:
    """Say why a stage, one of its partitions, or a column of it is what it is.

    Without `partition` it is about all that is published. Raises UsageError for a partition or a
    column that there isn't.
    """
    bound = known.bound(stage.name)
    if partition and partition not in bound:
        there = spread(bound) or f"nothing published yet; run `tidemill run {stage.name}`"
        raise UsageError(f"{stage.name} has no partition {partition!r}; there is {there}")
    chosen = (partition,) if partition else tuple(sorted(bound))
    one = bound[chosen[0]] if len(chosen) == 1 else None
    origins = _origins(known, stage, chosen)
    recipe = known.recipes[stage.name]
    artifact = one.product.artifact if one else None
    live = known.state.live.get(stage.name)
    return Explanation(
        stage=stage.name,
        kind=stage.kind,
        place=stage.place,
        contract=f"{stage.output.name} {stage.output.version}" if stage.output else "",
        recipe=recipe.digest,
        recipe_parts=recipe.parts,
        unproven=recipe.unproven,
        partitions=chosen,
        partition=partition,
        key=one.key if one else "",
        content=one.product.content if one else "",
        at=max((bound[key].at for key in chosen), default=0.0),
        rows=sum(bound[key].product.rows for key in chosen),
        quarantined=sum(bound[key].product.quarantined for key in chosen),
        findings=one.product.findings if one else (),
        stale=_stale(known, stage, chosen),
        origins=origins,
        runs=_runs(
            known.ledger, {bound[k].run for k in chosen} | {r for o in origins for r in o.runs}
        ),
        column=_column(known, stage, chosen, column) if column else None,
        artifact=artifact,
        live=live.artifact.id if live else "",
        decisions=_decisions(known.state, artifact),
        model=_scored_by(known, stage, one) if one else "",
    )


def _stale(known: Known, stage: Stage, chosen: Collection[str]) -> tuple[str, ...]:
    """What of the stage changed since some of these partitions were made."""
    recipe = known.recipes[stage.name]
    bound = known.bound(stage.name)
    if all(bound[key].recipe == recipe.digest for key in chosen):
        return ()
    before = known.state.recipes.get(stage.name, {})
    return changes(before, recipe.parts) or ("its recipe is another than when it was made",)


def _origins(known: Known, stage: Stage, chosen: Collection[str]) -> tuple[Origin, ...]:
    """Walk upstream, nearest stages first; each stage once, with all of its partitions that count."""
    wanted: dict[str, set[str]] = {stage.name: set(chosen)}
    changed: set[str] = set()
    for reader in reversed(known.flow.stages):
        for key in sorted(wanted.get(reader.name, ())):
            for name, keys in _reads(known, reader, key).items():
                wanted.setdefault(name, set()).update(keys)
                if _moved(known, reader, key, name, keys):
                    changed.add(name)
    return tuple(
        _origin(known, other, wanted[other.name], other.name in changed, with_rows=other != stage)
        for other in reversed(known.flow.stages)
        if other.name in wanted and (other.name != stage.name or stage.kind is Kind.INGEST)
    )


def _origin(
    known: Known, stage: Stage, keys: Collection[str], changed: bool, *, with_rows: bool
) -> Origin:
    held = known.bound(stage.name)
    bound = [held[key] for key in keys if key in held]
    files = known.state.sources.get(stage.name, {}).values() if stage.kind is Kind.INGEST else ()
    return Origin(
        stage=stage.name,
        kind=stage.kind,
        partitions=tuple(sorted(keys)),
        rows=sum(binding.product.rows for binding in bound) if with_rows else 0,
        first=min((binding.at for binding in bound), default=0.0),
        last=max((binding.at for binding in bound), default=0.0),
        runs=tuple(sorted({binding.run for binding in bound})),
        files=tuple(file for file in files if set(file.rows) & set(keys)),
        changed=changed,
    )


def _reads(known: Known, stage: Stage, partition: str) -> Mapping[str, tuple[str, ...]]:
    """The partitions of each input that a partition is made of: for a model those it was trained on."""
    held = known.bound(stage.name).get(partition)
    if held is not None and held.product.artifact is not None:
        return held.product.artifact.trained_on
    if stage.kind is Kind.DELIVER:
        return {stage.inputs[0].name: (partition,), stage.model: (WHOLE,)}
    keys = {item.name: placed(known.bound(item.name)) for item in stage.frames}
    cuts = cuts_of(known.flow)
    if stage.kind is Kind.EVALUATE or stage.partitioning.is_whole:
        models = {item.name: (WHOLE,) for item in stage.inputs if item.contract is None}
        return {**seen_whole(stage, cuts, keys), **models}
    if partition == UNPLACED:
        return {}
    return {
        item.name: seen
        for item in stage.frames
        if (seen := visible(item, partition, stage.partitioning, cuts[item.name], keys[item.name]))
    }


def _moved(known: Known, stage: Stage, partition: str, name: str, keys: Collection[str]) -> bool:
    """Whether an input is no longer what it was when this partition was made of it."""
    held = known.bound(stage.name).get(partition)
    bound = known.bound(name)
    if held is None or name not in held.inputs or known.flow[name].kind is Kind.MODEL:
        return False
    contents = {key: bound[key].product.content for key in keys if key in bound}
    return held.inputs[name] != input_digest(contents)


def _runs(ledger: Ledger, wanted: Collection[str]) -> tuple[Made, ...]:
    return tuple(
        Made(
            run=fact.event.run,
            command=fact.event.command,
            host=fact.event.holder.get("host", ""),
            started=fact.at,
        )
        for fact in ledger.events(kinds=("RunStarted",))
        if isinstance(fact.event, RunStarted) and fact.event.run in wanted
    )


def _decisions(state: State, artifact: Artifact | None) -> tuple[Decision, ...]:
    if artifact is None:
        return ()
    own = [d for d in state.decisions.values() if d.artifact == artifact.id]
    return tuple(sorted(own, key=lambda decision: decision.at))


def _scored_by(known: Known, stage: Stage, binding: Binding) -> str:
    """The artifact that was live when a delivery was made."""
    if stage.kind is not Kind.DELIVER:
        return ""
    lives = [
        fact.event.delivery.artifact.id
        for fact in known.ledger.events(kinds=("Delivered",))
        if isinstance(fact.event, Delivered)
        and fact.event.environment == known.state.environment
        and fact.event.delivery.name == stage.model
        and fact.event.delivery.at <= binding.at
    ]
    return lives[-1] if lives else ""


def _column(known: Known, stage: Stage, chosen: Collection[str], name: str) -> ColumnFacts:
    if stage.output is None:
        raise UsageError(f"{stage.name} is a {stage.kind}: it has no contracted columns")
    spec = _contracted(stage.output, name)
    facts = ColumnFacts(name=name, type=str(spec.dtype), description=spec.description)
    if len(chosen) != 1:
        return facts
    [partition] = chosen
    product = known.bound(stage.name)[partition].product
    hashed = product.columns.get(name, "")
    same = [
        f"{item.name}.{other}"
        for item in stage.frames
        if (held := known.bound(item.name).get(partition)) is not None
        and held.product.rowset == product.rowset
        for other, digest in held.product.columns.items()
        if digest == hashed
    ]
    return ColumnFacts(
        name=name,
        type=facts.type,
        description=facts.description,
        hash=hashed,
        same_as=tuple(same),
        history=_history(known, stage, partition, name),
    )


def _contracted(contract: ContractSpec, name: str) -> Column:
    if name not in contract.names:
        advice = did_you_mean(name, contract.names)
        raise UsageError(f"{contract.name} has no column {name!r} ({advice})")
    return contract.column(name)


def _history(known: Known, stage: Stage, partition: str, name: str) -> tuple[Version, ...]:
    """Every time that the column's values became others, oldest first."""
    versions: list[Version] = []
    for fact in known.ledger.events(kinds=("Published",)):
        event = fact.event
        if not isinstance(event, Published) or event.environment != known.state.environment:
            continue
        if (event.stage, event.partition) != (stage.name, partition):
            continue
        hashed = event.binding.product.columns.get(name, "")
        if not versions or versions[-1].hash != hashed:
            versions.append(Version(hash=hashed, run=event.binding.run, at=event.binding.at))
    return tuple(versions)
