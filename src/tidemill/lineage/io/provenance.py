"""Show the provenance of a stage, a partition or a column: recipe, key, and origins down to source files.

Everything is read from the ledger; nothing is recomputed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import replace

from tidemill.contracts.column import Column
from tidemill.contracts.finding import Finding
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import summarize_keys
from tidemill.ledger.binding import Binding, contract_versions
from tidemill.ledger.delivery import Decision
from tidemill.ledger.event import Attempted, Delivered, Published, RunStarted
from tidemill.ledger.event_filter import EventFilter, about
from tidemill.ledger.event_subjects import model_subject, run_subject
from tidemill.ledger.run import Action, Attempt, Outcome
from tidemill.lineage.io.origins import Origin, ProvenanceFacts, trace_origins
from tidemill.lineage.upstream import ColumnTrace, change_basis, trace_column
from tidemill.ports.ledger import Ledger, State
from tidemill.reuse.recipe import Recipe, recipe_changes
from tidemill.sources.missing import Frozen, frozen_partitions
from tidemill.workflow.environment import history_filter
from tidemill.workflow.model import Artifact
from tidemill.workflow.stage import Kind, Stage
from tidemill.workflow.trigger import TriggerEvidence

# So many of the runs that published something are described.
_MOST_RUNS = 20
# The length of the time at the beginning of a run's id.
_SECOND = len("20260101-000000")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducingRun:
    """A run that published one of the origins: its command, host and start."""

    run: str
    command: str
    host: str
    started: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """The columns of an input that the key of a stage covers, and those of its contract that it doesn't.

    If none is read, the number of rows still counts. `fold` describes how they are folded, if they are.
    """

    name: str
    reads: tuple[str, ...]
    ignores: tuple[str, ...]
    fold: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnVersion:
    """A version of a column's values: their hash, and the run that published them."""

    hash: str
    run: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """A column of a partition: its hash, the input columns with equal values, and its history.

    `lineage` is what it depends on according to the current query, nearest stages first.
    """

    name: str
    type: str
    description: str
    lineage: tuple[ColumnTrace, ...] = ()
    hash: str = ""
    same_as: tuple[str, ...] = ()
    history: tuple[ColumnVersion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The provenance of a stage or of one of its partitions.

    `recipe_parts` are the digests of the current recipe, and `stale` describes what changed since the
    partitions were computed. `judged_by` is query, code, source (of an ingest) or declaration, `opaque`
    says why it isn't the query of a transform. `touched` are the hidden inputs that were used. `origins`
    begin with direct inputs and end with source files. `frozen` are the partitions, of the stage or of
    ingests upstream, that are kept although their source lost rows. `runs` are the last ones that published
    any of it, after `earlier_runs` others. `trained_because` and `evidence` are the
    reasons of a training, and what its trigger saw.
    """

    stage: str
    kind: Kind
    place: str
    contract: str
    recipe: str
    recipe_parts: Mapping[str, str]
    judged_by: str
    opaque: str
    unproven: tuple[str, ...]
    reads: tuple[InputFacts, ...]
    partitions: tuple[str, ...] = ()
    partition: str = ""
    key: str = ""
    content: str = ""
    at: float = 0.0
    rows: int = 0
    quarantined: int = 0
    findings: tuple[Finding, ...] = ()
    stale: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()
    frozen: tuple[Frozen, ...] = ()
    runs: tuple[ProducingRun, ...] = ()
    earlier_runs: int = 0
    column: ColumnFacts | None = None
    artifact: Artifact | None = None
    live: str = ""
    decisions: tuple[Decision, ...] = ()
    model: str = ""
    trained_because: tuple[str, ...] = ()
    evidence: TriggerEvidence | None = None


def explain(
    facts: ProvenanceFacts,
    stage: Stage,
    partition: str = "",
    column: str = "",
    most: int | None = None,
) -> Explanation:
    """Show the provenance of a stage, one of its partitions, or one of its columns.

    Without `partition` it covers all published partitions; its origins those of the last `most` ones. Raises
    UsageError for a partition or a column that doesn't exist.
    """
    bound = facts.bindings(stage.name)
    if not partition:
        # All of them at once takes less time than one after the other.
        bound = dict(bound.items())
    chosen = _chosen(stage, bound, partition)
    one = bound[chosen[0]] if len(chosen) == 1 else None
    about = _column(facts, stage, chosen, column) if column else None
    traced = chosen if most is None else chosen[-most:]
    origins = trace_origins(facts, stage, traced, about.lineage if about else ())
    artifact = one.product.artifact if one else None
    live = facts.state.live.get(stage.name)
    made = {bound[key].run for key in chosen} | {run for origin in origins for run in origin.runs}
    trained = _training(facts.ledger, stage, one.run) if one is not None else None
    versions = contract_versions(bound[key] for key in chosen)
    declared = _declared_facts(stage, facts.recipes[stage.name])
    return replace(
        _published_facts(declared, bound, chosen, partition),
        contract=f"{stage.output.name} {versions}".rstrip() if stage.output else declared.contract,
        stale=_describe_changes(facts, stage, bound, chosen),
        origins=origins,
        frozen=_frozen(facts, stage, chosen, origins),
        runs=_runs(facts.ledger, made),
        earlier_runs=max(0, len(made) - _MOST_RUNS),
        column=about,
        artifact=artifact,
        live=live.artifact.id if live else "",
        decisions=_decisions(facts.state, artifact),
        model=_scored_by(facts, stage, one) if one else "",
        trained_because=trained.reasons if trained is not None else (),
        evidence=trained.evidence if trained is not None else None,
    )


def explain_undeclared(
    facts: ProvenanceFacts, stage: Stage, partition: str = "", column: str = ""
) -> Explanation:
    """Show what is known of a stage that isn't in the workflow any more: what it published, by which runs.

    Raises UsageError for a partition that doesn't exist, and for a column.
    """
    if column:
        raise UsageError(f"{stage.name} is {stage.place}: the lineage of its columns isn't known")
    bound = facts.bindings(stage.name)
    chosen = _chosen(stage, bound, partition)
    parts = facts.state.recipes.get(stage.name, {})
    bare = Explanation(
        stage=stage.name,
        kind=stage.kind,
        place=stage.place,
        contract=contract_versions(bound[key] for key in chosen),
        recipe=bound[chosen[0]].recipe,
        recipe_parts=parts,
        judged_by="recorded recipe",
        opaque="",
        unproven=(),
        reads=(),
    )
    made = {bound[key].run for key in chosen}
    return replace(
        _published_facts(bare, bound, chosen, partition),
        runs=_runs(facts.ledger, made),
        earlier_runs=max(0, len(made) - _MOST_RUNS),
    )


def _chosen(stage: Stage, bound: Mapping[str, Binding], partition: str) -> tuple[str, ...]:
    """The partition, or all; UsageError if it doesn't exist."""
    if partition and partition not in bound:
        there = summarize_keys(bound) or f"nothing published yet; run `tidemill run {stage.name}`"
        raise UsageError(f"{stage.name} has no partition {partition!r}; there is {there}")
    return (partition,) if partition else tuple(sorted(bound))


def _published_facts(
    found: Explanation, bound: Mapping[str, Binding], chosen: Collection[str], partition: str
) -> Explanation:
    """The explanation with what the chosen partitions hold."""
    one = bound[next(iter(chosen))] if len(chosen) == 1 else None
    return replace(
        found,
        partitions=tuple(chosen),
        partition=partition,
        key=one.key if one else "",
        content=one.product.content if one else "",
        at=max((bound[key].at for key in chosen), default=0.0),
        rows=sum(bound[key].product.rows for key in chosen),
        quarantined=sum(bound[key].product.quarantined for key in chosen),
        findings=one.findings if one else (),
        touched=tuple(dict.fromkeys(word for key in chosen for word in bound[key].touched)),
    )


def _declared_facts(stage: Stage, recipe: Recipe) -> Explanation:
    """The part of an explanation that doesn't need published partitions."""
    return Explanation(
        stage=stage.name,
        kind=stage.kind,
        place=stage.place,
        contract=stage.output.title if stage.output else "",
        recipe=recipe.digest,
        recipe_parts=recipe.parts,
        judged_by=change_basis(stage, recipe),
        opaque=recipe.opaque,
        unproven=recipe.unproven,
        reads=_reads(stage, recipe),
    )


def _reads(stage: Stage, recipe: Recipe) -> tuple[InputFacts, ...]:
    return tuple(
        InputFacts(
            name=item.name,
            reads=(read := recipe.reads.get(item.name, item.contract.names)),
            ignores=tuple(name for name in item.contract.names if name not in read),
            fold=str(item.fold.fold) if item.fold is not None else "",
        )
        for item in stage.frames
        if item.contract is not None
    )


def _describe_changes(
    facts: ProvenanceFacts, stage: Stage, bound: Mapping[str, Binding], chosen: Collection[str]
) -> tuple[str, ...]:
    """Describe what changed in the stage since some of these partitions were computed."""
    recipe = facts.recipes[stage.name]
    if all(bound[key].recipe == recipe.digest for key in chosen):
        checked = all(bound[key].check == recipe.check for key in chosen)
        return () if checked else ("the checks of its contract changed",)
    before = facts.state.recipes.get(stage.name, {})
    return recipe_changes(before, recipe.parts) or ("its recipe changed",)


def _frozen(
    facts: ProvenanceFacts, stage: Stage, chosen: Sequence[str], origins: Sequence[Origin]
) -> tuple[Frozen, ...]:
    """The partitions of a stage and of its origins that are kept although their source lost rows."""
    read = {stage.name: chosen, **{origin.stage: origin.partitions for origin in origins}}
    return tuple(
        item
        for name, keys in read.items()
        for item in frozen_partitions(name, facts.state.sources.get(name, {}), {*keys})
    )


def _runs(ledger: Ledger, wanted: Set[str]) -> tuple[ProducingRun, ...]:
    """The last of some runs, oldest first."""
    if not wanted:
        return ()
    # The ids of runs begin with their second; which of the same second came first, the events tell.
    seconds = sorted(run[:_SECOND] for run in wanted)
    last = [run for run in wanted if run[:_SECOND] >= seconds[-_MOST_RUNS:][0]]
    where = EventFilter(among=tuple(map(run_subject, sorted(last))))
    started = [*ledger.events(kinds=("RunStarted",), where=where)][-_MOST_RUNS:]
    return tuple(
        ProducingRun(
            run=fact.event.run,
            command=fact.event.command,
            host=fact.event.holder.get("host", ""),
            started=fact.at,
        )
        for fact in started
        if isinstance(fact.event, RunStarted)
    )


def _training(ledger: Ledger, stage: Stage, run: str) -> Attempt | None:
    """The attempt in which a run trained a model, or bound one that had been trained before."""
    if stage.kind is not Kind.MODEL:
        return None
    found = [
        fact.event.attempt
        for fact in ledger.events(kinds=("Attempted",), run=run)
        if isinstance(fact.event, Attempted) and fact.event.attempt.stage == stage.name
    ]
    published = (Outcome.OK, Outcome.BOUND)
    kinds = (Action.TRAIN, Action.BIND)
    return next((one for one in found if one.action in kinds and one.outcome in published), None)


def _decisions(state: State, artifact: Artifact | None) -> tuple[Decision, ...]:
    if artifact is None:
        return ()
    own = [d for d in state.decisions.values() if d.artifact == artifact.id]
    return tuple(sorted(own, key=lambda decision: decision.at))


def _scored_by(facts: ProvenanceFacts, stage: Stage, binding: Binding) -> str:
    """The artifact that was live when a delivery was published."""
    if stage.kind is not Kind.DELIVER:
        return ""
    ours = history_filter(facts.state.environments, facts.state.environment)
    where = about(model_subject(stage.model))
    lives = (
        fact.event.delivery.artifact.id
        for fact in facts.ledger.events(kinds=("Delivered",), where=where, newest=True)
        if isinstance(fact.event, Delivered)
        and ours(fact.event.environment, fact.seq)
        and fact.event.delivery.at <= binding.at
    )
    return next(lives, "")


def _column(
    facts: ProvenanceFacts, stage: Stage, chosen: Collection[str], name: str
) -> ColumnFacts:
    if stage.output is None:
        raise UsageError(f"{stage.name} is a {stage.kind}: it has no contracted columns")
    spec = _contract_column(stage.output, name)
    about = ColumnFacts(
        name=name,
        type=str(spec.dtype),
        description=spec.description,
        lineage=trace_column(facts.flow, facts.recipes, stage, name),
    )
    if len(chosen) != 1:
        return about
    [partition] = chosen
    product = facts.bindings(stage.name)[partition].product
    hashed = product.columns.get(name, "")
    same = [
        f"{item.name}.{other}"
        for item in stage.frames
        if (held := facts.bindings(item.name).get(partition)) is not None
        and held.product.rowset == product.rowset
        for other, digest in held.product.columns.items()
        if digest == hashed
    ]
    history = _history(facts, stage, partition, name)
    return replace(about, hash=hashed, same_as=tuple(same), history=history)


def _contract_column(contract: ContractSpec, name: str) -> Column:
    if name not in contract.names:
        advice = did_you_mean(name, contract.names)
        raise UsageError(f"{contract.name} has no column {name!r} ({advice})")
    return contract.column(name)


def _history(
    facts: ProvenanceFacts, stage: Stage, partition: str, name: str
) -> tuple[ColumnVersion, ...]:
    """The versions of the column's values, oldest first."""
    versions: list[ColumnVersion] = []
    ours = history_filter(facts.state.environments, facts.state.environment)
    where = EventFilter(partition=partition)
    for fact in facts.ledger.events(kinds=("Published",), stage=stage.name, where=where):
        event = fact.event
        if not isinstance(event, Published) or not ours(event.environment, fact.seq):
            continue
        hashed = event.binding.product.columns.get(name, "")
        if not versions or versions[-1].hash != hashed:
            versions.append(ColumnVersion(hash=hashed, run=event.binding.run, at=event.binding.at))
    return tuple(versions)
