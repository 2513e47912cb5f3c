"""Trace published partitions upstream, stage by stage down to source files, as the ledger recorded them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.binding import Binding
from tidemill.lineage.upstream import ColumnTrace, Upstream, changed_columns
from tidemill.ports.ledger import Ledger, State
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.source import SourceFile
from tidemill.workflow.stage import Flow, Kind, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceFacts:
    """The workflow, recipes, state and ledger that explanations are made from."""

    flow: Flow
    recipes: Mapping[str, Recipe]
    state: State
    ledger: Ledger

    def bindings(self, stage: str) -> Mapping[str, Binding]:
        """The published partitions of a stage."""
        head = self.state.heads.get(stage)
        return head.partitions if head else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The contribution of one stage: its partitions, the runs and times that published them, its files.

    `columns` are the columns that were used; empty for a model, and if only the number of rows counts.
    `changed` says that a partition changed since its reader was computed, `changed_columns` in which
    columns, if that is known.
    """

    stage: str
    kind: Kind
    partitions: tuple[str, ...]
    columns: tuple[str, ...] = ()
    rows: int = 0
    first: float = 0.0
    last: float = 0.0
    runs: tuple[str, ...] = ()
    files: tuple[SourceFile, ...] = ()
    changed: bool = False
    changed_columns: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Contribution:
    """The partitions and columns of a stage that contribute, while they are collected."""

    keys: set[str] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    changed: bool = False
    changed_columns: set[str] = field(default_factory=set)


def trace_origins(
    facts: ProvenanceFacts,
    stage: Stage,
    chosen: Collection[str],
    lineage: Sequence[ColumnTrace] = (),
) -> tuple[Origin, ...]:
    """Walk upstream, nearest stages first; each stage appears once, with all contributing partitions.

    With the `lineage` of a column only the stages and columns in it count.
    """
    return tuple(_OriginWalk(facts, lineage).up(stage, chosen))


class _OriginWalk:
    def __init__(self, facts: ProvenanceFacts, lineage: Sequence[ColumnTrace]) -> None:
        self._facts = facts
        self._upstream = Upstream(flow=facts.flow, heads=facts.state.heads)
        self._edges: dict[tuple[str, str], set[str]] = {}
        for item in lineage:
            for name, columns in item.reads.items():
                self._edges.setdefault((item.stage, name), set()).update(columns)
        self._lineage = lineage

    def up(self, stage: Stage, chosen: Collection[str]) -> Iterator[Origin]:
        own = {item.column for item in self._lineage if item.stage == stage.name}
        found = {stage.name: _Contribution(keys=set(chosen), columns=own)}
        upstream = self._upstream
        for reader in reversed(self._facts.flow.stages):
            if reader.name not in found:
                continue
            item = found[reader.name]
            upstream.hold(reader.name, item.keys)
            reads = {key: upstream.partitions_read(reader, key) for key in sorted(item.keys)}
            wanted: dict[str, set[str]] = {}
            for name, keys in (read for each in reads.values() for read in each.items()):
                wanted.setdefault(name, set()).update(keys)
            for name, all_keys in wanted.items():
                upstream.hold(name, all_keys)
            for key, read in reads.items():
                self._take(found, reader, key, read)
            if reader.name != stage.name or stage.kind is Kind.INGEST:
                bound = upstream.bindings(reader.name)
                yield _make_origin(self._facts, reader, item, bound, with_rows=reader != stage)
            upstream.drop(reader.name)

    def _take(
        self,
        found: dict[str, _Contribution],
        reader: Stage,
        key: str,
        read: Mapping[str, tuple[str, ...]],
    ) -> None:
        for name, keys in read.items():
            columns = self._used_columns(reader, name)
            if columns is None:
                continue
            item = found.setdefault(name, _Contribution())
            item.keys.update(keys)
            item.columns.update(columns)
            moved = self._changed_columns(reader, key, name, keys)
            if moved is None:
                continue
            named = [c for c in moved if c in columns] if self._lineage else moved
            item.changed = item.changed or bool(named) or not moved
            item.changed_columns.update(named)

    def _used_columns(self, reader: Stage, name: str) -> set[str] | None:
        """The columns of an input that a stage uses; None if the input isn't in the lineage."""
        if self._lineage:
            return self._edges.get((reader.name, name))
        reads = self._facts.recipes[reader.name].reads.get(name)
        if reads is not None:
            return set(reads)
        other = self._facts.flow[name].output
        return set(other.names) if other else set()

    def _changed_columns(
        self, reader: Stage, key: str, name: str, keys: tuple[str, ...]
    ) -> tuple[str, ...] | None:
        """The columns of an input that changed since a partition was computed from it."""
        held = self._upstream.bindings(reader.name).get(key)
        if held is None or self._facts.flow[name].kind is Kind.MODEL:
            return None
        return changed_columns(held, name, self._upstream.products(name, keys))


def _make_origin(
    facts: ProvenanceFacts,
    stage: Stage,
    found: _Contribution,
    held: Mapping[str, Binding],
    *,
    with_rows: bool,
) -> Origin:
    bound = [held[key] for key in found.keys if key in held]
    files = facts.state.sources.get(stage.name, {}).values() if stage.kind is Kind.INGEST else ()
    own = stage.output.names if stage.output else ()
    return Origin(
        stage=stage.name,
        kind=stage.kind,
        partitions=tuple(sorted(found.keys)),
        columns=tuple(name for name in own if name in found.columns),
        rows=sum(binding.product.rows for binding in bound) if with_rows else 0,
        first=min((binding.at for binding in bound), default=0.0),
        last=max((binding.at for binding in bound), default=0.0),
        runs=tuple(sorted({binding.run for binding in bound})),
        files=tuple(file for file in files if set(file.rows) & found.keys),
        changed=found.changed,
        changed_columns=tuple(name for name in own if name in found.changed_columns),
    )
