"""Rows that aren't in files: what there is of each partition, and reading one as it was planned.

The rows of a partition are taken for one file, whose digest names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import polars as pl

from tidemill.act.outputs import OutputTable
from tidemill.act.queries import QueryTable
from tidemill.domain.source import Output, Query, Source, SourceFile
from tidemill.domain.stage import Stage
from tidemill.ports import Outside


class Table(Protocol):
    """A source that isn't files, as one run sees it."""

    def listed(self) -> dict[str, SourceFile]:
        """What it has now; SourceError when it has nothing."""

    def read(self, partition: str, files: Mapping[str, SourceFile]) -> pl.DataFrame:
        """The rows of a partition; SourceError when they aren't those that were planned with."""


def look(source: Source[Any], stage: Stage, outside: Outside) -> Mapping[str, SourceFile]:
    """What the source of an ingest has now."""
    return table_of(source, stage, outside).listed()


def table_of(
    source: Source[Any], stage: Stage, outside: Outside, coming: Sequence[SourceFile] = ()
) -> Table:
    """The rows of a source; those that are `coming` may be read ahead."""
    assert stage.output is not None
    if isinstance(source, Query):
        return QueryTable(source, stage.output, outside.database(source.url), coming)
    assert isinstance(source, Output), f"{type(source).__name__} is no source of rows"
    return OutputTable(source, stage.output, outside)
