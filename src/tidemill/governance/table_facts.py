"""The facts about partitions that would go to the sink of a table."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.common_facts import ChangeContext, common_facts
from tidemill.ledger.binding import Product
from tidemill.ledger.policy import FactValue


@dataclass(frozen=True, slots=True, kw_only=True)
class TableEvidence:
    """What is known about a delivery of a table; None for what can't be known.

    `new` are the partitions that change, None for one that is removed, and `old` what is published of them.
    The table has `published_rows` in `published` partitions. Of the rows of the `old` ones `moved` would
    change, go or be added. The `sink` is its kind; people outside of the organization read a `public` one.
    `sample` is the share of source rows that it is made from.
    """

    name: str
    sink: str
    new: Mapping[str, Product | None]
    old: Mapping[str, Product]
    published: int
    published_rows: int
    moved: int | None = None
    public: bool = False
    sample: float = 1.0
    personal: tuple[str, ...] | None = None
    stale: bool | None = None


def table_facts(context: ChangeContext, found: TableEvidence) -> dict[str, FactValue]:
    """The facts about a delivery of a table; those that can't be known are None."""
    return {
        **common_facts(context, found.name),
        "sampled": context.sample < 1 or found.sample < 1,
        "first_delivery": not found.published,
        "sink": found.sink,
        "public_sink": found.public,
        "personal_columns": found.personal,
        "stale": found.stale,
        "partitions": len(found.new),
        "rows": sum(product.rows for product in found.new.values() if product is not None),
        "moved_rows": _moved_share(found),
        "backfill": any(
            _is_other(product, found.old.get(key)) for key, product in found.new.items()
        ),
        "retention_declared": context.keeps,
    }


def _is_other(new: Product | None, old: Product | None) -> bool:
    """Whether a partition that was published before would have other content, or be gone."""
    return old is not None and (new is None or new.content != old.content)


def _moved_share(found: TableEvidence) -> float | None:
    if found.moved is None:
        return None
    if not found.published_rows:
        # There are no rows to move: what is published is empty, or nothing is.
        return 1.0 if found.moved else 0.0
    return min(1.0, found.moved / found.published_rows)
