"""Verify stored objects before they are read, and that they are the same afterwards.

An object is verified when it is first read: just the bytes of the columns that are wanted. Polars reads the
file itself, so whoever read it calls `confirm`: a file that was written or replaced meanwhile is noticed
by its version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

import polars as pl
from polars.io.plugins import register_io_source

from tidemill.analysis.hashing.parquet_seal import is_sound, mark_in
from tidemill.core.errors import StorageError
from tidemill.ports.artifacts import Artifacts

# The columns to verify of an object; None for all of it.
Columns: TypeAlias = Collection[str] | None
# A published partition: the objects that hold it, and the columns to take from each (None for all).
StoredProduct: TypeAlias = Sequence[tuple[str, Sequence[str] | None]]

T = TypeVar("T")

# So many partitions are read at once for users, so that a query can stream through a long table.
_BATCH = 512


class ObjectVerifier:
    """Verifies the objects that one run reads, each once."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        # By object: its version, and the columns that are verified.
        self._known: dict[str, tuple[object, frozenset[str] | None]] = {}

    def verify(self, wanted: Mapping[str, Columns]) -> None:
        """Verify columns of objects, as far as they weren't yet.

        Raises DamagedObjectError for the first damaged object, StorageError if one is missing.
        """
        self._artifacts.fetch(wanted.keys())
        versions = self._artifacts.versions(self._known.keys() & wanted.keys())
        for name, columns in wanted.items():
            known = self._known.get(name)
            done: frozenset[str] | None = frozenset()
            if known is not None and versions.get(name) == known[0]:
                done = known[1]
                if done is None or (columns is not None and done.issuperset(columns)):
                    continue
            version, whole = verify_object(self._artifacts, name, columns)
            both = None if whole or columns is None else frozenset((*(done or ()), *columns))
            self._known[name] = version, both

    def confirm(self, names: Iterable[str]) -> None:
        """Raise StorageError if an object isn't the one that was verified any more.

        DamagedObjectError if it was damaged meanwhile.
        """
        names = [name for name in names if name in self._known]
        versions = self._artifacts.versions(names)
        for name in names:
            if versions.get(name) != self._known[name][0]:
                del self._known[name]
                verify_object(self._artifacts, name)
                raise StorageError(
                    f"the object {self._artifacts.uri(name)} was stored again while it was read: "
                    "run again"
                )


def verify_object(artifacts: Artifacts, name: str, columns: Columns = None) -> tuple[object, bool]:
    """Verify columns of one object; return its version, and whether all of it is verified.

    Raises DamagedObjectError, or StorageError if it is missing.
    """
    mark = mark_in(name)
    for _ in range(2):
        with artifacts.open(name) as file:
            version = file.version
            if mark is not None and is_sound(mark, file.size, file.read, columns=columns):
                return version, mark.is_whole
        # Objects of earlier versions have no checksums. Damage is confirmed and remembered by the store. If
        # only a copy was damaged, there is another one now.
        artifacts.get(name)
    return version, True


def read_columns(
    artifacts: Artifacts, name: str, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Read columns of one object, verified; DamagedObjectError or StorageError if that can't be done."""
    verifier = ObjectVerifier(artifacts)
    verifier.verify({name: columns})
    frame = pl.read_parquet(artifacts.uri(name), columns=None if columns is None else [*columns])
    verifier.confirm([name])
    return frame


def scan_verified(
    artifacts: Artifacts,
    products: Sequence[StoredProduct],
    order: Sequence[str] = (),
    *,
    alike: bool = True,
) -> pl.LazyFrame:
    """Return the rows of products, each in one or several objects, verified when they are collected.

    Each object comes with the columns to take from it, or None for all. Columns are in the `order` given
    where a product is in several objects. If products aren't `alike`, their columns may differ.
    """

    def scan(some: Sequence[StoredProduct]) -> pl.LazyFrame:
        paths = [artifacts.uri(name) for product in some for name, _ in product]
        if alike and all(len(product) == 1 and product[0][1] is None for product in some):
            # One scan of many files is planned faster than many scans.
            return pl.scan_parquet(paths, glob=False)
        return pl.concat(
            [_scan_product(artifacts, product, order) for product in some],
            how="vertical" if alike else "diagonal_relaxed",
        )

    def rows(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        verifier = ObjectVerifier(artifacts)
        for some in _batches(products, 1 if limit is not None else _BATCH) if alike else [products]:
            some = [_holding(product, columns) for product in some]
            verifier.verify(dict(_wanted(some, columns)))
            query = scan(some)
            query = query if columns is None else query.select(columns)
            query = query if predicate is None else query.filter(predicate)
            found = (query if limit is None else query.limit(limit)).collect()
            verifier.confirm(name for product in some for name, _ in product)
            yield found
            if limit is not None and (limit := limit - found.height) <= 0:
                return

    first = products[:1] if alike else products
    for name, _ in (item for product in first for item in product):
        verify_object(artifacts, name, ())
    return register_io_source(rows, schema=scan(first).collect_schema(), validate_schema=True)


def _scan_product(
    artifacts: Artifacts, product: StoredProduct, order: Sequence[str]
) -> pl.LazyFrame:
    scans = [
        pl.scan_parquet(artifacts.uri(name), glob=False).select(columns or pl.all())
        for name, columns in product
    ]
    if len(scans) == 1:
        return scans[0]
    held = {name for _, columns in product for name in columns or order}
    return pl.concat(scans, how="horizontal").select([name for name in order if name in held])


def _holding(product: StoredProduct, columns: Sequence[str] | None) -> StoredProduct:
    """The objects of a product that hold some columns; one of them if only rows are counted.

    Polars would read, unverified, at least the number of rows of each of the others.
    """
    if columns is None:
        return product
    return [item for item in product if item[1] is None or {*item[1]} & {*columns}] or product[:1]


def _wanted(
    products: Sequence[StoredProduct], columns: Sequence[str] | None
) -> Iterator[tuple[str, Columns]]:
    for name, own in (item for product in products for item in product):
        yield name, own if columns is None else [c for c in columns if own is None or c in own]


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
