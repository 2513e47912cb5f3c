"""Where tables and columns come from, and who reads them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tidemill.console.views.workflow import WorkflowView, show_workflow
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.lineage.column_readers import (
    ColumnEdge,
    DownstreamReader,
    column_edges_down,
    column_edges_up,
    column_readers,
)
from tidemill.lineage.dictionary import DictionaryEntry
from tidemill.lineage.upstream import ColumnTrace, trace_column
from tidemill.project.project import Project

# So many entries, columns and traces are on a page.
_MOST = 100
# A drawing has at most so many edges between columns.
_MOST_EDGES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DictionaryHit:
    """A stage, or a `column` of it, in the data dictionary: its type, what it means, and how many read it.

    `pii` is the kind of personal data of a column, or the kinds in all columns of a stage.
    """

    stage: str
    kind: str
    column: str
    type: str
    description: str
    pii: str
    readers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageView:
    """The table lineage around a stage, and the columns of the stage; or hits of a search, or all tables.

    `hits` begin with the one `first`, of `total` ones; `next` is the `first` of the page that follows, 0 if
    there is none.
    """

    stage: str
    depth: int
    whole: bool
    q: str
    graph: WorkflowView | None
    hits: tuple[DictionaryHit, ...]
    first: int
    total: int
    next: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnLineageView:
    """Where a column comes from, nearest stages first, and who depends on it.

    `edges` lead from column to column, up and down. With `is_cut` there are more of them, or more traces.
    """

    stage: str
    kind: str
    column: str
    type: str
    description: str
    pii: str
    contract: str
    traces: tuple[ColumnTrace, ...]
    readers: tuple[DownstreamReader, ...]
    edges: tuple[ColumnEdge, ...]
    is_cut: bool


def show_lineage(
    project: Project,
    stage: str = "",
    depth: int = 2,
    whole: bool = False,
    q: str = "",
    group: str = "",
    first: int = 0,
) -> LineageView:
    """Show which stages a stage reads and which read it, up to `depth` steps each way, and its columns.

    Without a `stage` it lists the tables of the data dictionary; with `q` those stages and columns whose
    names or descriptions have this text, 100 a page from `first` on. The `whole` graph is drawn only if it
    is asked for, of which `group` is expanded.
    """
    project.workspace.require(Permission.READ)
    if stage and stage not in project.flow.names:
        raise UsageError(f"there is no stage {stage!r} ({did_you_mean(stage, project.flow.names)})")
    graph = None
    if stage or whole:
        steps = max(depth, 0)
        around = "" if whole else stage
        graph = show_workflow(project, around, steps, steps, group)
    hits = _hits(project, stage, q)
    first = max(first, 0)
    end = first + _MOST
    return LineageView(
        stage=stage,
        depth=depth,
        whole=whole,
        q=q,
        graph=graph,
        hits=tuple(hits[first:end]),
        first=first,
        total=len(hits),
        next=end if end < len(hits) else 0,
        names=project.flow.names,
    )


def show_column_lineage(project: Project, stage: str, column: str) -> ColumnLineageView:
    """Show where a column comes from, and who reads it: stages, models, deliveries and endpoints.

    What a query can't tell counts as if it read all columns that it receives.
    """
    project.workspace.require(Permission.READ)
    flow, recipes = project.flow, project.recipes
    subject = project.stage(stage)
    contract = subject.output
    if contract is None or column not in contract.names:
        names = contract.names if contract is not None else ()
        raise UsageError(f"{stage} has no column {column!r} ({did_you_mean(column, names)})")
    spec = contract.column(column)
    traces = trace_column(flow, recipes, subject, column)
    down = column_edges_down(flow, recipes, stage, column)
    edges = (*column_edges_up(traces, recipes), *down)
    return ColumnLineageView(
        stage=stage,
        kind=str(subject.kind),
        column=column,
        type=str(spec.dtype),
        description=spec.description,
        pii=spec.pii,
        contract=contract.name,
        traces=traces[:_MOST],
        readers=tuple(
            # Those that read the column itself come first.
            sorted(column_readers(flow, down, stage), key=lambda reader: not reader.is_direct)
        ),
        edges=edges[:_MOST_EDGES],
        is_cut=len(traces) > _MOST or len(edges) > _MOST_EDGES,
    )


def _hits(project: Project, stage: str, q: str) -> Sequence[DictionaryHit]:
    """The columns of a stage, what a search finds, or all tables."""
    if stage:
        subject = project.stage(stage)
        if subject.output is None:
            return ()
        return [*_columns(project.lineage.entry(stage), q)]
    entries = project.lineage.dictionary().entries
    if not q:
        return [_table(entry) for entry in entries]
    found: list[DictionaryHit] = []
    for entry in entries:
        if _fits(q, (entry.stage, entry.spec.name, entry.about)):
            found.append(_table(entry))
        found += _columns(entry, q)
    # Names that are what was typed come first.
    return sorted(found, key=lambda hit: (hit.column or hit.stage).lower() != q.lower())


def _table(entry: DictionaryEntry) -> DictionaryHit:
    return DictionaryHit(
        stage=entry.stage,
        kind=str(entry.kind),
        column="",
        type=f"{len(entry.spec.columns):,} columns",
        description=entry.about or entry.spec.description,
        pii=", ".join(dict.fromkeys(c.pii for c in entry.spec.columns if c.pii)),
        readers=len(entry.uses),
    )


def _columns(entry: DictionaryEntry, q: str) -> Iterable[DictionaryHit]:
    for column in entry.spec.columns:
        if _fits(q, (column.name, column.description)):
            yield DictionaryHit(
                stage=entry.stage,
                kind=str(entry.kind),
                column=column.name,
                type=str(column.dtype),
                description=column.description,
                pii=column.pii,
                readers=len(entry.readers(column.name)),
            )


def _fits(q: str, texts: Iterable[str]) -> bool:
    typed = q.casefold()
    return any(typed in text.casefold() for text in texts)
