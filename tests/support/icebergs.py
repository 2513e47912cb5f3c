"""Iceberg tables that tests read: a catalog in a file, and deletes that PyIceberg reads but doesn't write."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestFile
from pyiceberg.manifest import ManifestWriterV2 as Writer
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles
from pyiceberg.transforms import DayTransform, IdentityTransform, Transform
from pyiceberg.types import DateType, DoubleType, LongType, NestedField
from pyroaring import BitMap

NAME = "sea.raw"
SCHEMA = Schema(
    NestedField(1, "day", DateType()),
    NestedField(2, "id", LongType()),
    NestedField(3, "value", DoubleType()),
)
CUTS: Mapping[str, Transform[Any, Any] | None] = {
    "not cut": None,
    "by day": IdentityTransform(),
    "by days": DayTransform(),
}


class Sea:
    """A catalog in a file of a project's folder, and one table `sea.raw`."""

    uri = "sqlite:///catalog.db"

    def __init__(self, root: Path, cut: str = "by day", schema: Schema = SCHEMA) -> None:
        self.root = root
        with self.catalog() as catalog:
            catalog.create_namespace("sea")
            transform = CUTS[cut]
            fields = [PartitionField(1, 1000, transform, "part")] if transform else []
            catalog.create_table(NAME, schema, partition_spec=PartitionSpec(*fields))

    def catalog(self) -> SqlCatalog:
        """The catalog, as those open it who write."""
        path = self.root / "catalog.db"
        return SqlCatalog("default", uri=f"sqlite:///{path}", warehouse=str(self.root / "sea"))

    def table(self) -> Table:
        """The table as it is now."""
        with self.catalog() as catalog:
            return catalog.load_table(NAME)

    def add(self, *frames: pl.DataFrame) -> None:
        """Rows, in a commit a frame."""
        for frame in frames:
            self.table().append(frame.to_arrow())

    def given(self, snapshot: int | None = None) -> list[tuple[Any, ...]]:
        """The rows that another reader finds."""
        rows = self.table().scan(snapshot_id=snapshot).to_arrow()
        return sorted(pl.DataFrame(rows).select("day", "id", "value").rows())

    def snapshots(self) -> list[int]:
        """The snapshots, oldest first."""
        return [snapshot.snapshot_id for snapshot in self.table().snapshots()]

    def files(self) -> list[DataFile]:
        """The files of the current snapshot, in the order of their partitions."""
        tasks = self.table().scan().plan_files()
        return sorted((task.file for task in tasks), key=lambda file: str(file.partition))

    def mark(self, file: DataFile, positions: Sequence[int], *, vector: bool = False) -> None:
        """Delete rows of a file by a file of their positions, or by a vector."""
        if vector:
            self._delete(file, "puffin", _puffin(file.file_path, positions), len(positions))
            return
        rows = {"file_path": [file.file_path] * len(positions), "pos": positions}
        frame = pl.DataFrame(rows, schema={"file_path": pl.String, "pos": pl.Int64})
        path = self.root / f"{uuid4().hex}.tmp"
        frame.write_parquet(path)
        self._delete(file, "parquet", path.read_bytes(), len(positions))

    def equal(self, file: DataFile) -> None:
        """Delete rows by the values of their columns."""
        path = self.root / f"{uuid4().hex}.tmp"
        pl.DataFrame({"id": [1]}).write_parquet(path)
        self._delete(file, "parquet", path.read_bytes(), 1, equality_ids=[2])

    def _delete(self, file: DataFile, suffix: str, payload: bytes, rows: int, **more: Any) -> None:
        table = self.table()
        path = f"{table.location()}/data/{uuid4().hex}.{suffix}"
        Path(path.removeprefix("file://")).write_bytes(payload)
        equality = bool(more)
        content = DataFileContent.EQUALITY_DELETES if equality else DataFileContent.POSITION_DELETES
        deletes = DataFile.from_args(
            content=content,
            file_path=path,
            file_format=FileFormat[suffix.upper()],
            partition=file.partition,
            record_count=rows,
            file_size_in_bytes=len(payload),
            **more,
        )
        deletes.spec_id = table.spec().spec_id
        with table.transaction() as transaction:
            _Deletes(Operation.DELETE, transaction, table.io).append_data_file(deletes).commit()


class _DeletesWriter(Writer):
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class _Deletes(_FastAppendFiles):
    """Adds what it is given as deletes."""

    def new_manifest_writer(self, spec: PartitionSpec) -> Writer:
        return _DeletesWriter(
            spec, self.schema(), self.new_manifest_output(), self._snapshot_id, self._compression
        )

    def _existing_manifests(self) -> list[ManifestFile]:
        snapshot = self._transaction.table_metadata.current_snapshot()
        return snapshot.manifests(self._io) if snapshot else []

    def _summary(self, snapshot_properties: Mapping[str, str] = {}) -> Any:
        added, self._added_data_files = self._added_data_files, []
        try:
            return super()._summary({**snapshot_properties})
        finally:
            self._added_data_files = added


def _puffin(path: str, positions: Sequence[int]) -> bytes:
    """A file with one vector of deleted rows, as Iceberg's specification has it."""
    bitmap = struct.pack("<QI", 1, 0) + BitMap(positions).serialize()
    body = b"\xd1\xd3\x39\x64" + bitmap
    blob = struct.pack(">I", len(body)) + body + struct.pack(">I", 0)
    told = {
        "type": "deletion-vector-v1",
        "fields": [],
        "snapshot-id": -1,
        "sequence-number": -1,
        "offset": 4,
        "length": len(blob),
        "properties": {"referenced-data-file": path, "cardinality": str(len(positions))},
    }
    footer = json.dumps({"blobs": [told], "properties": {}}).encode()
    magic = b"PFA1"
    return magic + blob + magic + footer + struct.pack("<iI", len(footer), 0) + magic
