"""Whom a change of a contract breaks: each consumer is judged by the columns and guarantees that it declares.

A consumer that declares what it relies on is broken by what takes that away, and by nothing else; one that
declares nothing may be broken by whatever loosens in a column that it reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tidemill.contracts.compatibility.changes import Change, Diff
from tidemill.contracts.compatibility.unmet_demands import Unmet, unmet
from tidemill.contracts.spec import ContractSpec, Reads
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.guarantees import demands
from tidemill.workflow.stage import Flow, Input, Kind, Stage

_BY_CODE = "judged by code, which may read any column"
_BY_MODEL = "delivers what its model makes of it"
_NONE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A stage that reads a table: `columns` by name, or None if it may read any, as `why` says.

    `relies` is what it declares that it relies on, None if it doesn't.
    """

    stage: str
    columns: tuple[str, ...] | None
    relies: Reads | ContractSpec | None = None
    place: str = ""
    why: str = _BY_CODE


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """What a change is for a stage that reads the table: it breaks it, or may, and why."""

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
    """The stages that each change breaks or may break; a stage isn't bothered by columns it doesn't read.

    `versions` are the old and the new contract, for stages that declare what they rely on.
    """
    lost = {c.stage: dict(_lost(c, found, *versions)) for c in consumers} if versions else {}
    return tuple(
        each
        for place, change in enumerate(found.changes)
        if not change.told
        for consumer in consumers
        if (each := _consequence(change, consumer, lost.get(consumer.stage, {}).get(place)))
    )


def _lost(
    consumer: Consumer, found: Diff, old: ContractSpec, new: ContractSpec
) -> Iterator[tuple[int, str]]:
    """The changes that take guarantees of a consumer away, by their place, and which they take."""
    relies = consumer.relies
    if relies is None or (isinstance(relies, Reads) and relies.guarantees is None):
        return
    wanted = demands(relies, old) if isinstance(relies, Reads) else relies
    for gone in unmet(wanted, new):
        place = _taken_by(gone, found.changes)
        if place is not None:
            yield place, gone.name.removesuffix(".exists")


def _taken_by(gone: Unmet, changes: Sequence[Change]) -> int | None:
    """The change that is most to blame for a guarantee that is no more."""
    ranked = [
        (_blame(gone, change), place)
        for place, change in enumerate(changes)
        if change.for_consumers or change.gone
    ]
    blame, place = min(ranked, default=(_NONE, -1))
    return place if blame < _NONE else None


def _blame(gone: Unmet, change: Change) -> int:
    term = "nullable" if gone.term == "null" else gone.term
    if change.about == gone.about:
        return 0 if change.term in (term, "on_fail") else 1
    if change.term == gone.about:
        return 1
    return _NONE if change.column else 2


def _consequence(change: Change, consumer: Consumer, lost: str | None) -> Consequence | None:
    why = f"relies on {lost}" if lost else _concerned(change, consumer)
    if not why:
        return None
    breaks = lost is not None or (change.gone and consumer.columns is not None)
    return Consequence(
        stage=consumer.stage, change=change, breaks=breaks, why=why, place=consumer.place
    )


def _concerned(change: Change, consumer: Consumer) -> str:
    """Why a change may concern a consumer; nothing if it doesn't."""
    # A column that is no more is missed by who reads it, also where the mode allows it to go.
    if not (change.for_consumers or change.gone or change.felt):
        return ""
    # Of what it reads, it has to have the column and the type; the rest it has said.
    if _says(consumer) and not (change.gone or change.felt or change.term == "type"):
        return ""
    if not change.column:
        return "" if _says(consumer) and change.for_consumers else "reads the table"
    if consumer.columns is None:
        return consumer.why
    return f"reads {change.column}" if change.column in consumer.columns else ""


def _says(consumer: Consumer) -> bool:
    relies = consumer.relies
    return relies is not None and not (isinstance(relies, Reads) and relies.guarantees is None)


def readers(flow: Flow, recipes: Mapping[str, Recipe], name: str) -> tuple[Consumer, ...]:
    """Who reads the table of a stage, which columns of it, and relying on what."""
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
    if stage.kind is Kind.DELIVER:
        columns = item.reads.columns if item.reads is not None else None
    # A transform whose query says what it reads reads nothing else.
    elif recipe.lineage:
        columns = recipe.reads[item.name]
    elif item.reads is not None or own is not None:
        columns = item.columns
    return Consumer(
        stage=stage.name,
        columns=columns,
        relies=item.reads or own,
        place=stage.place,
        why=_BY_MODEL if stage.kind is Kind.DELIVER else _BY_CODE,
    )
