"""What something was made of: stage by stage upstream, down to source files, from what the ledger holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tidemill.ledger.binding import Binding
from tidemill.lineage.upstream import Traced, Upstream, changed_columns
from tidemill.ports.ledger import Ledger, State
from tidemill.reuse.recipe import Recipe
from tidemill.workflow.source import SourceFile
from tidemill.workflow.stage import Flow, Kind, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Where explanations take their facts from."""

    flow: Flow
    recipes: Mapping[str, Recipe]
    state: State
    ledger: Ledger

    def bound(self, stage: str) -> Mapping[str, Binding]:
        """What is published of a stage."""
        head = self.state.heads.get(stage)
        return head.partitions if head else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What one stage contributed: its partitions, when and by which runs they were made, its files.

    `columns` are those of its columns that count here; there are none of a model, and where only the
    number of rows does. `changed` says that a partition is no longer what it was when its reader was
    made, `changed_columns` in which columns, as far as that is known.
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
class _Found:
    """What of a stage is an origin, while it is being collected."""

    keys: set[str] = field(default_factory=set)
    columns: set[str] = field(default_factory=set)
    changed: bool = False
    changed_columns: set[str] = field(default_factory=set)


def origins_of(
    facts: Facts, stage: Stage, chosen: Collection[str], lineage: Sequence[Traced] = ()
) -> tuple[Origin, ...]:
    """Walk upstream, nearest stages first; each stage once, with all of its partitions that count.

    With the `lineage` of a column only the stages and columns on it count.
    """
    walk = _Walk(facts, lineage)
    found = walk.up(stage, chosen)
    return tuple(
        _origin(facts, other, found[other.name], with_rows=other != stage)
        for other in reversed(facts.flow.stages)
        if other.name in found and (other.name != stage.name or stage.kind is Kind.INGEST)
    )


class _Walk:
    def __init__(self, facts: Facts, lineage: Sequence[Traced]) -> None:
        self._facts = facts
        self._upstream = Upstream(flow=facts.flow, heads=facts.state.heads)
        self._edges: dict[tuple[str, str], set[str]] = {}
        for item in lineage:
            for name, columns in item.reads.items():
                self._edges.setdefault((item.stage, name), set()).update(columns)
        self._lineage = lineage

    def up(self, stage: Stage, chosen: Collection[str]) -> dict[str, _Found]:
        own = {item.column for item in self._lineage if item.stage == stage.name}
        found = {stage.name: _Found(keys=set(chosen), columns=own)}
        for reader in reversed(self._facts.flow.stages):
            if reader.name in found:
                for key in sorted(found[reader.name].keys):
                    self._take(found, reader, key)
        return found

    def _take(self, found: dict[str, _Found], reader: Stage, key: str) -> None:
        for name, keys in self._upstream.of(reader, key).items():
            columns = self._counted(reader, name)
            if columns is None:
                continue
            item = found.setdefault(name, _Found())
            item.keys.update(keys)
            item.columns.update(columns)
            moved = self._moved(reader, key, name, keys)
            if moved is None:
                continue
            named = [c for c in moved if c in columns] if self._lineage else moved
            item.changed = item.changed or bool(named) or not moved
            item.changed_columns.update(named)

    def _counted(self, reader: Stage, name: str) -> set[str] | None:
        """The columns of an input that count for a stage; None for one that isn't on the lineage."""
        if self._lineage:
            return self._edges.get((reader.name, name))
        reads = self._facts.recipes[reader.name].reads.get(name)
        if reads is not None:
            return set(reads)
        other = self._facts.flow[name].output
        return set(other.names) if other else set()

    def _moved(
        self, reader: Stage, key: str, name: str, keys: tuple[str, ...]
    ) -> tuple[str, ...] | None:
        """Which columns of an input are no longer what they were when a partition was made of it."""
        held = self._facts.bound(reader.name).get(key)
        if held is None or self._facts.flow[name].kind is Kind.MODEL:
            return None
        return changed_columns(held, name, self._upstream.products(name, keys))


def _origin(facts: Facts, stage: Stage, found: _Found, *, with_rows: bool) -> Origin:
    held = facts.bound(stage.name)
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
