"""Frames in and out of the store: what a stage is handed, and what it gave as an object."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from io import BytesIO

import polars as pl

from tidemill.analysis.query.scan_leaves import marked
from tidemill.contracts.checks.schema import schema_of
from tidemill.contracts.profiles.record import Profile
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import StorageError
from tidemill.core.fingerprint import object_name
from tidemill.ledger.binding import Binding, Product
from tidemill.ports.artifacts import Artifacts
from tidemill.store.profiles import profile_in

PARQUET = ".parquet"
# Partitions that were just written are mostly read next; this many bytes of them stay in memory.
_KEEP_BYTES = 64_000_000


def encode(
    frame: pl.DataFrame, metadata: Mapping[str, str] | None = None, *, statistics: bool = False
) -> bytes:
    """A frame as Parquet (zstd); equal frames give equal bytes under one version of Polars."""
    buffer = BytesIO()
    # Statistics let a reader skip row groups. Readers here get whole partitions by name, of a few row
    # groups each: there is nothing to skip, and a small object would be a tenth larger.
    # `write_parquet` starts the streaming engine: the same bytes, for half as much CPU again.
    frame.lazy().sink_parquet(
        buffer,
        compression="zstd",
        statistics=statistics,
        metadata=dict(metadata) if metadata else None,
        engine="in-memory",
    )
    return buffer.getvalue()


class Frames:
    """Reads bound partitions, and remembers the last ones that this run wrote.

    `settle` waits until everything that was made so far is in the store.
    """

    def __init__(self, artifacts: Artifacts, settle: Callable[[], None]) -> None:
        self._artifacts = artifacts
        self._settle = settle
        self._recent: OrderedDict[str, pl.DataFrame] = OrderedDict()
        self._held = 0

    def encode(
        self, frame: pl.DataFrame, metadata: Mapping[str, str] | None = None
    ) -> tuple[str, bytes]:
        """The name and the bytes of a frame's object; the frame stays at hand."""
        payload = encode(frame, metadata)
        name = object_name(payload, PARQUET)
        if name not in self._recent:
            self._recent[name] = frame
            self._held += int(frame.estimated_size())
        while self._held > _KEEP_BYTES and self._recent:
            self._held -= int(self._recent.popitem(last=False)[1].estimated_size())
        return name, payload

    def rows(self, name: str) -> pl.DataFrame:
        """The rows of one object, verified; StorageError when it is missing or damaged."""
        return pl.read_parquet(self._artifacts.get(name))

    def profile(self, product: Product) -> Profile | None:
        """The profile that is stored with a partition; None where it has none, or isn't stored yet."""
        missing = self._artifacts.missing(product.objects)
        return None if missing else profile_in(self._artifacts, product)

    def load(
        self, bindings: Sequence[Binding], contract: ContractSpec, columns: Sequence[str] = ()
    ) -> pl.LazyFrame:
        """The rows of some partitions, in order, with some columns of `contract`, or all of them."""
        columns = list(columns or contract.names)
        if not bindings:
            schema = schema_of(contract)
            return pl.LazyFrame(schema={name: schema[name] for name in columns})
        names = [name for binding in bindings for name in binding.product.objects]
        stored = not any(name in self._recent for name in names)
        whole = not any(binding.product.parts for binding in bindings)
        if stored and whole and contract.unknown_columns != "keep":
            # One scan of many files is planned faster than many scans.
            return pl.scan_parquet([self._artifacts.uri(n) for n in names], glob=False).select(
                columns
            )
        # What is at hand may not be stored yet; columns that are kept differ from part to part.
        frames = [self._rows(binding.product, columns) for binding in bindings]
        return frames[0] if len(frames) == 1 else pl.concat(frames)

    def together(
        self, name: str, bindings: Sequence[Binding], contract: ContractSpec, columns: Sequence[str]
    ) -> pl.LazyFrame:
        """`load`, but rows at hand are put together now, as one leaf that is known by `name`."""
        if self._recent.keys().isdisjoint(n for b in bindings for n in b.product.objects):
            return self.load(bindings, contract, columns)
        names = [*columns]
        tables = [self._table(binding.product, names) for binding in bindings]
        return marked(name, pl.concat(tables, rechunk=True))

    def _table(self, product: Product, columns: list[str]) -> pl.DataFrame:
        at_hand = None if product.parts else self._recent.get(product.objects[0])
        return (
            self._rows(product, columns).collect() if at_hand is None else at_hand.select(columns)
        )

    def columns(
        self, product: Product, names: Sequence[str], payload: bytes | None
    ) -> pl.DataFrame:
        """Some columns of a partition; `payload` is its object while that isn't stored."""
        if payload is None or product.objects[0] in self._recent:
            return self._rows(product, list(names)).collect()
        return pl.read_parquet(BytesIO(payload), columns=list(names))

    def all_columns(self, bindings: Sequence[Binding], names: Sequence[str]) -> pl.DataFrame:
        """Some columns of many partitions, one below the other; StorageError when some are gone."""
        self.require({"the table": bindings})
        objects = [name for binding in bindings for name in binding.product.objects]
        if not any(b.product.parts for b in bindings) and self._recent.keys().isdisjoint(objects):
            uris = [self._artifacts.uri(name) for name in objects]
            return pl.scan_parquet(uris, glob=False).select(names).collect()
        return pl.concat([self._rows(b.product, list(names)) for b in bindings]).collect()

    def _rows(self, product: Product, columns: list[str]) -> pl.LazyFrame:
        """The rows of one partition, its columns put side by side where they are in several objects."""
        if not product.parts:
            return self._part(product.objects[0], columns)
        beside = [
            self._part(part.object, held)
            for part in product.parts
            if (held := [column for column in columns if column in part.columns])
        ]
        return pl.concat(beside, how="horizontal").select(columns)

    def _part(self, name: str, columns: list[str]) -> pl.LazyFrame:
        frame = self._recent.get(name)
        if frame is None:
            return pl.scan_parquet(self._artifacts.uri(name), glob=False).select(columns)
        return marked(name, frame if frame.columns == columns else frame.select(columns))

    def require(self, bindings: Mapping[str, Sequence[Binding]]) -> None:
        """StorageError naming the first object that should be there and isn't."""
        names = {
            name: stage
            for stage, bound in bindings.items()
            for binding in bound
            for name in binding.product.objects
            if name not in self._recent
        }
        lost = sorted(self.missing(names))
        if lost:
            raise StorageError(
                f"{len(lost)} objects of {names[lost[0]]} are gone from the store ({lost[0]}, ...); "
                f"run `tidemill run {names[lost[0]]} --again` to make them anew"
            )

    def missing(self, names: Collection[str]) -> Collection[str]:
        """Those of `names` that aren't stored, nor made by this run and on their way."""
        lost = self._artifacts.missing([name for name in names if name not in self._recent])
        if lost:
            self._settle()
            lost = self._artifacts.missing(lost)
        return lost

    def verify(self, bindings: Mapping[str, Sequence[Binding]]) -> None:
        """StorageError naming the first object that isn't what its name says."""
        for stage, bound in bindings.items():
            for name in (name for binding in bound for name in binding.product.objects):
                try:
                    if name not in self._recent:
                        self._artifacts.get(name)
                except StorageError as error:
                    raise StorageError(
                        f"{stage} can't be read: {error}; then `tidemill run {stage} --again` "
                        "makes it anew"
                    ) from error
