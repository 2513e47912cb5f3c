"""The data dictionary of a workflow: every contract, its producer and its readers, column by column.

The query of a transform tells what it reads and where its columns come from. An opaque stage (a model, a
delivery, code that collects) may read all that it receives, and any output may depend on any of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field
from typing import TypeAlias

from tidemill.analysis.query.summary import Reads
from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass
from tidemill.lineage.impact import consumers_of
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Flow, Kind, Stage

# A column of a stage.
Cell: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableUse:
    """A stage that reads a table: the names of the columns, or None if it may read any of them."""

    stage: str
    kind: Kind
    columns: tuple[str, ...] | None
    place: str = ""

    def reads(self, column: str) -> bool:
        return self.columns is None or column in self.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class DictionaryEntry:
    """A stage with its contract, the origins of its columns, and its readers.

    `lineage` has for each column the columns that it depends on, including those that select its rows. It
    is empty for an ingest, and for a stage whose lineage is unknown, as `opaque` explains.
    """

    stage: str
    kind: Kind
    place: str
    spec: ContractSpec
    about: str = ""
    inputs: tuple[str, ...] = ()
    lineage: Mapping[str, Reads] = field(default_factory=dict)
    opaque: str = ""
    uses: tuple[TableUse, ...] = ()

    def origins(self, column: str) -> tuple[Cell, ...]:
        """The input columns that a column depends on, if the query tells."""
        reads = self.lineage.get(column, {})
        return tuple((name, read) for name, columns in reads.items() for read in columns)

    def readers(self, column: str) -> tuple[TableUse, ...]:
        return tuple(use for use in self.uses if use.reads(column))


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFlowTarget:
    """A stage that personal data may reach: its columns, or None if it may be anywhere in its output."""

    stage: str
    kind: Kind
    columns: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalColumn:
    """A column that is marked as personal data, and the stages that the data may reach."""

    stage: str
    column: str
    pii: str
    reached: tuple[DataFlowTarget, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dictionary:
    """Every contract of a workflow, in an order in which stages can run."""

    workflow: str
    owner: str
    entries: tuple[DictionaryEntry, ...]
    personal: tuple[PersonalColumn, ...]


def build_dictionary(flow: Flow, recipes: Mapping[str, Recipe]) -> Dictionary:
    """Build the data dictionary of a workflow from its declaration and its recipes."""
    entries = tuple(
        entry_of(flow, recipes, stage.name) for stage in flow.stages if stage.output is not None
    )
    return Dictionary(
        workflow=flow.name,
        owner=flow.owner,
        entries=entries,
        personal=marked_columns(flow, recipes),
    )


def marked_columns(
    flow: Flow, recipes: Mapping[str, Recipe], names: Collection[str] | None = None
) -> tuple[PersonalColumn, ...]:
    """The columns that contracts mark as personal data, of all or of these `names`, and what they reach."""
    return tuple(
        PersonalColumn(
            stage=stage.name,
            column=column.name,
            pii=column.pii,
            reached=_data_flow(flow, recipes, (stage.name, column.name)),
        )
        for stage in flow.stages
        if stage.output is not None
        for column in stage.output.columns
        if column.pii and (names is None or column.name in names)
    )


def entry_of(flow: Flow, recipes: Mapping[str, Recipe], name: str) -> DictionaryEntry:
    """The dictionary entry of a stage that has a contract."""
    stage, recipe = flow[name], recipes[name]
    assert stage.output is not None
    return DictionaryEntry(
        stage=name,
        kind=stage.kind,
        place=stage.place,
        spec=stage.output,
        about=_about(stage),
        inputs=tuple(item.name for item in stage.inputs),
        lineage=recipe.lineage,
        opaque=_opaque(stage, recipe),
        uses=tuple(
            TableUse(
                stage=reader.stage,
                kind=flow[reader.stage].kind,
                columns=reader.columns,
                place=reader.place,
            )
            for reader in consumers_of(flow, recipes, name)
        ),
    )


def _about(stage: Stage) -> str:
    text = (getattr(stage.function, "__doc__", None) or "").strip()
    return " ".join(text.partition("\n\n")[0].split())


def _opaque(stage: Stage, recipe: Recipe) -> str:
    if stage.kind is Kind.INGEST or recipe.lineage:
        return ""
    return recipe.opaque or "its query can't be followed"


def _data_flow(
    flow: Flow, recipes: Mapping[str, Recipe], start: Cell
) -> tuple[DataFlowTarget, ...]:
    """The stages downstream of a column, with their columns that depend on it."""
    held: dict[str, frozenset[str] | None] = {start[0]: frozenset({start[1]})}
    found = []
    for stage in flow.stages:
        if stage.name == start[0] or not receives(stage, held):
            continue
        columns = _dependent_columns(stage, recipes[stage.name], held)
        if columns is not None and not columns:
            continue
        held[stage.name] = columns
        found.append(
            DataFlowTarget(
                stage=stage.name, kind=stage.kind, columns=_in_contract_order(stage, columns)
            ),
        )
    return tuple(found)


def receives(stage: Stage, held: Mapping[str, frozenset[str] | None]) -> bool:
    """Whether a stage receives any of these columns; one that declares its reads receives only those."""
    return stage.model in held or any(
        item.name in held
        and (
            item.reads is None
            or (columns := held[item.name]) is None
            or not columns.isdisjoint(item.columns)
        )
        for item in stage.inputs
    )


def _dependent_columns(
    stage: Stage, recipe: Recipe, held: Mapping[str, frozenset[str] | None]
) -> frozenset[str] | None:
    """The columns of a stage that depend on these columns; None if any may."""
    if not recipe.lineage:
        return None
    return frozenset(
        column for column, reads in recipe.lineage.items() if any(_overlaps(reads, held))
    )


def _overlaps(reads: Reads, held: Mapping[str, frozenset[str] | None]) -> Iterator[bool]:
    for name, columns in reads.items():
        if name in held:
            within = held[name]
            yield bool(columns) if within is None else not within.isdisjoint(columns)


def _in_contract_order(stage: Stage, columns: Iterable[str] | None) -> tuple[str, ...] | None:
    if columns is None:
        return None
    declared = stage.output.names if stage.output else ()
    known = [name for name in declared if name in columns]
    return (*known, *sorted(set(columns) - set(known)))
