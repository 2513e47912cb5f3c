"""A plan while it is being made: what every stage is expected to hold once the steps so far have run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tidemill.decide.contents import ALL, ROWS, RULINGS, Content, Contents, Expected
from tidemill.decide.mapping import moment
from tidemill.decide.recipe import NAMED, Recipe, changes, named
from tidemill.decide.reuse import Handed, Inputs
from tidemill.decide.rulings import InForce
from tidemill.domain.binding import Binding, Head, Product
from tidemill.domain.cost import Cost
from tidemill.domain.delivery import Decision, Delivery
from tidemill.domain.errors import UsageError
from tidemill.domain.partition import (
    UNPLACED,
    WHOLE,
    Partitioning,
    bounds_of,
    end_of,
    fits,
    start_of,
)
from tidemill.domain.plan import Action, ModelState, Step, Waiting, spread
from tidemill.domain.settled import Mark
from tidemill.domain.source import SourceFile
from tidemill.domain.stage import Flow, Stage

# What was ever bound under some keys, in any environment.
Lookup = Callable[[Collection[str]], Mapping[str, Binding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked to be current: all, or a stage with what it needs, some partitions, again.

    Time partitions that begin before `since` or end after `until` stay as they are.
    """

    stage: str = ""
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    again: bool = False
    train: frozenset[str] = frozenset()


