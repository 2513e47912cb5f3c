"""Do the work of a data step: hand a stage its frames, judge what it gave, name it by content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.act.calling import Caller, call, collected
from tidemill.act.frames import PARQUET, Frames, encode
from tidemill.act.sources import read_file
from tidemill.decide.check import Judged, checker_of
from tidemill.decide.digest import Hasher, column_hashes, rowset_hash
from tidemill.decide.findings import unknown_finding
from tidemill.decide.schema import schema_of
from tidemill.domain.binding import Binding, Product, content_of
from tidemill.domain.contract import ContractSpec
from tidemill.domain.errors import ContractError, SourceError, StepError
from tidemill.domain.finding import Finding
from tidemill.domain.fingerprint import object_name
from tidemill.domain.partition import UNPLACED, WHOLE
from tidemill.domain.query import Reads
from tidemill.domain.source import Source, SourceFile
from tidemill.domain.stage import Stage

T = TypeVar("T")
Objects = tuple[tuple[bytes, str], ...]


class Workroom:
    """Executes ingest and transform steps of one run; files that feed several partitions are opened once."""

    def __init__(self, root: Path, frames: Frames) -> None:
        self._root = root
        self._frames = frames
        self._sources: dict[str, Source[Any]] = {}
        self._steady: dict[str, int] = {}
        self._split: dict[str, tuple[tuple[str, ...], dict[str, pl.DataFrame]]] = {}
        self._hashers: dict[str, Hasher] = {}
        self._caller = Caller()

    def ingest(
        self, stage: Stage, partition: str, files: Mapping[str, SourceFile], history: Sequence[int]
    ) -> tuple[Product, Objects]:
        """Read one partition's rows from its files and publish those that pass."""
        assert stage.output is not None
        source = self._sources.get(stage.name)
        if source is None:
            source = self._sources[stage.name] = call(stage, partition, {})
        if not all(set(file.rows) == {partition} for file in files.values()):
            rows = self._rows(stage, source, partition, tuple(files))
            self._refuse_changed(files)
            return self._judged(stage, partition, rows, history)
        # Columns that the contract drops are only read when there are rows to quarantine as they came.
        narrow, dropped = self._read(stage, source, tuple(files), drop=True)
        judged = checker_of(stage.output).judge(narrow, partition=partition, history=history)
        if judged.bad is not None:
            wide, _ = self._read(stage, source, tuple(files))
            self._refuse_changed(files)
            return self._judged(stage, partition, wide, history)
        self._refuse_changed(files)
        found = unknown_finding(stage.output, dropped, narrow.height)
        judged = replace(judged, findings=(*judged.findings, *found))
        return self._product(stage, partition, judged)

    def _refuse_changed(self, files: Mapping[str, SourceFile]) -> None:
        """SourceError when a file isn't what the plan saw: its rows would be recorded as another's."""
        for path, file in files.items():
            try:
                changed = self._changed(path, file)
            except OSError as error:
                raise SourceError(f"{path} can't be read: {error.strerror}; run again") from error
            if changed:
                raise SourceError(f"{path} changed while this run was at work; run again")

    def _changed(self, path: str, file: SourceFile) -> bool:
        stat = (self._root / path).stat()
        if stat.st_size == file.size and stat.st_mtime_ns in (
            file.mtime_ns,
            self._steady.get(path),
        ):
            return False
        with (self._root / path).open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        self._steady[path] = stat.st_mtime_ns
        return digest != file.digest

    def transform(
        self,
        stage: Stage,
        partition: str,
        inputs: Mapping[str, Sequence[Binding]],
        reads: Reads,
        history: Sequence[int],
    ) -> tuple[Product, Objects, tuple[str, ...]]:
        """Call the stage on its inputs and publish the rows that pass; what else it reached for.

        StepError when its query asks for a column that isn't among `reads`, the ones of its key.
        """
        frames = self.frames_for(stage, inputs)
        query, touched = self._sound(
            inputs, lambda: self._caller.query(stage, partition, frames, reads)
        )
        rows = sum(held.product.rows for bound in inputs.values() for held in bound)
        frame = self._sound(inputs, lambda: collected(stage, partition, query, rows))
        return (*self._judged(stage, partition, frame, history), touched)

    def recheck(
        self, stage: Stage, partition: str, binding: Binding, history: Sequence[int]
    ) -> Product | None:
        """What is published, judged anew by the contract as it is now; None when rows don't pass."""
        assert stage.output is not None
        self._frames.require({stage.name: (binding,)})
        frame = self._frames.load((binding,), stage.output).collect()
        judged = checker_of(stage.output).judge(frame, partition=partition, history=history)
        if judged.bad is not None:
            return None
        refuse(stage, partition, judged.findings)
        kept = tuple(item for item in binding.product.findings if item.severity == "info")
        return replace(binding.product, findings=(*kept, *judged.findings))

    def missing(self, names: Collection[str]) -> bool:
        """Whether some of these objects are neither stored nor on their way."""
        return bool(self._frames.missing(names))

    def _sound(self, inputs: Mapping[str, Sequence[Binding]], work: Callable[[], T]) -> T:
        """What `work` gives; when it fails on a damaged object, that is the error, not the user's code."""
        try:
            return work()
        except StepError:
            self._frames.verify(inputs)
            raise

    def frames_for(
        self, stage: Stage, inputs: Mapping[str, Sequence[Binding]]
    ) -> dict[str, pl.LazyFrame]:
        """A LazyFrame for every frame input; one that has no partitions is empty."""
        self._frames.require(inputs)
        return {
            item.name: self._frames.load(inputs.get(item.name, ()), item.contract)
            for item in stage.frames
            if item.contract is not None
        }

    def features(self, name: str, binding: Binding, contract: ContractSpec) -> pl.LazyFrame:
        """One published partition of the stage `name` as a frame."""
        self._frames.require({name: (binding,)})
        return self._frames.load((binding,), contract)

    def _rows(
        self, stage: Stage, source: Source[Any], partition: str, files: tuple[str, ...]
    ) -> pl.DataFrame:
        """The rows of a partition; files that feed several partitions are opened once for all of them."""
        assert stage.output is not None
        known, parts = self._split.get(stage.name, ((), {}))
        if known != files:
            frame, _ = self._read(stage, source, files)
            cut = stage.output.partitioning
            parts = {WHOLE: frame}
            if not cut.is_whole:
                keys = checker_of(stage.output).partition_keys().alias("_key")
                parts = {
                    UNPLACED if key[0] is None else str(key[0]): part
                    for key, part in frame.with_columns(keys)
                    .partition_by("_key", maintain_order=True, as_dict=True, include_key=False)
                    .items()
                }
            self._split[stage.name] = (files, parts)
        empty = next(iter(parts.values())).clear() if parts else pl.DataFrame()
        return parts.get(partition, empty)

    def _read(
        self, stage: Stage, source: Source[Any], files: tuple[str, ...], *, drop: bool = False
    ) -> tuple[pl.DataFrame, list[str]]:
        """The rows of some files, and with `drop` the columns that were left out."""
        assert stage.output is not None
        dropped: dict[str, None] = {}
        try:
            parts = [read_file(source, stage.output, self._root, path) for path in files]
            if drop and stage.output.unknown_columns == "drop":
                known = stage.output.names
                given = [name for part in parts for name in part.collect_schema().names()]
                dropped = dict.fromkeys(name for name in given if name not in known)
                parts = [part.select(known) for part in parts]
            if len(parts) == 1:
                return parts[0].collect(), list(dropped)
            return pl.concat(parts, how="diagonal_relaxed").collect(), list(dropped)
        except (PolarsError, PanicException, OSError) as error:
            names = ", ".join(files[:3])
            raise SourceError(f"{names} can't be read: {error}") from error

    def _judged(
        self, stage: Stage, partition: str, frame: pl.DataFrame, history: Sequence[int]
    ) -> tuple[Product, Objects]:
        assert stage.output is not None
        judged = checker_of(stage.output).judge(frame, partition=partition, history=history)
        return self._product(stage, partition, judged)

    def _product(self, stage: Stage, partition: str, judged: Judged) -> tuple[Product, Objects]:
        assert stage.output is not None
        refuse(stage, partition, judged.findings)
        name, payload = self._frames.encode(judged.good)
        hashes = self._hashes(stage, judged.good)
        rowset = rowset_hash(judged.good, stage.output.key, hashes)
        objects: list[tuple[bytes, str]] = [(payload, PARQUET)]
        quarantine = None
        if judged.bad is not None and judged.bad.height:
            objects.append((encode(judged.bad), PARQUET))
            quarantine = object_name(objects[-1][0], PARQUET)
        product = Product(
            content=content_of(hashes, rowset),
            objects=(name,),
            columns=hashes,
            rowset=rowset,
            rows=judged.good.height,
            bytes=sum(len(item) for item, _ in objects),
            quarantine=quarantine,
            quarantined=judged.bad.height if judged.bad is not None else 0,
            findings=judged.findings,
        )
        return product, tuple(objects)

    def _hashes(self, stage: Stage, good: pl.DataFrame) -> dict[str, str]:
        assert stage.output is not None
        if stage.output.unknown_columns == "keep":
            return column_hashes(good)
        if stage.name not in self._hashers:
            self._hashers[stage.name] = Hasher(schema_of(stage.output))
        return self._hashers[stage.name].hashes(good)


def refuse(stage: Stage, partition: str, findings: Sequence[Finding]) -> None:
    """ContractError when a finding says that the partition must not be published."""
    fatal = [finding for finding in findings if finding.severity == "fail"]
    if fatal:
        contract = f" (contract {stage.output.name} {stage.output.version})" if stage.output else ""
        place = "" if partition == WHOLE else f" {partition}"
        lines = "; ".join(finding.message for finding in fatal)
        raise ContractError(f"{stage.name}{place} breaks its contract{contract}: {lines}")
