"""Compare the rows that wait for a table's sink with those that were delivered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

import polars as pl

from tidemill.core.counts import plural
from tidemill.core.errors import StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.environments.row_diff import RowDiff, diff_rows
from tidemill.governance.permissions import Permission, holders_and_scope
from tidemill.governance.personal_columns import delivered_columns, personal_columns
from tidemill.governance.subjects import table_subject
from tidemill.governance.table_sections import ColumnChange, PartitionChange, TableChange
from tidemill.ledger.binding import Binding, Product
from tidemill.ledger.event import Attempted, Computed
from tidemill.ledger.review import Review
from tidemill.ledger.run import Action
from tidemill.project.delivered_tables import DeliveredTables
from tidemill.project.moved_examples import MASKED, shown_cell
from tidemill.project.restore_policy import restored_products
from tidemill.project.workspace import Workspace
from tidemill.store.published import scan_product
from tidemill.workflow.environment import environment_option
from tidemill.workflow.stage import Stage

# As many cells are compared at most, which takes a second; so many columns and examples are shown.
_CELLS, _COLUMNS, _EXAMPLES, _EACH = 8_000_000, 40, 14, 3
_SHOWN_COLUMNS = 7
_SIDE = "_side"
_SIDES = {"changed from": "now", "changed to": "then"}


def table_change(space: Workspace, review: Review) -> TableChange:
    """What a delivery that waits would change; StorageError if its rows can't be found any more."""
    stage = space.flow[review.name]
    head = space.state().heads.get(stage.name)
    bound = dict(head.partitions) if head is not None else {}
    published, new = (
        restored_products(
            space, stage.name, *DeliveredTables(space).changes(stage.name, review.as_of)
        )
        if review.as_of
        else ({key: held.product for key, held in bound.items()}, _computed(space, stage, review))
    )
    _require_same(space, stage, review, new, published)
    comparison = _RowComparison(space, stage)
    parts = [
        comparison.partition(key, published.get(key), new[key]) for key in sorted(new, reverse=True)
    ]
    last = max(bound.values(), key=lambda held: held.at, default=None)
    assert stage.sink is not None
    return TableChange(
        table=stage.name,
        sink=" ".join((stage.sink.format, *filter(None, [stage.sink.folder]))),
        partitions=tuple(parts),
        published=sum(product.rows for product in published.values()),
        columns=tuple(comparison.columns()),
        headers=comparison.headers,
        examples=tuple(comparison.examples()),
        readers=tuple(reader.name for reader in space.flow.readers(stage.name)),
        limits=tuple(comparison.limits()),
        last_run=last.run if last is not None else "",
        restored_by=holders_and_scope(
            Permission.RESTORE, space.declared.name, space.settings.grants
        ),
        place=environment_option(space.environment),
    )


def _computed(space: Workspace, stage: Stage, review: Review) -> dict[str, Product | None]:
    """The partitions that a review asks about, as its run computed them; None for those to remove."""
    events = space.tools.ledger.events
    made: dict[str, Binding] = {}
    for fact in events(kinds=(Computed.__name__,), stage=stage.name):
        if isinstance(fact.event, Computed) and fact.event.binding.run == review.run:
            made[fact.event.partition] = fact.event.binding
    found: dict[str, Product | None] = {key: held.product for key, held in made.items()}
    for fact in events(kinds=(Attempted.__name__,), run=review.run, stage=stage.name):
        event = fact.event
        if isinstance(event, Attempted) and event.attempt.action == Action.REMOVE:
            found[event.attempt.partition] = None
    return found


def _require_same(
    space: Workspace,
    stage: Stage,
    review: Review,
    new: Mapping[str, Product | None],
    published: Mapping[str, Product],
) -> None:
    """Raise StorageError if a review is about other rows, or about what other rows would be replaced by."""
    assert stage.sink is not None
    subject = table_subject(
        stage.name,
        [*stage.sink.identity, space.environment],
        {key: product.content if product else "" for key, product in new.items()},
        {key: published[key].content for key in new if key in published},
    )
    if subject != review.subject:
        raise StorageError(
            "the rows that the review is about aren't recorded, or others were delivered since"
        )


@dataclass(slots=True)
class _Sides:
    """The compared columns of partitions before and after, and the rows in which each column changed."""

    before: list[pl.DataFrame] = field(default_factory=list)
    after: list[pl.DataFrame] = field(default_factory=list)
    changed: dict[str, int] = field(default_factory=dict)