def request_of(
    stage: str,
    since: str | None,
    until: str | None,
    limit: int | None,
    again: bool,
    train: Iterable[str],
) -> Request:
    """A request as users say it, times as text; UsageError for one that leaves nothing to do."""
    if limit is not None and limit < 1:
        raise UsageError(f"limit {limit} leaves nothing to do; it must be at least 1")
    first = bounds_of(since)[0] if since else None
    end = bounds_of(until)[1] if until else None
    if first is not None and end is not None and first >= end:
        raise UsageError(f"from {since} to {until} leaves nothing to do; it ends before it begins")
    return Request(
        stage=stage,
        since=first,
        until=end,
        limit=limit,
        again=again,
        train=frozenset(train),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The files of an ingest stage as they are now, those that can't be read, and what to know of them.

    `held` are the partitions that a file fed when it could still be read. `called` is what the files
    are to people: of a database they are rows.
    """

    files: Mapping[str, SourceFile]
    called: str = "files"
    broken: Mapping[str, str] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """The facts that a plan is made on: heads, recipes as they were, what is live, what was decided.

    `sources` are the files that the ledger knows, on which ingests were `settled`; `costs` are what
    steps cost so far, by stage and action; `rulings` are those in force, by stage. `at` is the moment of
    the plan in Unix seconds; `absent` are objects that should be stored and aren't.
    """

    heads: Mapping[str, Head]
    recipes: Mapping[str, Mapping[str, str]]
    live: Mapping[str, Delivery]
    decisions: Mapping[str, Decision]
    sources: Mapping[str, Mapping[str, SourceFile]] = field(default_factory=dict)
    settled: Mapping[str, Mark] = field(default_factory=dict)
    rulings: Mapping[str, InForce] = field(default_factory=dict)
    costs: Mapping[str, Mapping[str, Cost]] = field(default_factory=dict)
    at: float = 0.0
    absent: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class Draft:
    """Grows stage by stage. `contents` maps stage and partition to a content, or None: to be computed.

    `changed` are the partitions that have steps, `behind` the stages that won't be wholly current when
    all steps are done, `unlikely` the models that are trained only if something comes out unexpectedly,
    `called` by ingest what it reads.
    """

    flow: Flow
    recipes: Mapping[str, Recipe]
    now: Now
    request: Request
    known: Lookup
    cuts: Mapping[str, Partitioning]
    order: dict[str, int] = field(init=False)
    contents: dict[str, Contents] = field(default_factory=dict)
    ranks: dict[tuple[str, str], str] = field(default_factory=dict)
    steps: list[tuple[str, int, Step]] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    models: list[ModelState] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    current: dict[str, int] = field(default_factory=dict)
    changed: dict[str, set[str]] = field(default_factory=dict)
    behind: set[str] = field(default_factory=set)
    unlikely: set[str] = field(default_factory=set)
    called: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.order = {name: number for number, name in enumerate(self.flow.names)}

    def bound(self, stage: str) -> Mapping[str, Binding]:
        """The partitions of a stage that are published now."""
        head = self.now.heads.get(stage)
        return head.partitions if head else {}

    def lost(self, binding: Binding) -> bool:
        """Whether some of what is bound is known to be gone from the store."""
        return bool(self.now.absent) and not self.now.absent.isdisjoint(binding.product.pins)

    def add(self, step: Step, *, after: Iterable[str] = (), beside: str = "") -> str:
        """Take a step into the plan, after what it reads and after the ranks `after`; its own rank.

        Steps of one rank run in the order of stages; one that is taken `beside` a stage runs after it.
        """
        cut = self.cuts[step.stage]
        # What is removed may be a partition of an earlier cut.
        timed = step.partition not in (WHOLE, UNPLACED) and (
            step.action is not Action.REMOVE or fits(step.partition, cut)
        )
        own = moment(step.partition, cut.grain) if cut.grain and timed else ""
        reads = (
            self.ranks.get((name, key), "") for name, keys in step.reads.items() for key in keys
        )
        rank = max((own, *reads, *after))
        if step.subject == "":
            self.ranks[step.stage, step.partition] = rank
        self.changed.setdefault(step.stage, set()).add(step.partition)
        self.steps.append((rank, self.order[beside or step.stage], step))
        return rank


def selected(request: Request, partition: str, cut: Partitioning) -> bool:
    """Whether a partition lies in the time that was asked for; those that aren't by time always do."""
    grain = cut.grain
    if grain is None or partition in (WHOLE, UNPLACED) or not fits(partition, cut):
        return True
    if request.since is not None and start_of(partition, grain) < request.since:
        return False
    return request.until is None or end_of(partition, grain) <= request.until


def asked_again(draft: Draft, stage: Stage) -> bool:
    """Whether the stage is to run although it is current; what it needs is not."""
    return draft.request.again and draft.request.stage in ("", stage.name)


def reasons_for(
    draft: Draft,
    stage: Stage,
    bound: Binding | None,
    inputs: Inputs,
    handed: Handed,
    *,
    ruled: tuple[str, ...] = (),
) -> tuple[str, ...]:
    """Why a partition isn't current, most telling first; `ruled` says which rulings are new."""
    if asked_again(draft, stage):
        return ("asked for again",)
    if bound is None:
        return ("new partition",) if draft.cuts[stage.name].column else ("not built yet",)
    if handed.key == bound.key:
        return (_distrusted(draft, stage, bound),)
    recipe = draft.recipes[stage.name]
    found: list[str] = []
    if bound.recipe != recipe.digest:
        found += changes(draft.now.recipes.get(stage.name, {}), recipe.parts) or (
            "its recipe is another than when it was built",
        )
    found += ruled
    for name, contents in inputs.items():
        if name == RULINGS:
            continue
        pending = sorted(k for k, c in contents.items() if c is None or isinstance(c, Expected))
        if pending:
            found.append(f"{name} runs first ({pending[0]}{', ...' if len(pending) > 1 else ''})")
        elif bound.inputs.get(name) != handed.inputs[name]:
            word = draft.called.get(stage.name, name)
            found.append(_changed(draft, bound, word, contents, handed.seen[name]))
    return tuple(found) or ("its key changed",)


def _distrusted(draft: Draft, stage: Stage, bound: Binding) -> str:
    """Why a partition isn't current although its key is the same."""
    recipe = draft.recipes[stage.name]
    if recipe.unproven or bound.touched:
        return f"can't be proven unchanged: {(*recipe.unproven, *bound.touched)[0]}"
    if stage.impure is not None:
        return f"impure: {stage.impure}"
    if draft.lost(bound):
        return "its object is missing"
    if bound.sample != recipe.sample:
        return "it was computed on another sample"
    return "its contract checks something else"


def _changed(
    draft: Draft, bound: Binding, name: str, contents: Contents, seen: Mapping[str, str]
) -> str:
    """Which columns of an input changed, and in which of its partitions as far as that is known."""
    before = bound.seen.get(name, {})
    newer = [
        key
        for key in contents
        if (own := draft.bound(name).get(key)) is not None and own.at > bound.at
    ]
    place = f" in {spread(newer)}" if newer and (len(contents) > 1 or newer != [WHOLE]) else ""
    told = {c: before.get(c) for c in seen if c not in (ALL, ROWS)}
    columns = [c for c, share in told.items() if share not in (None, seen[c])]
    # Every one of many columns: other partitions rather than other values.
    if columns and (len(columns) < len(seen) or len(columns) <= NAMED):
        many = "column" if len(columns) == 1 else "columns"
        return f"{many} {named(columns)} of {name} changed{place}"
    fresh = [c for c, share in told.items() if share is None]
    if before and ALL not in before and fresh and not columns:
        return f"it reads {named(fresh)} of {name} now"
    return f"{name} changed{place}"


def size_of(draft: Draft, inputs: Inputs) -> tuple[int, int]:
    """The rows and bytes that inputs hand over, as far as they are published or will be bound."""
    products = [
        product
        for name, contents in inputs.items()
        for key, content in contents.items()
        if (product := held(draft, name, key, content)) is not None
    ]
    return sum(p.rows for p in products), sum(p.bytes for p in products)


def held(draft: Draft, stage: str, partition: str, content: Content) -> Product | None:
    """What a partition is known to hold; while that is to be computed, what it holds until then."""
    if isinstance(content, Product):
        return content
    binding = draft.bound(stage).get(partition)
    return binding.product if binding else None


def reads_of(inputs: Inputs) -> dict[str, tuple[str, ...]]:
    """The partitions that each input hands over."""
    return {name: tuple(contents) for name, contents in inputs.items()}
