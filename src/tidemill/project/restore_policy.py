"""Decide by rules and reviews whether a table may be restored to what it had before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidemill.core.counts import plural
from tidemill.core.errors import GateError, StorageError
from tidemill.governance.io.moved_rows import count_moved_rows
from tidemill.governance.personal_columns import delivered_columns, personal_columns
from tidemill.governance.review_state import DECIDING_EVENTS, ReviewSubject
from tidemill.governance.subjects import table_subject
from tidemill.governance.table_facts import TableEvidence, table_facts
from tidemill.governance.verdict import Proposal
from tidemill.ledger.binding import Binding, Product
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import Event, Published
from tidemill.ledger.policy import SubjectKind
from tidemill.ports.ledger import Guard, Lease
from tidemill.project.enforcement import context_of, end_overdue_reviews, enforcement_of
from tidemill.project.workspace import Workspace
from tidemill.runs.io.governed_changes import is_stale
from tidemill.store.frames import FrameStore
from tidemill.workflow.stage import Stage


def decide_restore(
    space: Workspace,
    table: str,
    now: Mapping[str, Effect],
    wanted: Sequence[Effect],
    lease: Lease,
    *,
    run: str,
    again: bool = False,
) -> tuple[tuple[Event, ...], Guard]:
    """Return what is to be recorded with a restore of a table, and the guard for it.

    `now` are the last effects on its partitions, and `wanted` those that bring back what they had after a
    `run`. It is decided on as any delivery of these rows is; with `again` people are asked once more about
    what they rejected. Raises GateError if rules refuse it, or if it waits for people; the decision is
    recorded. ConflictError if anything was decided meanwhile.
    """
    enforcement = enforcement_of(space)
    if not enforcement.governs(SubjectKind.TABLE) or not wanted:
        return (), Guard(lease=lease)
    end_overdue_reviews(space)
    tools, stage = space.tools, space.stage(table)
    # The guard counts the events of all workflows of the home.
    seen = space.state().seq
    guard = Guard(lease=lease, unchanged=dict.fromkeys(DECIDING_EVENTS, seen))
    moves = enforcement.uses(SubjectKind.TABLE, "moved_rows")
    verdict = enforcement.decide(_proposal(space, stage, now, wanted, run, moves), again=again)
    if verdict.allowed:
        return verdict.events, guard
    if verdict.events:
        tools.ledger.append(verdict.events, now=tools.clock(), guard=guard)
    raise GateError("\n".join(verdict.notes))


def _proposal(
    space: Workspace,
    stage: Stage,
    now: Mapping[str, Effect],
    wanted: Sequence[Effect],
    run: str,
    moves: bool,
) -> Proposal:
    assert stage.sink is not None
    delivered, new = restored_products(space, stage.name, now, wanted)
    old = {key: delivered[key] for key in new if key in delivered}
    subject = table_subject(
        stage.name,
        [*stage.sink.identity, space.environment],
        {key: product.content if product else "" for key, product in new.items()},
        {key: product.content for key, product in old.items()},
    )
    evidence = TableEvidence(
        name=stage.name,
        sink=stage.sink.format,
        new=new,
        old=old,
        published=len(delivered),
        published_rows=sum(product.rows for product in delivered.values()),
        moved=_moved(space, stage, new, old) if moves else None,
        public=stage.public,
        sample=space.recipes[stage.name].sample,
        personal=personal_columns(space.flow, space.recipes, delivered_columns(stage, space.flow)),
        stale=_is_stale(space, stage.name),
    )
    return Proposal(
        change=ReviewSubject(kind=SubjectKind.TABLE, name=stage.name, subject=subject, as_of=run),
        title=f"{stage.name} as of run {run}: {plural(len(new), 'partition')}",
        facts=table_facts(context_of(space, space.state()), evidence),
    )


def restored_products(
    space: Workspace, table: str, now: Mapping[str, Effect], wanted: Sequence[Effect]
) -> tuple[dict[str, Product], dict[str, Product | None]]:
    """What is delivered by the effects `now`, and what those that are `wanted` would deliver, by partition.

    None stands for a partition that would be removed. StorageError for rows that were never published.
    """
    known = _products(space, table)
    return (
        {key: _product(known, each) for key, each in now.items() if each.object},
        {each.partition: _product(known, each) if each.object else None for each in wanted},
    )


def _products(space: Workspace, stage: str) -> dict[str, Product]:
    """What was published of a table by the object that was delivered."""
    facts = space.tools.ledger.events(kinds=("Published",), stage=stage)
    products = (fact.event.binding.product for fact in facts if isinstance(fact.event, Published))
    return {product.objects[0]: product for product in products if product.objects}


def _product(known: Mapping[str, Product], effect: Effect) -> Product:
    if effect.object not in known:
        raise StorageError(
            f"{effect.stage} {effect.partition}: it isn't known what was published as {effect.object}, so "
            "that rules can't decide on it"
        )
    return known[effect.object]


def _moved(
    space: Workspace, stage: Stage, new: Mapping[str, Product | None], old: Mapping[str, Product]
) -> int | None:
    frames = FrameStore(space.tools.artifacts, lambda: None)
    return count_moved_rows(frames.partition, new, old, ("model",) if stage.model else ())


def _is_stale(space: Workspace, table: str) -> bool:
    heads = space.state(whole=True).heads

    def bindings(name: str) -> Sequence[Binding]:
        return [*heads[name].partitions.values()] if name in heads else []

    return is_stale(space.flow, table, bindings, space.tools.clock())
