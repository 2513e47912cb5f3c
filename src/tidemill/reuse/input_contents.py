"""Digest the inputs of a step: the columns that it reads, in the partitions that it sees.

The share of a column is a sum over partitions, so it can be updated without visiting all of them.
Column hashes are uniformly distributed, and each is multiplied by a number derived from its partition:
sums are equal only if the same partitions hold the same values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from tidemill.core.fingerprint import fingerprint
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.binding import Binding, Product, find_bindings


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedContent:
    """A content that is still to be computed in place of `product`, whose `columns` are expected to stay."""

    product: Product
    columns: frozenset[str]


# The product of a stage; for files and models a string that names the content; None if none was computed yet.
Content: TypeAlias = "Product | ExpectedContent | str | None"
Contents: TypeAlias = Mapping[str, Content]


class OverlaidContents(Mapping[str, Content]):
    """The contents of a stage: its bindings, with the contents of some partitions replaced.

    All partitions in `replaced` come from `replacements`; one that has none is removed. Bindings are
    looked up lazily.
    """

    def __init__(
        self,
        bound: Mapping[str, Binding],
        replaced: Collection[str] = (),
        replacements: Mapping[str, Content] | None = None,
    ) -> None:
        self._bound = bound
        self._replaced = replaced
        self._replacements: Mapping[str, Content] = replacements or {}

    def __getitem__(self, partition: str) -> Content:
        if partition in self._replaced:
            return self._replacements[partition]
        return self._bound[partition].product

    def find(self, keys: Collection[str]) -> dict[str, Content]:
        """The contents of some partitions, of which many are looked up at once."""
        own = find_bindings(self._bound, [key for key in keys if key not in self._replaced])
        return {key: own[key].product if key in own else self._replacements[key] for key in keys}

    def __iter__(self) -> Iterator[str]:
        yield from (partition for partition in self._bound if partition not in self._replaced)
        yield from self._replacements

    def __len__(self) -> int:
        return sum(1 for _ in self)


# A pseudo-column for the number of rows, which is all that a reader of no column sees.
ROWS = "(rows)"
# The input that holds the rulings on a partition; no stage has such a name.
RULINGS = "(rulings)"
# A pseudo-column for content that has no column hashes.
ALL = "(all)"
_MODULUS = 1 << 128
_PREFIX = 8


def known_contents(
    contents: Contents, columns: Iterable[str] | None, *, include_expected: bool
) -> dict[str, Product | str]:
    """The known contents of an input; with `include_expected` also the expected ones of the columns read."""
    found: dict[str, Product | str] = {}
    for key, content in contents.items():
        if isinstance(content, ExpectedContent):
            sure = columns is not None and content.columns.issuperset(columns)
            if include_expected and sure and content.columns:
                found[key] = content.product
        elif content is not None:
            found[key] = content
    return found


def column_shares(
    contents: Mapping[str, Product | str], columns: Iterable[str] | None
) -> dict[str, str]:
    """A digest per column read from an input; a single one for `columns` None, files and models."""
    products = {
        k: item for k, item in contents.items() if isinstance(item, Product) and item.columns
    }
    if columns is None or len(products) < len(contents):
        named = tuple([(key, _content_name(item)) for key, item in sorted(contents.items())])
        return {ALL: _contents_digest(named)}
    if not products:
        return {}
    held = [(product, _partition_weight(partition)) for partition, product in products.items()]
    return {name: _sum_share(held, name) for name in tuple(columns) or (ROWS,)}


def share_columns(shares: Mapping[str, str]) -> tuple[str, ...] | None:
    """The columns of some shares, in the form that `column_shares` accepts."""
    return None if ALL in shares else tuple(name for name in shares if name != ROWS)


def input_digest(contents: Mapping[str, Product | str], columns: Iterable[str] | None) -> str:
    """Digest what a step reads from an input: its partitions, and the columns read in them."""
    return shares_digest(len(contents), column_shares(contents, columns))


def shares_digest(partitions: int, shares: Mapping[str, str]) -> str:
    """Digest an input from the shares of its columns."""
    names = tuple(sorted(shares))
    # A plan computes one digest per partition, so it has to be cheap: shares have equal lengths, so
    # joining them is unambiguous.
    joined = "".join([shares[name] for name in names])
    return fingerprint("input 2", partitions, _names_digest(names), joined)


def abbreviate_shares(shares: Mapping[str, str]) -> dict[str, str]:
    """A prefix of each share: if it differs the share changed; if it is equal nothing is proven."""
    return {name: share[:_PREFIX] for name, share in shares.items()}


# All partitions of a table that a model scores share this digest of the model.
@lru_cache(maxsize=16)
def _contents_digest(named: tuple[tuple[str, str], ...]) -> str:
    return fingerprint("contents", named)


@lru_cache(maxsize=1_024)
def _names_digest(columns: tuple[str, ...]) -> str:
    return fingerprint("columns", columns)


def _sum_share(held: Sequence[tuple[Product, int]], column: str) -> str:
    total = 0
    for product, weight in held:
        # A missing column hashes to a fixed value, so its readers rerun when it appears.
        hashed = product.columns.get(column) or (
            _row_count_hash(product.rows) if column == ROWS else _missing_column_hash(column)
        )
        total += int(hashed, 16) * weight
    # Formatting it as a number takes four times as long.
    return (total % _MODULUS).to_bytes(16, "big").hex()


@lru_cache(maxsize=1_024)
def _row_count_hash(rows: int) -> str:
    return fingerprint("count", rows)


@lru_cache(maxsize=1_024)
def _missing_column_hash(column: str) -> str:
    return fingerprint("no column", column)


@lru_cache(maxsize=200_000)
def _partition_weight(partition: str) -> int:
    return int(fingerprint("partition", partition), 16) | 1


def _content_name(item: Product | str) -> str:
    return item if isinstance(item, str) else item.content
