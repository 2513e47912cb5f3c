"""What a step's inputs hold, as digests: of the columns that it reads, in the partitions that it sees.

A column's share is a sum over partitions, so that it can be kept up to date without visiting all of
them. Column hashes are spread evenly, and each counts times a number of its partition's own: sums are
equal only when the same partitions hold the same values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from tidemill.core.fingerprint import fingerprint
from tidemill.ledger.binding import Binding, Product


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Still to be computed, and these columns should come out as they are in `product`."""

    product: Product
    columns: frozenset[str]


# A product of a stage; or, of files and models, what names their content; None: still to be computed.
Content: TypeAlias = "Product | Expected | str | None"
Contents: TypeAlias = Mapping[str, Content]


class Snapshot(Mapping[str, Content]):
    """What a stage is expected to hold: what is bound, but for the partitions `within`, which are `own`.

    What is bound is looked up when it is asked for.
    """

    def __init__(
        self,
        bound: Mapping[str, Binding],
        within: Collection[str] = (),
        own: Mapping[str, Content] | None = None,
    ) -> None:
        self._bound = bound
        self._within = within
        self._own: Mapping[str, Content] = own or {}

    def __getitem__(self, partition: str) -> Content:
        if partition in self._within:
            return self._own[partition]
        return self._bound[partition].product

    def __iter__(self) -> Iterator[str]:
        yield from (partition for partition in self._bound if partition not in self._within)
        yield from self._own

    def __len__(self) -> int:
        return sum(1 for _ in self)


# The pseudo-column that only counts rows: all that a reader of no column sees.
ROWS = "(rows)"
# The input that holds the rulings on a partition; no stage has such a name.
RULINGS = "(rulings)"
# What is told apart as a whole only.
ALL = "(all)"
_SIZE = 1 << 128
_SHORT = 8


def settled(
    contents: Contents, columns: Iterable[str] | None, *, hopeful: bool
) -> dict[str, Product | str]:
    """What of an input is known; with `hopeful` also what is expected of the columns that are read."""
    found: dict[str, Product | str] = {}
    for key, content in contents.items():
        if isinstance(content, Expected):
            sure = columns is not None and content.columns.issuperset(columns)
            if hopeful and sure and content.columns:
                found[key] = content.product
        elif content is not None:
            found[key] = content
    return found


def shares_of(
    contents: Mapping[str, Product | str], columns: Iterable[str] | None
) -> dict[str, str]:
    """A digest per column that is read of an input; one of all there is for `columns` None, files, models."""
    products = {
        k: item for k, item in contents.items() if isinstance(item, Product) and item.columns
    }
    if columns is None or len(products) < len(contents):
        named = [[key, _name(item)] for key, item in sorted(contents.items())]
        return {ALL: fingerprint("contents", named)}
    if not products:
        return {}
    held = [(product, _weight(partition)) for partition, product in products.items()]
    return {name: _share(held, name) for name in tuple(columns) or (ROWS,)}


def columns_of(shares: Mapping[str, str]) -> tuple[str, ...] | None:
    """The columns that shares are of, as `shares_of` takes them."""
    return None if ALL in shares else tuple(name for name in shares if name != ROWS)


def input_digest(contents: Mapping[str, Product | str], columns: Iterable[str] | None) -> str:
    """Names what an input hands a step: its partitions, and in them the columns that are read."""
    return digest_of(len(contents), shares_of(contents, columns))


def digest_of(partitions: int, shares: Mapping[str, str]) -> str:
    """The digest of an input, of its columns' shares."""
    names = tuple(sorted(shares))
    # Shares are equally long, so that one text says which is whose: a plan makes a digest a partition.
    joined = "".join([shares[name] for name in names])
    return fingerprint("input 2", partitions, _all_of(names), joined)


def shortened(shares: Mapping[str, str]) -> dict[str, str]:
    """Enough of each share to tell that it changed; never to tell that it didn't."""
    return {name: share[:_SHORT] for name, share in shares.items()}


@lru_cache(maxsize=1_024)
def _all_of(columns: tuple[str, ...]) -> str:
    return fingerprint("columns", columns)


def _share(held: Sequence[tuple[Product, int]], column: str) -> str:
    total = 0
    for product, weight in held:
        # A column that isn't there is a value of its own: when it comes, the reader has to look again.
        hashed = product.columns.get(column) or (
            _count(product.rows) if column == ROWS else _absent(column)
        )
        total += int(hashed, 16) * weight
    return f"{total % _SIZE:032x}"


@lru_cache(maxsize=1_024)
def _count(rows: int) -> str:
    return fingerprint("count", rows)


@lru_cache(maxsize=1_024)
def _absent(column: str) -> str:
    return fingerprint("no column", column)


@lru_cache(maxsize=200_000)
def _weight(partition: str) -> int:
    return int(fingerprint("partition", partition), 16) | 1


def _name(item: Product | str) -> str:
    return item if isinstance(item, str) else item.content
