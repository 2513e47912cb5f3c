"""Tables: sources other than files. List their partitions, and read one as it was planned.

The rows of a partition count as one file, whose digest identifies them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

import polars as pl

from tidemill.ports.runtime import Runtime
from tidemill.sources.io.dbt_model import find_model
from tidemill.sources.io.dlt_table import DltTable
from tidemill.sources.io.file_listing import reading_id
from tidemill.sources.io.lake_table import LakeTable
from tidemill.sources.io.project_table import OutputTable
from tidemill.sources.io.pull_table import PullTable
from tidemill.sources.io.query_table import QueryTable
from tidemill.workflow.loaders import Dbt, Dlt
from tidemill.workflow.mlflow_source import MlflowModel
from tidemill.workflow.source import Delta, Iceberg, Output, Pull, Query, Source, SourceFile
from tidemill.workflow.stage import Stage


class Table(Protocol):
    """A source other than files, as one run sees it."""

    def list_files(self) -> dict[str, SourceFile]:
        """List the current content by path; SourceError if it is empty."""

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        """Read the rows of a partition; SourceError if they changed since the plan was made."""


def list_table(
    source: Source[Any], stage: Stage, tools: Runtime, known: Mapping[str, SourceFile]
) -> Mapping[str, SourceFile]:
    """List the current content of an ingest's source; `known` is what the ledger recorded last."""
    return open_table(source, stage, tools, known=known).list_files()


def open_table(
    source: Source[Any],
    stage: Stage,
    tools: Runtime,
    *,
    known: Mapping[str, SourceFile] | None = None,
    upcoming: Sequence[SourceFile] = (),
) -> Table:
    """Open the table of a source; the partitions in `coming` may be read ahead."""
    assert stage.output is not None
    outside = tools.external_sources
    if isinstance(source, Query):
        database = outside.database(source.url, source.engine)
        return QueryTable(source, stage.output, database, upcoming, reading_id(source, stage))
    if isinstance(source, Dbt):
        model = find_model(source, tools.root)
        database = outside.database(source.url, source.engine)
        reading, query = reading_id(source, stage), source.query(model.relation)
        return QueryTable(query, stage.output, database, upcoming, reading, name=model.label)
    if isinstance(source, Dlt):
        return DltTable(source, stage, outside, tools.artifacts, known or {})
    if isinstance(source, (Delta, Iceberg)):
        return LakeTable(source, stage, outside, known or {})
    if isinstance(source, MlflowModel):
        # Who reads none doesn't load it.
        table = import_module("tidemill.sources.io.mlflow_table").MlflowTable
        opened: Table = table(source, stage, outside.tracking_server(source.server), known or {})
        return opened
    if isinstance(source, Pull):
        return PullTable(source, stage, tools.artifacts, known or {})
    assert isinstance(source, Output), f"{type(source).__name__} is not a table"
    return OutputTable(source, stage.output, outside, reading_id(source, stage))
