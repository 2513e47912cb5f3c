"""A plan under construction: the contents that every stage is expected to have after the steps so far."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import (
    UNPLACED,
    WHOLE,
    Partitioning,
    is_valid_key,
    summarize_keys,
)
from tidemill.ledger.binding import Binding, Product
from tidemill.ledger.run import Action
from tidemill.planning.plan import MissingRows, ModelState, PlanInputs, Step, Waiting
from tidemill.planning.request import Request
from tidemill.reuse.input_contents import (
    ALL,
    ROWS,
    RULINGS,
    Content,
    Contents,
    ExpectedContent,
    OverlaidContents,
)
from tidemill.reuse.recipe import MAX_NAMED, Recipe, quote_columns, recipe_changes
from tidemill.reuse.step_key import Inputs, StepKey
from tidemill.workflow.model import Artifact
from tidemill.workflow.partition_mapping import sortable_end
from tidemill.workflow.stage import Flow, Stage

# Looks up bindings that were ever made under some keys, in any environment.
Lookup = Callable[[Collection[str]], Mapping[str, Binding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredStage:
    """The models that an evaluation will have scored, and the rank of its last step."""

    subjects: tuple[str, ...]
    rank: str


@dataclass(slots=True, kw_only=True)
class Draft:
    """A plan that grows stage by stage; `contents` maps stage and partition to a content.

    `ranks`, `changed` and `coming_rows` are by stage: the rank of each partition's step, the partitions that
    have steps, and the rows that these should output. `incomplete` are the stages that won't be fully current
    when all steps are done, `unlikely_models` the models that are trained only if a step has an unexpected
    output, `candidates` the artifact that each model will have if that is known, and `source_nouns` what
    each ingest reads ("files", "rows"), for messages. `missing` is what sources lost; `blocked` stages
    stay as they are. `scored` are the evaluations that will have scores of a candidate or a live model,
    `evaluated_through` the newest partition that they are of. `parents` are the versions that trainings
    continue. `recipe_reasons` are by stage the reasons to run it again that are the same for all partitions.
    """

    flow: Flow
    recipes: Mapping[str, Recipe]
    facts: PlanInputs
    request: Request
    lookup: Lookup
    partitionings: Mapping[str, Partitioning]
    order: dict[str, int] = field(init=False)
    contents: dict[str, Contents] = field(default_factory=dict)
    ranks: dict[str, dict[str, str]] = field(init=False)
    steps: list[tuple[str, int, Step]] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    models: list[ModelState] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    current: dict[str, int] = field(default_factory=dict)
    changed: dict[str, set[str]] = field(init=False)
    coming_rows: dict[str, dict[str, float]] = field(init=False)
    incomplete: set[str] = field(default_factory=set)
    unlikely_models: set[str] = field(default_factory=set)
    candidates: dict[str, Artifact | None] = field(default_factory=dict)
    evaluated_through: dict[str, str] = field(default_factory=dict)
    source_nouns: dict[str, str] = field(default_factory=dict)
    missing: list[MissingRows] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)
    scored: dict[str, ScoredStage] = field(default_factory=dict)
    parents: dict[str, Artifact] = field(default_factory=dict)
    recipe_reasons: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.order = {name: number for number, name in enumerate(self.flow.names)}
        self.ranks = {name: {} for name in self.order}
        self.changed = {name: set() for name in self.order}
        self.coming_rows = {name: {} for name in self.order}

    def bindings(self, stage: str) -> Mapping[str, Binding]:
        """The published partitions of a stage."""
        head = self.facts.heads.get(stage)
        return head.partitions if head else {}

    def contents_of(self, stage: str, keys: Collection[str]) -> dict[str, Content]:
        """The contents that some partitions of a stage are expected to have."""
        found = self.contents[stage]
        if isinstance(found, OverlaidContents):
            return found.find(keys)
        return {key: found[key] for key in keys}

    def is_missing(self, binding: Binding) -> bool:
        """Whether an object of a binding is known to be missing in the store, or to be damaged."""
        return bool(self.absence(binding))

    def absence(self, binding: Binding) -> str:
        """Why an object of a binding can't be used, as a reason to compute it; "" if all can be."""
        known = self.facts.missing_objects
        if not known:
            return ""
        found = {known[name] for name in binding.product.all_objects if name in known}
        if "damaged" in found:
            return "stored object damaged"
        return "its stored object is missing" if found else ""

    def forget(self, stage: str) -> None:
        """Free what is known of the partitions of a stage, once all of its readers are planned.

        Looking at it afterwards is a KeyError, so that nothing can be taken for unchanged.
        """
        del self.contents[stage], self.ranks[stage]
        del self.changed[stage], self.coming_rows[stage]

    def add(self, step: Step, *, after: Iterable[str] = (), in_place_of: str = "") -> str:
        """Add a step to the plan, after its inputs and after the ranks `after`, and return its rank.

        Steps of equal rank run in the order of stages; one with `in_place_of` runs as if of that stage.
        """
        cut = self.partitionings[step.stage]
        # A removed partition may be from an earlier partitioning.
        timed = step.partition not in (WHOLE, UNPLACED) and (
            step.action is not Action.REMOVE or is_valid_key(step.partition, cut)
        )
        own = sortable_end(step.partition, cut.grain) if cut.grain and timed else ""
        reads = (
            self.ranks[name].get(key, "")
            for name, keys in step.reads.items()
            if name in self.order
            for key in keys
        )
        rank = max((own, *reads, *after))
        if step.subject == "":
            self.ranks[step.stage][step.partition] = rank
        self.changed[step.stage].add(step.partition)
        self.steps.append((rank, self.order[in_place_of or step.stage], step))
        return rank


