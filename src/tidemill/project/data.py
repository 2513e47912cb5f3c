"""Read published and quarantined rows, and profiles of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from tidemill.contracts.docs.phrases import column_terms
from tidemill.contracts.profiles.record import Profile
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.binding import Binding
from tidemill.project.column_summary import profile_summary, row_summary
from tidemill.project.loaded_model import LoadedModel, load_model
from tidemill.project.models import Models
from tidemill.project.workspace import Workspace
from tidemill.sources.missing import Frozen, frozen_partitions
from tidemill.store.published import (
    read_profile,
    read_quarantine,
    read_rows,
    stored_profile,
)
from tidemill.workflow.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class TableView:
    """Published partitions of a stage: a summary of each column, and the first rows.

    `columns` are as in `column_summary`, each with its conditions under "contract". `frozen` are the
    partitions that are kept although their source lost rows.
    """

    stage: Stage
    bindings: Mapping[str, Binding]
    columns: list[dict[str, Any]]
    head: pl.DataFrame
    frozen: tuple[Frozen, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineView:
    """Quarantined rows: how many, how many broke each rule (most first), and the first of them."""

    rows: int
    reasons: pl.DataFrame
    head: pl.DataFrame


class PublishedData:
    """Reads what the stages of a workspace published."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def model(self, name: str, *, candidate: bool = False) -> LoadedModel:
        """Load the live model, or with `candidate` the one that was trained last."""
        artifact = Models(self._workspace).current(name, candidate=candidate)
        return load_model(self._workspace, artifact)

    def read(self, stage: str, partition: str | None = None) -> pl.LazyFrame:
        """The published rows of a partition, or of all; UsageError names the partitions there are.

        Collecting them raises DamagedObjectError if a stored object that is read is damaged.
        """
        space, subject = self._workspace, self._workspace.known_stage(stage)
        return space.read_state(lambda state: read_rows(space.tools, subject, state, partition))

    def quarantined(self, stage: str, partition: str | None = None) -> pl.LazyFrame:
        """The quarantined rows as they came, with the rules that each broke in `_reasons`."""
        space, subject = self._workspace, self._workspace.known_stage(stage)
        return space.read_state(
            lambda state: read_quarantine(space.tools, subject, state, partition)
        )

    def profile(
        self, stage: str, partition: str | None = None, until: str | None = None
    ) -> Profile:
        """The profile of a partition, of those from `partition` to `until`, or of all."""
        space, subject = self._workspace, self._workspace.known_stage(stage)
        return space.read_state(
            lambda state: read_profile(space.tools, subject, state, partition, until)
        )

    def stored_profile(self, stage: str, partition: str | None = None) -> Profile | None:
        """The profile if it is stored for every partition; None where rows would have to be read."""
        space, subject = self._workspace, self._workspace.known_stage(stage)
        return space.read_state(
            lambda state: stored_profile(space.tools, subject, state, partition)
        )

    def show(self, stage: str, partition: str | None = None, rows: int = 10) -> TableView:
        """The view of published partitions with their first `rows` rows.

        DamagedObjectError names a damaged object.
        """
        frame = self.read(stage, partition)
        bindings = self._workspace.published(stage, partition or "")
        stored = self.stored_profile(stage, partition)
        columns = (
            row_summary(frame)
            if stored is None
            else profile_summary(stored, frame.collect_schema())
        )
        head = frame.head(rows).collect()
        subject = self._workspace.known_stage(stage)
        _add_conditions(columns, subject)
        known = self._workspace.state().sources.get(stage, {})
        frozen = frozen_partitions(stage, known, bindings.keys())
        return TableView(
            stage=subject, bindings=bindings, columns=columns, head=head, frozen=frozen
        )

    def show_quarantined(
        self, stage: str, partition: str | None = None, rows: int = 10
    ) -> QuarantineView:
        """The view of quarantined rows; DamagedObjectError names a damaged object."""
        bad = self.quarantined(stage, partition).collect()
        head = bad.head(rows).select(
            "_reasons", *(name for name in bad.columns if name != "_reasons")
        )
        return QuarantineView(rows=bad.height, reasons=_count_reasons(bad), head=head)


def _add_conditions(columns: list[dict[str, Any]], stage: Stage) -> None:
    contracted = {column.name: column for column in stage.output.columns} if stage.output else {}
    for column in columns:
        name = column["name"]
        column["contract"] = column_terms(contracted[name]) if name in contracted else ""


def _count_reasons(bad: pl.DataFrame) -> pl.DataFrame:
    if not bad.height:
        return pl.DataFrame(schema={"rule": pl.String, "rows": pl.UInt32})
    return (
        bad.select(pl.col("_reasons").explode().alias("rule"))
        .group_by("rule")
        .len("rows")
        .sort("rows", "rule", descending=[True, False])
    )