class _RowComparison:
    """Compares partitions one by one, as long as that doesn't take too long."""

    def __init__(self, space: Workspace, stage: Stage) -> None:
        self._space = space
        source = space.flow[stage.inputs[0].name]
        given = stage.output or source.output
        self._key = tuple(given.key) if given is not None else ()
        # All rows that another version scored differ in it.
        self._apart = frozenset(("model",) if stage.model else ())
        columns = delivered_columns(stage, space.flow)
        hidden = personal_columns(space.flow, space.recipes, columns)
        self._hidden = frozenset(name.split(".", 1)[1] for name in hidden)
        self._left = _CELLS
        self._sides = _Sides()
        self._diffs: list[tuple[str, RowDiff]] = []
        self._skipped = 0
        self._narrowed = 0

    def partition(self, key: str, old: Product | None, new: Product | None) -> PartitionChange:
        before, after = (None if side is None else side.rows for side in (old, new))
        if old is None or new is None:
            self._note_one_side(key, old, new)
            return PartitionChange(
                partition=key,
                before=before,
                after=after,
                added=after or 0,
                removed=before or 0,
                changed=0,
            )
        found = self._diff(key, old, new)
        if found is None:
            return PartitionChange(partition=key, before=before, after=after)
        return PartitionChange(
            partition=key,
            before=before,
            after=after,
            added=found.added,
            removed=found.removed,
            changed=found.changed,
        )

    def _note_one_side(self, key: str, old: Product | None, new: Product | None) -> None:
        """Take some rows of a partition that is only on one side as examples."""
        product = new or old
        assert product is not None
        if len(self._diffs) >= _EXAMPLES:
            return
        rows = self._scan(product)
        names = rows.collect_schema().names()[:_COLUMNS]
        side = "added" if new is not None else "removed"
        some = rows.select(names).head(_EACH).collect()
        examples = some.select(pl.lit(side).alias(_SIDE), pl.all())
        self._diffs.append((key, RowDiff(key=self._key, added=0, removed=0, examples=examples)))

    def _diff(self, partition: str, old: Product, new: Product) -> RowDiff | None:
        left, right = self._scan(new), self._scan(old)
        names = self._names(left, right, old, new)
        fits = max(0, self._left // max(1, old.rows + new.rows))
        key = [name for name in self._key if name in names]
        if fits < len(key) + 1:
            self._skipped += 1
            return None
        if len(names) > fits or len(names) > _COLUMNS:
            others = [name for name in names if name not in key]
            self._narrowed = max(self._narrowed, len(names))
            names = [*key, *others[: min(fits, _COLUMNS) - len(key)]]
        self._left -= len(names) * (old.rows + new.rows)
        after, before = left.select(names).collect(), right.select(names).collect()
        unique = key if len(key) == len(self._key) and _is_unique(before, after, key) else []
        found = diff_rows(after, before, unique, max_examples=_EACH)
        self._diffs.append((partition, found))
        self._sides.before.append(before)
        self._sides.after.append(after)
        for name, count in found.columns.items():
            self._sides.changed[name] = self._sides.changed.get(name, 0) + count
        return found

    def _names(
        self, left: pl.LazyFrame, right: pl.LazyFrame, old: Product, new: Product
    ) -> list[str]:
        """The key, then the columns of both sides that may differ."""
        mine, theirs = left.collect_schema(), right.collect_schema()
        shared = [name for name in mine if name in theirs and name not in self._apart]
        key = [name for name in self._key if name in shared]
        return key + [
            name
            for name in shared
            if name not in key
            and (name not in new.columns or new.columns[name] != old.columns.get(name))
        ]

    def _scan(self, product: Product) -> pl.LazyFrame:
        return scan_product(self._space.tools, product)

    def columns(self) -> Iterator[ColumnChange]:
        """The columns whose values differ, summarized over the compared partitions."""
        if not self._sides.after:
            return
        before, after = (
            pl.concat(side, how="diagonal_relaxed")
            for side in (self._sides.before, self._sides.after)
        )
        for name, dtype in after.schema.items():
            texts = [
                self._summary(side.get_column(name)) if name in side.columns else "-"
                for side in (before, after)
            ]
            rows = self._sides.changed.get(name, 0)
            if rows or (texts[0] != texts[1] and name not in self._key):
                yield ColumnChange(
                    name=name, type=str(dtype), before=texts[0], after=texts[1], rows=rows
                )

    def _summary(self, column: pl.Series) -> str:
        parts = [f"{column.null_count():,} null"] if column.null_count() else []
        if column.name in self._hidden:
            return ", ".join([*parts, MASKED])
        if column.dtype.is_numeric() and column.drop_nulls().len():
            mean = column.cast(pl.Float64).mean()
            parts.append(
                f"{shown_cell(column.min())} to {shown_cell(column.max())}, mean {shown_cell(mean)}"
            )
        elif column.dtype.is_temporal():
            parts.append(f"{shown_cell(column.min())} to {shown_cell(column.max())}")
        elif not column.dtype.is_nested():
            parts.append(plural(column.n_unique(), "value"))
        return ", ".join(parts)

    @property
    def headers(self) -> tuple[str, ...]:
        return ("partition", "row", *self._shown())

    def _shown(self) -> list[str]:
        """The columns of examples: the key, those that differ most, and others."""
        names = dict.fromkeys(self._key)
        counts = self._sides.changed
        names |= dict.fromkeys(sorted(counts, key=lambda name: -counts[name]))
        for _, found in self._diffs:
            names |= dict.fromkeys(found.examples.columns)
        names.pop(_SIDE, None)
        return [*names][:_SHOWN_COLUMNS]

    def examples(self) -> Iterator[tuple[str, ...]]:
        """Rows that differ, of the newest partitions first, with personal data masked."""
        left = _EXAMPLES
        for partition, found in self._diffs:
            for row in _now_and_then(found.examples.head(left)):
                left -= 1
                yield (
                    partition,
                    _SIDES.get(row[_SIDE], row[_SIDE]),
                    *(self._cell(name, row) for name in self._shown()),
                )

    def _cell(self, name: str, row: Mapping[str, object]) -> str:
        if name not in row:
            return "-"
        return MASKED if name in self._hidden else shown_cell(row[name])

    def limits(self) -> Iterator[str]:
        """What wasn't compared, because there is too much of it."""
        if self._skipped:
            skipped = plural(self._skipped, "older partition")
            yield f"the rows of {skipped} weren't compared: there are too many"
        if self._narrowed:
            yield (
                f"rows were compared in the key and the first columns that differ, not in all "
                f"{self._narrowed:,} that may"
            )


def _now_and_then(rows: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows, with what is now before what would be."""
    later: dict[str, Any] | None = None
    for row in rows.iter_rows(named=True):
        if row[_SIDE] == "changed to":
            later = row
            continue
        yield row
        if later is not None:
            yield later
            later = None


def _is_unique(before: pl.DataFrame, after: pl.DataFrame, key: Sequence[str]) -> bool:
    return bool(key) and not any(side.select(key).is_duplicated().any() for side in (before, after))