def is_before_start(stage: Stage, key: str) -> bool:
    """Whether a partition is earlier than the declared start of an ingest."""
    return bool(stage.start) and key not in (UNPLACED, WHOLE) and key < str(stage.start)


def is_rerun_requested(draft: Draft, stage: Stage) -> bool:
    """Whether a rerun of the stage was requested although it is current; its inputs don't rerun."""
    request = draft.request
    return request.again and (not request.named or stage.name in request.named)


def is_outdated_for(draft: Draft, bound: Binding | None) -> bool:
    """Whether what a request forces is still to be done, because the result is from before it was asked for.

    A result from later than now tells nothing: the clock was put back.
    """
    limit = draft.request.older_than
    return limit is None or bound is None or not limit < bound.at <= draft.facts.at


def reasons_for(
    draft: Draft,
    stage: Stage,
    bound: Binding | None,
    inputs: Inputs,
    step_key: StepKey,
    *,
    ruled: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """The reasons why a partition isn't current, most important first; `ruled` describes new rulings."""
    if is_rerun_requested(draft, stage) and is_outdated_for(draft, bound):
        return ("rerun requested",)
    if bound is None:
        return (
            ("new partition",) if draft.partitionings[stage.name].column else ("not published yet",)
        )
    found: list[str] = []
    if other := former_model(stage, bound):
        found.append(f"`{stage.model}` scores it instead of `{other}`")
    elif step_key.key == bound.key:
        return (distrust_reason(draft, stage, bound),)
    recipe = draft.recipes[stage.name]
    if bound.recipe != recipe.digest:
        if stage.name not in draft.recipe_reasons:
            changes = recipe_changes(draft.facts.recipes.get(stage.name, {}), recipe.parts)
            draft.recipe_reasons[stage.name] = changes or ("its recipe changed",)
        found += draft.recipe_reasons[stage.name]
    found += [*ruled, *_input_reasons(draft, stage, bound, inputs, step_key)]
    return tuple(found) or ("its key changed",)


def _input_reasons(
    draft: Draft, stage: Stage, bound: Binding, inputs: Inputs, handed: StepKey
) -> Iterator[str]:
    for name, contents in inputs.items():
        pending = sorted(
            k for k, c in contents.items() if c is None or isinstance(c, ExpectedContent)
        )
        if name == RULINGS:
            continue
        if name == stage.model:
            yield from _version_change(draft, bound, name, handed)
        elif pending:
            more = ", ..." if len(pending) > 1 else ""
            yield f"upstream `{name}` will rerun ({pending[0]}{more})"
        elif bound.inputs.get(name) != handed.inputs[name]:
            if stage.name in draft.source_nouns:
                yield f"{draft.source_nouns[stage.name]} changed"
            else:
                yield _input_change(draft, bound, name, contents, handed.short_shares[name])


def former_model(stage: Stage, bound: Binding) -> str:
    """The model that scored a delivered partition; "" if it is still the declared one, or isn't known."""
    return bound.model if stage.model and bound.model != stage.model else ""


def _version_change(draft: Draft, bound: Binding, model: str, handed: StepKey) -> Iterator[str]:
    """Say that another version than the one that scored a partition is live, or may be soon."""
    if model not in handed.inputs:
        yield f"the gates may make another version of `{model}` live"
    elif bound.inputs.get(model) != handed.inputs[model]:
        yield f"version {draft.facts.live[model].artifact.id} of `{model}` is live now"


def distrust_reason(draft: Draft, stage: Stage, bound: Binding) -> str:
    """The reason why a partition isn't current although its key didn't change."""
    recipe = draft.recipes[stage.name]
    if recipe.unproven or bound.touched:
        return f"can't be proven unchanged: {(*recipe.unproven, *bound.touched)[0]}"
    if stage.impure is not None:
        return f"impure: {stage.impure}"
    if absence := draft.absence(bound):
        return absence
    if bound.sample != recipe.sample:
        return "it was computed on a different sample"
    asked = bound.verdict.rules if bound.verdict else ""
    if (bound.check, asked) == (recipe.check, recipe.table_check):
        return "more of its rows are bad than its contract allows"
    return "the checks of its contract changed"


def _input_change(
    draft: Draft, bound: Binding, name: str, contents: Contents, seen: Mapping[str, str]
) -> str:
    """Describe which columns of an input changed, and in which partitions if that is known."""
    before = bound.seen.get(name, {})
    newer = [
        key
        for key in contents
        if (own := draft.bindings(name).get(key)) is not None and own.at > bound.at
    ]
    place = (
        f" in {summarize_keys(newer)}" if newer and (len(contents) > 1 or newer != [WHOLE]) else ""
    )
    shares = {c: before.get(c) for c in seen if c not in (ALL, ROWS)}
    columns = [c for c, share in shares.items() if share not in (None, seen[c])]
    # If all of many columns changed, partitions were added or removed rather than values changed.
    if columns and (len(columns) < len(seen) or len(columns) <= MAX_NAMED):
        return f"{_columns(columns)} of `{name}` changed{place}"
    fresh = [c for c, share in shares.items() if share is None]
    if before and ALL not in before and fresh and not columns:
        return f"it now reads {_columns(fresh)} of `{name}`"
    return f"upstream `{name}` changed{place}"


def _columns(names: Sequence[str]) -> str:
    return f"column{'' if len(names) == 1 else 's'} {quote_columns(names)}"


def size_of(draft: Draft, inputs: Inputs) -> tuple[int, int]:
    """The rows and bytes of inputs, as far as they are published or will be bound."""
    products = [
        product
        for name, contents in inputs.items()
        for key, content in contents.items()
        if (product := expected_product(draft, name, key, content)) is not None
    ]
    return sum(p.rows for p in products), sum(p.bytes for p in products)


def expected_product(draft: Draft, stage: str, partition: str, content: Content) -> Product | None:
    """The product of a partition; the published one while a new one is still to be computed."""
    if isinstance(content, Product):
        return content
    if isinstance(content, ExpectedContent):
        return content.product
    binding = draft.bindings(stage).get(partition)
    return binding.product if binding else None


def reads_of(inputs: Inputs) -> dict[str, tuple[str, ...]]:
    """The partitions that are read from each input."""
    return {name: tuple(contents) for name, contents in inputs.items()}
