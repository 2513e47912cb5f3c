"""Rows that aren't in files: what there is of each partition, and reading one as it was planned.

The rows of a partition are taken for one file, whose digest names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import polars as pl

from tidemill.ports.runtime import Tools
from tidemill.sources.io.lake_table import LakeTable
from tidemill.sources.io.project_table import OutputTable
from tidemill.sources.io.pull_table import PullTable
from tidemill.sources.io.query_table import QueryTable
from tidemill.workflow.source import Delta, Iceberg, Output, Pull, Query, Source, SourceFile
from tidemill.workflow.stage import Stage


class Table(Protocol):
    """A source that isn't files, as one run sees it."""

    def listed(self) -> dict[str, SourceFile]:
        """What it has now; SourceError when it has nothing."""

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        """The rows of a partition; SourceError when they aren't those that were planned with."""


def look(
    source: Source[Any], stage: Stage, tools: Tools, known: Mapping[str, SourceFile]
) -> Mapping[str, SourceFile]:
    """What the source of an ingest has now; `known` is what the ledger knows of it."""
    return table_of(source, stage, tools, known=known).listed()


def table_of(
    source: Source[Any],
    stage: Stage,
    tools: Tools,
    *,
    known: Mapping[str, SourceFile] | None = None,
    coming: Sequence[SourceFile] = (),
) -> Table:
    """The rows of a source; those that are `coming` may be read ahead."""
    assert stage.output is not None
    outside = tools.outside
    if isinstance(source, Query):
        return QueryTable(source, stage.output, outside.database(source.url, source.engine), coming)
    if isinstance(source, (Delta, Iceberg)):
        return LakeTable(source, stage, outside, known or {})
    if isinstance(source, Pull):
        return PullTable(source, stage, tools.artifacts, known or {})
    assert isinstance(source, Output), f"{type(source).__name__} is no source of rows"
    return OutputTable(source, stage.output, outside)
