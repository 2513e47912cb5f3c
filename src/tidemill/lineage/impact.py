"""Find the consumers that a contract change breaks, by the columns and guarantees that they rely on.

A consumer that declares what it relies on is broken only by a change that removes it. One that declares
nothing may be broken by any constraint that is loosened on a column that it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tidemill.contracts.compatibility.changes import Change, Diff
from tidemill.contracts.compatibility.unmet_demands import UnmetDemand, unmet_demands
from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.core.lazy_dataclass import dataclass
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.guarantees import required_contract
from tidemill.workflow.stage import Flow, Input, Kind, Stage

_BY_CODE = "judged by code, which may read any column"
_BY_MODEL = "delivers what its model makes of it"
_AS_IT_IS = "delivers it as it is"
_NO_BLAME = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A stage that reads a table: the names of its `columns`, or None if it may read any, as `why` says.

    `relies` is what it declares to rely on, None if it declares nothing.
    """

    stage: str
    columns: tuple[str, ...] | None
    relies: Reads | ContractSpec | None = None
    place: str = ""
    why: str = _BY_CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """The effect of a change on a stage that reads the table: whether it breaks or may break, and why."""

    stage: str
    change: Change
    breaks: bool
    why: str
    place: str = ""


def consequences(
    found: Diff,
    consumers: Sequence[Consumer],
    versions: tuple[ContractSpec, ContractSpec] | None = None,
) -> tuple[Consequence, ...]:
    """The consumers that each change breaks or may break; columns that they don't read don't count.

    `versions` are the old and the new contract, needed for consumers that declare what they rely on.
    """
    lost = (
        {c.stage: dict(_lost_guarantees(c, found, *versions)) for c in consumers}
        if versions
        else {}
    )
    return tuple(
        each
        for place, change in enumerate(found.changes)
        if not change.told
        for consumer in consumers
        if (each := _consequence(change, consumer, lost.get(consumer.stage, {}).get(place)))
    )


def _lost_guarantees(
    consumer: Consumer, found: Diff, old: ContractSpec, new: ContractSpec
) -> Iterator[tuple[int, str]]:
    """The positions of changes that remove a guarantee of a consumer, each with the guarantee."""
    relies = consumer.relies
    if relies is None or (isinstance(relies, Reads) and relies.guarantees is None):
        return
    wanted = required_contract(relies, old) if isinstance(relies, Reads) else relies
    for gone in unmet_demands(wanted, new):
        place = _change_to_blame(gone, found.changes)
        if place is not None:
            yield place, gone.name.removesuffix(".exists")


def _change_to_blame(gone: UnmetDemand, changes: Sequence[Change]) -> int | None:
    """The position of the change that most likely removed a guarantee."""
    ranked = [
        (_blame_rank(gone, change), place)
        for place, change in enumerate(changes)
        if change.for_consumers or change.gone
    ]
    blame, place = min(ranked, default=(_NO_BLAME, -1))
    return place if blame < _NO_BLAME else None


def _blame_rank(gone: UnmetDemand, change: Change) -> int:
    term = "nullable" if gone.term == "null" else gone.term
    if change.about == gone.about:
        return 0 if change.term in (term, "on_fail") else 1
    if change.term == gone.about:
        return 1
    return _NO_BLAME if change.column else 2


def _consequence(change: Change, consumer: Consumer, lost: str | None) -> Consequence | None:
    why = f"relies on {lost}" if lost else _concern(change, consumer)
    if not why:
        return None
    breaks = lost is not None or (change.gone and consumer.columns is not None)
    return Consequence(
        stage=consumer.stage, change=change, breaks=breaks, why=why, place=consumer.place
    )


def _concern(change: Change, consumer: Consumer) -> str:
    """Why a change may affect a consumer; "" if it doesn't."""
    # A removed column breaks its readers even if the compatibility mode allows the removal.
    if not (change.for_consumers or change.gone or change.felt):
        return ""
    # A consumer with declared guarantees needs only the columns and their types besides those.
    if _declares_guarantees(consumer) and not (change.gone or change.felt or change.term == "type"):
        return ""
    if not change.column:
        return "" if _declares_guarantees(consumer) and change.for_consumers else "reads the table"
    if consumer.columns is None:
        return consumer.why
    return f"reads {change.column}" if change.column in consumer.columns else ""


def _declares_guarantees(consumer: Consumer) -> bool:
    relies = consumer.relies
    return relies is not None and not (isinstance(relies, Reads) and relies.guarantees is None)


def consumers_of(flow: Flow, recipes: Mapping[str, Recipe], name: str) -> tuple[Consumer, ...]:
    """The stages that read the table of a stage, with the columns they read and what they rely on."""
    given = flow[name].output
    return tuple(
        _consumer(stage, item, given, recipes[stage.name])
        for stage in flow.stages
        for item in stage.inputs
        if item.name == name and given is not None
    )


def _consumer(stage: Stage, item: Input, given: ContractSpec, recipe: Recipe) -> Consumer:
    own = item.contract if item.contract not in (None, given) else None
    columns: tuple[str, ...] | None = None
    why = _BY_CODE
    if stage.kind is Kind.DELIVER:
        why = _BY_MODEL if stage.model else _AS_IT_IS
        columns = item.reads.columns if item.reads is not None else None
    # The query of a transform lists everything that it reads.
    elif recipe.lineage:
        columns = recipe.reads[item.name]
    elif item.reads is not None or own is not None:
        columns = item.columns
    return Consumer(
        stage=stage.name,
        columns=columns,
        relies=item.reads or own,
        place=stage.place,
        why=why,
    )
