"""Follow a column downstream: who reads it, and which columns are made from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from tidemill.core.lazy_dataclass import dataclass
from tidemill.lineage.dictionary import Cell, receives
from tidemill.lineage.upstream import ColumnTrace
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.stage import Flow, Kind, Stage

# What a stage holds of a column: columns of its own, or None if any may depend on it.
Held = Mapping[str, frozenset[str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnEdge:
    """A column of one stage that depends on one of another; "" stands for any column, or for the rows.

    With `by_value` its values are computed from it; otherwise it only decides which rows there are, or that
    isn't known.
    """

    source: Cell
    target: Cell
    by_value: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DownstreamReader:
    """A stage or an endpoint that depends on a column, directly or through others.

    `columns` are those of its own that depend on it, None if any may; `through` are the stages and models
    that it reads for that. It reads the column itself if it `is_direct`. What `is_copy` delivers all columns
    as they are.
    """

    name: str
    kind: str
    columns: tuple[str, ...] | None
    through: tuple[str, ...]
    is_direct: bool
    is_copy: bool = False


def column_edges_down(
    flow: Flow, recipes: Mapping[str, Recipe], stage: str, column: str
) -> tuple[ColumnEdge, ...]:
    """The edges from a column to all that depends on it, in an order in which stages can run."""
    held: dict[str, frozenset[str] | None] = {stage: frozenset({column})}
    found: list[ColumnEdge] = []
    for reader in flow.stages:
        if reader.name == stage or not receives(reader, held):
            continue
        recipe = recipes[reader.name]
        if recipe.lineage:
            own = [*_known_edges(reader.name, recipe, held)]
            columns: frozenset[str] | None = frozenset(edge.target[1] for edge in own)
        else:
            own, columns = [*_possible_edges(reader, held)], None
        if own:
            held[reader.name] = columns
            found += own
    return tuple(found)


def column_edges_up(
    traces: Iterable[ColumnTrace], recipes: Mapping[str, Recipe]
) -> tuple[ColumnEdge, ...]:
    """The edges of the lineage of a column, from its sources to it."""
    return tuple(
        ColumnEdge(
            source=(name, column),
            target=(trace.stage, trace.column),
            by_value=_is_value(recipes[trace.stage], trace.column, name, column),
        )
        for trace in traces
        for name, columns in trace.reads.items()
        for column in columns or ("",)
    )  # fmt: skip


def column_readers(
    flow: Flow, edges: Sequence[ColumnEdge], stage: str
) -> tuple[DownstreamReader, ...]:
    """The stages and endpoints that the edges from a column of a stage lead to."""
    into: dict[str, list[ColumnEdge]] = {}
    for edge in edges:
        into.setdefault(edge.target[0], []).append(edge)
    stages = tuple(_reader(flow[name], own, stage) for name, own in into.items())
    return (*stages, *_endpoints(flow, {stage, *into}, stage))


def _reader(reader: Stage, edges: Sequence[ColumnEdge], start: str) -> DownstreamReader:
    columns = {edge.target[1] for edge in edges}
    declared = reader.output.names if reader.output is not None else ()
    return DownstreamReader(
        name=reader.name,
        kind=str(reader.kind),
        columns=None if "" in columns else tuple(name for name in declared if name in columns),
        through=tuple(dict.fromkeys(edge.source[0] for edge in edges)),
        is_direct=any(edge.source[0] == start for edge in edges),
        is_copy=reader.kind is Kind.DELIVER and not reader.model,
    )


def _endpoints(flow: Flow, reached: Set[str], start: str) -> Iterator[DownstreamReader]:
    for endpoint in flow.endpoints:
        through = tuple(name for name in (endpoint.features, endpoint.model) if name in reached)
        if through:
            yield DownstreamReader(
                name=endpoint.name,
                kind="endpoint",
                columns=None,
                through=through,
                is_direct=start in through,
            )


def _known_edges(reader: str, recipe: Recipe, held: Held) -> Iterator[ColumnEdge]:
    """The edges that the query of a stage tells."""
    for column, reads in recipe.lineage.items():
        for name, sources in reads.items():
            if name not in held:
                continue
            own = held[name]
            for source in sources:
                if own is None or source in own:
                    yield ColumnEdge(
                        source=(name, "" if own is None else source),
                        target=(reader, column),
                        by_value=_is_value(recipe, column, name, source),
                    )


def _possible_edges(reader: Stage, held: Held) -> Iterator[ColumnEdge]:
    """Edges from all that a stage receives, whose query doesn't tell what depends on what."""
    for item in reader.inputs:
        if item.name not in held:
            continue
        own = held[item.name]
        known = [""] if own is None else [name for name in sorted(own) if name in item.columns]
        # What isn't a table, such as a model, is received whole.
        for column in known or ([""] if item.contract is None else []):
            yield ColumnEdge(source=(item.name, column), target=(reader.name, ""))
    if reader.model in held and reader.kind is not Kind.MODEL:
        yield ColumnEdge(source=(reader.model, ""), target=(reader.name, ""))


def _is_value(recipe: Recipe, column: str, name: str, source: str) -> bool:
    return source in recipe.values.get(column, {}).get(name, ())
