"""Frames in and out of the store: what a stage is handed, and what it gave as an object."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO

import polars as pl

from tidemill.decide.schema import schema_of
from tidemill.domain.binding import Binding
from tidemill.domain.contract import ContractSpec
from tidemill.domain.errors import StorageError
from tidemill.domain.fingerprint import object_name
from tidemill.ports import Artifacts

PARQUET = ".parquet"
# Partitions that were just written are mostly read next; this many bytes of them stay in memory.
_KEEP_BYTES = 64_000_000


def encode(frame: pl.DataFrame) -> bytes:
    """A frame as Parquet (zstd); equal frames give equal bytes under one version of Polars."""
    buffer = BytesIO()
    frame.write_parquet(buffer, compression="zstd")
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

    def encode(self, frame: pl.DataFrame) -> tuple[str, bytes]:
        """The name and the bytes of a frame's object; the frame stays at hand."""
        payload = encode(frame)
        name = object_name(payload, PARQUET)
        if name not in self._recent:
            self._recent[name] = frame
            self._held += int(frame.estimated_size())
        while self._held > _KEEP_BYTES and self._recent:
            self._held -= int(self._recent.popitem(last=False)[1].estimated_size())
        return name, payload

    def load(self, bindings: Sequence[Binding], contract: ContractSpec) -> pl.LazyFrame:
        """The rows of some partitions, in order, with the columns of `contract`."""
        parts = [name for binding in bindings for name in binding.product.objects]
        if not parts:
            return pl.LazyFrame(schema=schema_of(contract))
        stored = [name for name in parts if name not in self._recent]
        if len(stored) == len(parts) and contract.unknown_columns != "keep":
            # One scan of many files is planned faster than many scans.
            return pl.scan_parquet([self._artifacts.uri(n) for n in parts]).select(contract.names)
        # What is at hand may not be stored yet; columns that are kept differ from part to part.
        columns = list(contract.names)
        if len(parts) == 1:
            return self._part(parts[0], columns)
        return pl.concat([self._part(name, columns) for name in parts])

    def _part(self, name: str, columns: list[str]) -> pl.LazyFrame:
        frame = self._recent.get(name)
        if frame is None:
            return pl.scan_parquet(self._artifacts.uri(name)).select(columns)
        return frame.lazy() if frame.columns == columns else frame.lazy().select(columns)

    def require(self, bindings: Mapping[str, Sequence[Binding]]) -> None:
        """StorageError naming the first object that should be there and isn't."""
        names = {
            name: stage
            for stage, bound in bindings.items()
            for binding in bound
            for name in binding.product.objects
            if name not in self._recent
        }
        lost = sorted(self._artifacts.missing(names))
        if lost:
            # What this run made a moment ago may still be on its way to the store.
            self._settle()
            lost = sorted(self._artifacts.missing(lost))
        if lost:
            raise StorageError(
                f"{len(lost)} objects of {names[lost[0]]} are gone from the store ({lost[0]}, ...); "
                f"run `tidemill run {names[lost[0]]} --again` to make them anew"
            )

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
