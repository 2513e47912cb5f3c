"""The data dictionary of a workflow: every contract, who gives it and who reads it, column by column.

What a transform reads and what its columns come from is what its query says. A stage whose query
isn't the whole truth (a model, a delivery, code that collects) may read all that it is handed, and
whatever it makes may come from any of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tidemill.analysis.query.summary import Reads
from tidemill.contracts.spec import ContractSpec
from tidemill.lineage.impact import readers
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Flow, Kind, Stage

# A column of a stage.
Cell: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A stage that reads a table: the columns by name, or None if it may read any of them."""

    stage: str
    kind: Kind
    columns: tuple[str, ...] | None
    place: str = ""

    def reads(self, column: str) -> bool:
        return self.columns is None or column in self.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A stage and its contract: what its columns come from, and who reads them.

    `lineage` holds for each column the columns that it depends on, those that decide about its rows
    included; it is empty for an ingest, and where `opaque`, which says why it can't be told.
    """

    stage: str
    kind: Kind
    place: str
    spec: ContractSpec
    about: str = ""
    inputs: tuple[str, ...] = ()
    lineage: Mapping[str, Reads] = field(default_factory=dict)
    opaque: str = ""
    uses: tuple[Use, ...] = ()

    def origins(self, column: str) -> tuple[Cell, ...]:
        """The columns of inputs that a column depends on, as far as the query tells."""
        reads = self.lineage.get(column, {})
        return tuple((name, read) for name, columns in reads.items() for read in columns)

    def readers(self, column: str) -> tuple[Use, ...]:
        return tuple(use for use in self.uses if use.reads(column))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Where personal data may be: columns of a stage, or None where it is anywhere in what it makes."""

    stage: str
    kind: Kind
    columns: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """A column that is marked as personal data, and where it may flow to."""

    stage: str
    column: str
    pii: str
    reached: tuple[Reached, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dictionary:
    """Every contract of a workflow, in the order in which stages can run."""

    workflow: str
    owner: str
    entries: tuple[Entry, ...]
    personal: tuple[Personal, ...]


def dictionary(flow: Flow, recipes: Mapping[str, Recipe]) -> Dictionary:
    """The data dictionary of a workflow, from its declaration and what the probe found."""
    entries = tuple(
        entry_of(flow, recipes, stage.name) for stage in flow.stages if stage.output is not None
    )
    marked = [(e.stage, c.name, c.pii) for e in entries for c in e.spec.columns if c.pii]
    personal = tuple(
        Personal(
            stage=stage, column=column, pii=pii, reached=_reached(flow, recipes, (stage, column))
        )
        for stage, column, pii in marked
    )
    return Dictionary(workflow=flow.name, owner=flow.owner, entries=entries, personal=personal)


def entry_of(flow: Flow, recipes: Mapping[str, Recipe], name: str) -> Entry:
    """A stage that makes a table under a contract, with what its columns come from and go to."""
    stage, recipe = flow[name], recipes[name]
    assert stage.output is not None
    return Entry(
        stage=name,
        kind=stage.kind,
        place=stage.place,
        spec=stage.output,
        about=_about(stage),
        inputs=tuple(item.name for item in stage.inputs),
        lineage=recipe.lineage,
        opaque=_opaque(stage, recipe),
        uses=tuple(
            Use(
                stage=reader.stage,
                kind=flow[reader.stage].kind,
                columns=reader.columns,
                place=reader.place,
            )
            for reader in readers(flow, recipes, name)
        ),
    )


def _about(stage: Stage) -> str:
    text = (getattr(stage.function, "__doc__", None) or "").strip()
    return " ".join(text.partition("\n\n")[0].split())


def _opaque(stage: Stage, recipe: Recipe) -> str:
    if stage.kind is Kind.INGEST or recipe.lineage:
        return ""
    return recipe.opaque or "its query can't be followed"


def _reached(flow: Flow, recipes: Mapping[str, Recipe], start: Cell) -> tuple[Reached, ...]:
    """The stages below a column, with the columns that depend on it."""
    held: dict[str, frozenset[str] | None] = {start[0]: frozenset({start[1]})}
    found = []
    for stage in flow.stages:
        if stage.name == start[0] or not _handed(stage, held):
            continue
        columns = _touched(stage, recipes[stage.name], held)
        if columns is not None and not columns:
            continue
        held[stage.name] = columns
        found.append(
            Reached(stage=stage.name, kind=stage.kind, columns=_ordered(stage, columns)),
        )
    return tuple(found)


def _handed(stage: Stage, held: Mapping[str, frozenset[str] | None]) -> bool:
    """Whether a stage is handed any of what is held; one that says what it reads gets no more."""
    return stage.model in held or any(
        item.name in held
        and (
            item.reads is None
            or (columns := held[item.name]) is None
            or not columns.isdisjoint(item.columns)
        )
        for item in stage.inputs
    )


def _touched(
    stage: Stage, recipe: Recipe, held: Mapping[str, frozenset[str] | None]
) -> frozenset[str] | None:
    """The columns of a stage that depend on what is held; None where any may."""
    if not recipe.lineage:
        return None
    return frozenset(column for column, reads in recipe.lineage.items() if any(_meets(reads, held)))


def _meets(reads: Reads, held: Mapping[str, frozenset[str] | None]) -> Iterator[bool]:
    for name, columns in reads.items():
        if name in held:
            within = held[name]
            yield bool(columns) if within is None else not within.isdisjoint(columns)


def _ordered(stage: Stage, columns: Iterable[str] | None) -> tuple[str, ...] | None:
    if columns is None:
        return None
    declared = stage.output.names if stage.output else ()
    known = [name for name in declared if name in columns]
    return (*known, *sorted(set(columns) - set(known)))
