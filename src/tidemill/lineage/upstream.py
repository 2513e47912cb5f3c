"""Follow stages, columns and partitions upstream."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field

from tidemill.analysis.query.summary import Reads
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED, WHOLE, Partitioning, readable_keys
from tidemill.ledger.binding import Binding, Head, Product, find_bindings
from tidemill.reuse.input_contents import (
    ALL,
    ROWS,
    abbreviate_shares,
    column_shares,
    share_columns,
    shares_digest,
)
from tidemill.reuse.recipe import Recipe, all_input_columns
from tidemill.workflow.partition_mapping import (
    partitionings_of,
    visible_partitions,
    visible_to_unpartitioned,
)
from tidemill.workflow.stage import Flow, Kind, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnTrace:
    """The input columns that a column of a stage depends on.

    `reads` has the columns of each input, none if only the number of its rows counts. An empty `column`
    stands for the number of the stage's rows. `opaque` says why the query doesn't tell: then `reads` has
    all columns of the contracts.
    """

    stage: str
    column: str
    reads: Reads = field(default_factory=dict)
    opaque: str = ""


def change_basis(stage: Stage, recipe: Recipe) -> str:
    """What determines whether a stage changed: its query, its code, its source, or its declaration."""
    if "code" in recipe.parts:
        return "code"
    return {Kind.INGEST: "source", Kind.TRANSFORM: "query"}.get(stage.kind, "declaration")


def trace_column(
    flow: Flow, recipes: Mapping[str, Recipe], stage: Stage, column: str
) -> tuple[ColumnTrace, ...]:
    """The lineage of a column, nearest stages first, down to the columns of ingests."""
    wanted: dict[str, set[str]] = {stage.name: {column}}
    found: list[ColumnTrace] = []
    for reader in reversed(flow.stages):
        for name in _in_contract_order(reader, wanted.get(reader.name, ())):
            item = _trace(reader, recipes[reader.name], name)
            found.append(item)
            for source, columns in item.reads.items():
                wanted.setdefault(source, set()).update(columns or ("",))
    return tuple(found)


def _in_contract_order(stage: Stage, names: set[str] | tuple[()]) -> list[str]:
    own = stage.output.names if stage.output else ()
    return [name for name in ("", *own) if name in names]


def _trace(stage: Stage, recipe: Recipe, column: str) -> ColumnTrace:
    if stage.kind is Kind.INGEST:
        return ColumnTrace(stage=stage.name, column=column)
    reads = recipe.lineage.get(column) if column else _row_columns(recipe)
    if reads is None:
        return ColumnTrace(
            stage=stage.name, column=column, reads=all_input_columns(stage), opaque=recipe.opaque
        )
    return ColumnTrace(stage=stage.name, column=column, reads=reads)


def _row_columns(recipe: Recipe) -> Reads | None:
    """The columns that may select the rows of a stage: those that all of its columns depend on."""
    every = list(recipe.lineage.values())
    if not every:
        return None
    return {
        name: tuple(c for c in columns if all(c in reads[name] for reads in every))
        for name, columns in every[0].items()
        if all(name in reads for reads in every)
    }


@dataclass(slots=True, kw_only=True)
class Upstream:
    """Find the partitions of the inputs that a published partition was computed from."""

    flow: Flow
    heads: Mapping[str, Head]
    _cuts: dict[str, Partitioning] = field(init=False)
    _keys: dict[str, list[str]] = field(default_factory=dict)
    _held: dict[str, Mapping[str, Binding]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._cuts = partitionings_of(self.flow)

    def partitions_read(self, stage: Stage, partition: str) -> Mapping[str, tuple[str, ...]]:
        """The partitions of each input; for a model those that it was trained on."""
        held = self.bindings(stage.name).get(partition)
        if held is not None and held.product.artifact is not None:
            return held.product.artifact.trained_on
        if stage.kind is Kind.DELIVER:
            model = {stage.model: (WHOLE,)} if stage.model else {}
            return {stage.inputs[0].name: (partition,), **model}
        keys = {item.name: self.readable_partitions(item.name) for item in stage.frames}
        if stage.partitioning.is_whole:
            models = {item.name: (WHOLE,) for item in stage.inputs if item.contract is None}
            return {**visible_to_unpartitioned(stage, self._cuts, keys), **models}
        if partition == UNPLACED:
            return {}
        cuts, cut = self._cuts, self._cuts[stage.name]
        return {
            item.name: seen
            for item in stage.frames
            if (seen := visible_partitions(item, partition, cut, cuts[item.name], keys[item.name]))
        }

    def bindings(self, stage: str) -> Mapping[str, Binding]:
        """The published partitions of a stage; only those that are held, if some are."""
        return self._held.get(stage) or self._partitions(stage)

    def hold(self, stage: str, keys: Collection[str]) -> None:
        """Read some partitions of a stage at once, and keep them until `drop`.

        A large head that is asked for one after the other is read more than once if others are in between.
        """
        if not self._held.get(stage, {}).keys() >= {*keys}:
            self._held[stage] = find_bindings(self._partitions(stage), keys)

    def drop(self, stage: str) -> None:
        """Keep the partitions of a stage no longer."""
        self._held.pop(stage, None)

    def _partitions(self, stage: str) -> Mapping[str, Binding]:
        head = self.heads.get(stage)
        return head.partitions if head else {}

    def readable_partitions(self, stage: str) -> list[str]:
        """The published partitions that downstream stages may read, in order."""
        if stage not in self._keys:
            self._keys[stage] = readable_keys(self._partitions(stage))
        return self._keys[stage]

    def products(self, stage: str, partitions: tuple[str, ...]) -> dict[str, Product]:
        """The products of those partitions that are published."""
        bound = self.bindings(stage)
        return {key: held.product for key in partitions if (held := bound.get(key)) is not None}


def changed_columns(
    held: Binding, name: str, products: Mapping[str, Product]
) -> tuple[str, ...] | None:
    """The columns of an input that changed since `held` was computed from it.

    None if nothing that it read changed, empty if it isn't known which columns changed.
    """
    if name not in held.inputs:
        return None
    before = held.seen.get(name, {})
    shares = column_shares(products, share_columns(before))
    if held.inputs[name] == shares_digest(len(products), shares):
        return None
    now = abbreviate_shares(shares)
    return tuple(c for c in now if c not in (ALL, ROWS) and now[c] != before.get(c))
