"""Read and write frames in the object store: encode outputs, load the partitions that stages read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import groupby
from typing import Literal, TypeAlias, TypedDict

import polars as pl

from tidemill.analysis.hashing.parquet_seal import seal
from tidemill.analysis.query.scan_leaves import tag_frame
from tidemill.contracts.checks.schema import schema_of
from tidemill.contracts.profiles.record import Profile
from tidemill.contracts.spec import ContractSpec
from tidemill.core.counts import plural
from tidemill.core.errors import StorageError
from tidemill.core.fingerprint import object_name
from tidemill.core.payload import Payload
from tidemill.ledger.binding import Binding, Product
from tidemill.ports.artifacts import Artifacts
from tidemill.store.profiles import load_profile
from tidemill.store.verification import ObjectVerifier, scan_payloads

PARQUET = ".parquet"
# Up to this many bytes stay in memory: of partitions that were just written, which are usually read next, and
# of those that a query reads.
_KEEP_BYTES = 64_000_000


# A frame, and the metadata of its file.
Described: TypeAlias = tuple[pl.DataFrame, Mapping[str, str] | None]


class _Options(TypedDict):
    compression: Literal["zstd"]
    statistics: bool
    metadata: dict[str, str] | None
    engine: Literal["in-memory"]


def encode(
    frame: pl.DataFrame, metadata: Mapping[str, str] | None = None, *, statistics: bool = False
) -> bytes:
    """Encode a frame as Parquet (zstd); with one version of Polars, equal frames give equal bytes."""
    return _parquet([(frame, metadata)], statistics=statistics)[0].getvalue()


def encode_sealed(
    frame: pl.DataFrame, metadata: Mapping[str, str] | None = None
) -> tuple[bytes, str]:
    """Encode a frame with checksums of its columns; return the bytes and the suffix of their name."""
    return _sealed(*_parquet([(frame, metadata)]))


def _sealed(buffer: BytesIO) -> tuple[bytes, str]:
    mark = seal(buffer)
    return buffer.getvalue(), f".{mark}{PARQUET}"


def encode_all(frames: Sequence[pl.DataFrame], *, statistics: bool = False) -> list[bytes]:
    """Encode frames like `encode`, in one call, which takes less time than a call for each."""
    buffers = _parquet([(frame, None) for frame in frames], statistics=statistics)
    return [buffer.getvalue() for buffer in buffers]


def _parquet(frames: Sequence[Described], *, statistics: bool = False) -> list[BytesIO]:
    buffers = [BytesIO() for _ in frames]
    sinks = [
        frame.lazy().sink_parquet(buffer, **_options(metadata, statistics=statistics), lazy=True)
        for (frame, metadata), buffer in zip(frames, buffers, strict=True)
    ]
    if len(sinks) == 1:
        # What gathers several results costs 15 % of encoding a small frame.
        sinks[0].collect(engine="in-memory", optimizations=pl.QueryOptFlags.none())
    else:
        pl.collect_all(sinks, engine="in-memory", optimizations=pl.QueryOptFlags.none())
    return buffers


def _options(metadata: Mapping[str, str] | None, *, statistics: bool) -> _Options:
    # Statistics let a reader skip row groups. Readers here get whole partitions by name, of a few row
    # groups each: there is nothing to skip, and a small object would be 10 % larger.
    # `write_parquet` starts the streaming engine: the same bytes, for 50 % more CPU time.
    return {
        "compression": "zstd",
        "statistics": statistics,
        "metadata": dict(metadata) if metadata else None,
        "engine": "in-memory",
    }


class FrameStore:
    """Reads published partitions, with a cache of those that this run wrote last.

    `settle` waits until everything that this run has written so far is in the store. Objects are verified
    before they are read; `confirm` after a query that reads them.
    """

    def __init__(self, artifacts: Artifacts, settle: Callable[[], None]) -> None:
        self._artifacts = artifacts
        self._settle = settle
        self._verifier = ObjectVerifier(artifacts)
        self._recent: OrderedDict[str, pl.DataFrame] = OrderedDict()
        self._held = 0

    def encode_all(self, frames: Sequence[Described]) -> list[tuple[str, tuple[bytes, str]]]:
        """Return for each frame the object name, and its bytes with their suffix; cache the frames."""
        found = []
        for (frame, _), buffer in zip(frames, _parquet(frames), strict=True):
            payload, suffix = _sealed(buffer)
            name = object_name(payload, suffix)
            if name not in self._recent:
                self._recent[name] = frame
                self._held += int(frame.estimated_size())
            found.append((name, (payload, suffix)))
        while self._held > _KEEP_BYTES and self._recent:
            self._held -= int(self._recent.popitem(last=False)[1].estimated_size())
        return found

    def rows(self, name: str) -> pl.DataFrame:
        """Return the rows of one object, verified; StorageError if it is missing or damaged."""
        return pl.read_parquet(self._artifacts.get(name))

    def partition(self, product: Product) -> pl.DataFrame:
        """Return the rows of a partition, verified; StorageError if an object is missing or damaged."""
        if product.parts:
            return self._collect([product], [*product.columns])
        return self.rows(product.objects[0])

    def profile(self, product: Product) -> Profile | None:
        """Return the profile stored with a partition; None if it has none, or isn't stored yet."""
        missing = self._artifacts.find_missing(product.objects)
        return None if missing else load_profile(self._artifacts, product)

    def load(
        self,
        bindings: Sequence[Binding],
        contract: ContractSpec,
        columns: Sequence[str] = (),
        *,
        reads: Sequence[str] | None = None,
        in_memory: bool = False,
    ) -> pl.LazyFrame:
        """Return the rows of partitions, in their order, with some or all columns of `contract`.

        Those that will be read are verified: `reads`, or all. DamagedObjectError if one is damaged.
        With `in_memory`, the bytes of small objects are kept until the query is collected, so that they
        aren't read again.
        """
        columns = list(columns or contract.names)
        held = self._verify(bindings, columns if reads is None else reads, in_memory)
        if not bindings:
            schema = schema_of(contract)
            return pl.LazyFrame(schema={name: schema[name] for name in columns})
        frames: list[pl.LazyFrame] = []
        for alike, group in groupby(
            bindings, lambda binding: self._scans(binding.product, contract)
        ):
            products = [binding.product for binding in group]
            if alike:
                names = [product.objects[0] for product in products]
                frames.append(self._scan(names, held).select(columns))
            else:
                frames += [self._rows(product, columns) for product in products]
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def _scan(self, names: Sequence[str], held: Mapping[str, bytes]) -> pl.LazyFrame:
        """One scan of many objects, which is planned faster than many scans."""
        # Polars can't scan bytes and files at once.
        if held.keys() >= {*names}:
            return scan_payloads([held[name] for name in names])
        return pl.scan_parquet([self._artifacts.uri(name) for name in names], glob=False)

    def _scans(self, product: Product, contract: ContractSpec) -> bool:
        """Whether a partition can be scanned together with others: it is one stored file of a known schema.

        Cached frames may not be stored yet; kept unknown columns differ between partitions.
        """
        stored = not product.parts and product.objects[0] not in self._recent
        return stored and contract.unknown_columns != "keep"

    def load_concatenated(
        self,
        name: str,
        bindings: Sequence[Binding],
        contract: ContractSpec,
        columns: Sequence[str],
        *,
        reads: Sequence[str] | None = None,
    ) -> pl.LazyFrame:
        """Like `load` in memory, but concatenate cached frames now, into one leaf identified by `name`."""
        if self._recent.keys().isdisjoint(n for b in bindings for n in b.product.objects):
            return self.load(bindings, contract, columns, reads=reads, in_memory=True)
        names = [*columns]
        self._verify(bindings, names, keep=False)
        tables = [self._table(binding.product, names) for binding in bindings]
        return tag_frame(name, pl.concat(tables, rechunk=True))

    def _table(self, product: Product, columns: list[str]) -> pl.DataFrame:
        cached = None if product.parts else self._recent.get(product.objects[0])
        # Indexing takes a tenth of the time of `select`, which makes a query.
        return self._rows(product, columns).collect() if cached is None else cached[:, columns]

    def columns(
        self, product: Product, names: Sequence[str], payload: Payload | None
    ) -> pl.DataFrame:
        """Return some columns of a partition; `payload` is its object if that isn't stored yet."""
        if payload is None or product.objects[0] in self._recent:
            return self._collect([product], names)
        return pl.read_parquet(BytesIO(payload), columns=list(names))

    def all_columns(self, bindings: Sequence[Binding], names: Sequence[str]) -> pl.DataFrame:
        """Return some columns of many partitions, concatenated; StorageError if objects are missing."""
        self.require({"the table": bindings})
        return self._collect([binding.product for binding in bindings], names)

    def _collect(self, products: Sequence[Product], names: Sequence[str]) -> pl.DataFrame:
        """Read some columns of many partitions, verified."""
        objects = [name for product in products for name in product.objects]
        self._verifier.verify(dict(self._unverified(products, names)))
        if not any(p.parts for p in products) and self._recent.keys().isdisjoint(objects):
            uris = [self._artifacts.uri(name) for name in objects]
            found = pl.scan_parquet(uris, glob=False).select(names).collect()
        else:
            found = pl.concat([self._rows(p, list(names)) for p in products]).collect()
        self._verifier.confirm(objects)
        return found

    def _verify(
        self, bindings: Iterable[Binding], columns: Sequence[str], keep: bool
    ) -> dict[str, bytes]:
        """Verify columns of partitions; with `keep`, return the bytes of objects that were read whole."""
        wanted = dict(self._unverified((binding.product for binding in bindings), columns))
        held: dict[str, bytes] = {}
        size = 0
        for name, payload in self._verifier.payloads(wanted):
            size += len(payload)
            if keep and size <= _KEEP_BYTES:
                held[name] = payload
        return held

    def _unverified(
        self, products: Iterable[Product], columns: Sequence[str]
    ) -> Iterator[tuple[str, Sequence[str]]]:
        """The objects to verify, each with its columns among some; cached frames aren't read again."""
        for product in products:
            of = {part.object: part.columns for part in product.parts}
            for name in product.objects:
                if name not in self._recent:
                    own = of.get(name)
                    yield name, columns if own is None else [c for c in columns if c in own]

    def confirm(self, bindings: Iterable[Binding]) -> None:
        """Raise StorageError if objects that were loaded aren't those that were verified any more."""
        self._verifier.confirm(name for b in bindings for name in b.product.objects)

    def _rows(self, product: Product, columns: list[str]) -> pl.LazyFrame:
        """Return the rows of one partition, joining its columns if they are in several objects."""
        if not product.parts:
            return self._part(product.objects[0], columns)
        parts = [
            self._part(part.object, own)
            for part in product.parts
            if (own := [column for column in columns if column in part.columns])
        ]
        return pl.concat(parts, how="horizontal").select(columns)

    def _part(self, name: str, columns: list[str]) -> pl.LazyFrame:
        frame = self._recent.get(name)
        if frame is None:
            return pl.scan_parquet(self._artifacts.uri(name), glob=False).select(columns)
        return tag_frame(name, frame if frame.columns == columns else frame[:, columns])

    def require(self, bindings: Mapping[str, Sequence[Binding]]) -> None:
        """Raise StorageError, with the name of the first one, if objects are missing."""
        names = {
            name: stage
            for stage, bound in bindings.items()
            for binding in bound
            for name in binding.product.objects
            if name not in self._recent
        }
        lost = self.find_missing(names)
        if lost:
            raise lost_objects(names[min(lost)], lost)

    def find_missing(self, names: Collection[str]) -> Mapping[str, str]:
        """Map those of `names` to the reason that are neither stored nor about to be stored by this run."""
        lost = self._artifacts.find_missing([name for name in names if name not in self._recent])
        if lost:
            self._settle()
            lost = self._artifacts.find_missing(lost.keys())
        return lost

    def verify(self, bindings: Mapping[str, Sequence[Binding]]) -> None:
        """Raise StorageError for the first object whose content doesn't match its name."""
        for stage, bound in bindings.items():
            for name in (name for binding in bound for name in binding.product.objects):
                try:
                    if name not in self._recent:
                        self._artifacts.get(name)
                except StorageError as error:
                    raise type(error)(f"{stage} can't be read: {error}") from error


def lost_objects(stage: str, lost: Mapping[str, str]) -> StorageError:
    """The error that objects of a stage can't be used; `lost` maps them to the reasons."""
    first, more = min(lost), ", ..." if len(lost) > 1 else ""
    verb, them = ("is", "it") if len(lost) == 1 else ("are", "them")
    how = "damaged" if "damaged" in lost.values() else "missing from the store"
    return StorageError(
        f"{plural(len(lost), 'object')} of {stage} {verb} {how} ({first}{more}); "
        f"run `tidemill run {stage} --again` to recompute {them}"
    )
