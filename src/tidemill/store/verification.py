"""Verify stored objects before they are read, and that they are the same afterwards.

An object is verified when it is first read: just the bytes of the columns that are wanted. Users' reads
and steps over few rows parse the bytes of small objects that were verified. Other objects are read by Polars
itself, so whoever read them calls `confirm`: a file that was written or replaced meanwhile is noticed by its
version.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

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

# Gives the rows of an IO source of Polars: some columns (None for all), those that a filter keeps, and at
# most so many before they are filtered. The last argument is the size of a batch.
Answer: TypeAlias = Callable[
    [list[str] | None, pl.Expr | None, int | None, int | None], Iterator[pl.DataFrame]
]


class VerifiedObject(NamedTuple):
    """What was verified of an object: its version, if it is all of it, and its bytes if they are few."""

    version: object
    is_whole: bool
    payload: bytes | None = None


# So many partitions are read at once for users, so that a query can stream through a long table.
_BATCH = 512
# A frame can't have more.
_MOST_ROWS = 2**32 - 1


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
        for _ in self.payloads(wanted):
            pass  # bytes that nobody keeps are read into the same memory each time

    def payloads(self, wanted: Mapping[str, Columns]) -> Iterator[tuple[str, bytes]]:
        """Verify like `verify`, and yield the bytes of the small objects among those that weren't yet."""
        self._artifacts.fetch(wanted.keys())
        versions = self._artifacts.versions(self._known.keys() & wanted.keys())
        for name, columns in wanted.items():
            known = self._known.get(name)
            done: frozenset[str] | None = frozenset()
            if known is not None and versions.get(name) == known[0]:
                done = known[1]
                if done is None or (columns is not None and done.issuperset(columns)):
                    continue
            version, whole, payload = verify_object(self._artifacts, name, columns)
            both = None if whole or columns is None else frozenset((*(done or ()), *columns))
            self._known[name] = version, both
            if payload is not None:
                yield name, payload

    def confirm(self, names: Iterable[str]) -> None:
        """Raise StorageError if an object isn't the one that was verified any more.

        DamagedObjectError if it was damaged meanwhile.
        """
        names = [name for name in dict.fromkeys(names) if name in self._known]
        versions = self._artifacts.versions(names)
        for name in names:
            if versions.get(name) != self._known[name][0]:
                del self._known[name]
                verify_object(self._artifacts, name)
                raise StorageError(
                    f"the object {self._artifacts.uri(name)} was stored again while it was read: "
                    "run again"
                )


def verify_object(artifacts: Artifacts, name: str, columns: Columns = None) -> VerifiedObject:
    """Verify columns of one object.

    Raises DamagedObjectError, or StorageError if it is missing.
    """
    mark = mark_in(name)
    for _ in range(2):
        with artifacts.open(name) as file:
            version = file.version
            if mark is not None and mark.is_whole:
                payload = file.read(0, file.size)
                if mark.fits(payload):
                    return VerifiedObject(version, True, payload)
            elif mark is not None and is_sound(mark, file.size, file.read, columns=columns):
                return VerifiedObject(version, False)
        # Objects of earlier versions have no checksums. Damage is confirmed and remembered by the store. If
        # only a copy was damaged, there is another one now.
        artifacts.get(name)
    return VerifiedObject(version, True)


def read_columns(
    artifacts: Artifacts, name: str, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Read columns of one object, verified; DamagedObjectError or StorageError if that can't be done."""
    verifier = ObjectVerifier(artifacts)
    verifier.verify({name: columns})
    frame = pl.read_parquet(artifacts.uri(name), columns=None if columns is None else [*columns])
    verifier.confirm([name])
    return frame


def scan_payloads(payloads: Sequence[bytes]) -> pl.LazyFrame:
    """Return the rows of the bytes of objects, which are alike.

    The leaf is an IO source, since Polars doesn't show a scan of bytes in a plan.
    """

    def rows(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        query = _narrowed(pl.scan_parquet(sources, glob=False), columns, limit, predicate)
        yield query.collect(engine="in-memory")

    sources: Any = payloads
    schema = pl.scan_parquet(payloads[0], glob=False).collect_schema()
    # Polars hands an IO source a pickled copy of each filter. Functions of users can't all be pickled, and
    # memos must not be, so filters are kept off: none passes a `tail`.
    return _io_source(rows, schema).tail(_MOST_ROWS)


def _io_source(rows: Answer, schema: pl.Schema) -> pl.LazyFrame:
    """Return what Polars reads by calling `rows` with what it needs of it.

    A query that selects no columns loses its rows, so one is read where Polars only needs their number.
    """

    def answered(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, size: int | None
    ) -> Iterator[pl.DataFrame]:
        if columns is None or columns:
            yield from rows(columns, predicate, limit, size)
        else:
            for frame in rows(schema.names()[:1], predicate, limit, size):
                yield pl.DataFrame(height=frame.height)

    return register_io_source(answered, schema=schema, validate_schema=True)


def _narrowed(
    query: pl.LazyFrame, columns: list[str] | None, limit: int | None, predicate: pl.Expr | None
) -> pl.LazyFrame:
    """What Polars asks of an IO source: a limit counts rows before they are filtered."""
    query = query if columns is None else query.select(columns)
    query = query if limit is None else query.limit(limit)
    return query if predicate is None else query.filter(predicate)


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

    def scan(
        some: Sequence[StoredProduct],
        held: Mapping[str, bytes],
        columns: Sequence[str] | None = None,
    ) -> pl.LazyFrame:
        sources = {
            name: held.get(name, artifacts.uri(name)) for product in some for name, _ in product
        }
        if alike and all(len(product) == 1 and product[0][1] is None for product in some):
            # One scan of many files is planned faster than many scans.
            whole: Any = [sources[product[0][0]] for product in some]
            return pl.scan_parquet(whole, glob=False)
        frames = [_scan_product(sources, product, order) for product in some]
        if alike and columns is not None:
            # Beside these, the objects that hold them may have different ones.
            frames = [frame.select(columns) for frame in frames]
        return pl.concat(frames, how="vertical" if alike else "diagonal_relaxed")

    def rows(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        verifier = ObjectVerifier(artifacts)
        for some in _batches(products, 1 if limit is not None else _BATCH) if alike else [products]:
            some = [_holding(product, columns) for product in some]
            wanted = dict(_wanted(some, columns))
            held = _payloads(verifier, wanted)
            pushed = predicate if limit is None else None
            found = _narrowed(scan(some, held, columns), columns, limit, pushed).collect()
            verifier.confirm(wanted.keys() - held.keys())
            yield found if predicate is None or limit is None else found.filter(predicate)
            if limit is not None and (limit := limit - found.height) <= 0:
                return

    first = products[:1] if alike else products
    for name, _ in (item for product in first for item in product):
        verify_object(artifacts, name, ())
    return _io_source(rows, scan(first, {}).collect_schema())


def _payloads(verifier: ObjectVerifier, wanted: Mapping[str, Columns]) -> dict[str, bytes]:
    """Verify objects, and return their bytes if all of them are small.

    Polars can't scan bytes and files at once.
    """
    if len(wanted) > _BATCH:
        verifier.verify(wanted)
        return {}
    held = dict(verifier.payloads(wanted))
    return held if len(held) == len(wanted) else {}


def _scan_product(
    sources: Mapping[str, str | bytes], product: StoredProduct, order: Sequence[str]
) -> pl.LazyFrame:
    scans = [
        pl.scan_parquet(sources[name], glob=False).select(columns or pl.all())
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
