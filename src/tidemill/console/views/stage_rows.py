"""Sample rows of a stage; of a model its artifact, of an evaluation its scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice

from tidemill.console.personal_values import hidden_columns, personal_columns, shown_scores
from tidemill.console.table_window import TableWindow, chosen_columns, table_window
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.project.project import Project
from tidemill.workflow.gate import Scores
from tidemill.workflow.stage import Kind, Stage

_MOST_ROWS, _MOST_KEYS, _MOST_SCORES = 200, 100, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreLine:
    """The metrics of a model or a baseline, of all rows, or of a slice."""

    subject: str
    slice: str
    rows: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRowsView:
    """The first rows of a partition of a stage, of `total_rows`; `last_keys` are its last partitions.

    `selected_columns` of all columns have `containing` in their names. A model has an `artifact`, an
    evaluation `scores`; other stages have a table, which is empty if nothing is published.
    """

    stage: str
    kind: Kind
    is_published: bool
    partition: str
    last_keys: tuple[str, ...]
    total_rows: int
    containing: str
    table: TableWindow
    scores: tuple[ScoreLine, ...] = ()
    metrics: tuple[str, ...] = ()
    artifact: str = ""


def show_rows(
    project: Project,
    stage: str,
    partition: str = "",
    rows: int = 50,
    containing: str = "",
    first_column: int = 0,
) -> StageRowsView:
    """Show the first rows of a partition, by default the last one; `rows` is at most 200.

    At most 50 columns are shown, from `first_column` on, of those with `containing` in their names. Personal
    data are hidden from people below the role that the settings name.
    """
    space = project.workspace
    space.require(Permission.READ)
    known, bound = space.known_stage(stage), space.bindings(stage)
    keys = sorted(bound)
    if partition:
        # It names the partitions that there are.
        space.published(stage, partition)
    key = partition or (keys[-1] if keys else "")
    found = StageRowsView(
        stage=stage,
        kind=known.kind,
        is_published=bool(keys),
        partition=key,
        last_keys=tuple(reversed(keys[-_MOST_KEYS:])),
        total_rows=bound[key].product.rows if key else 0,
        containing=containing,
        table=TableWindow(columns=(), rows=(), first_column=0, total_columns=0),
    )
    if not key:
        return found
    if known.kind is Kind.EVALUATE:
        scores = {
            subject: shown_scores(project, stage, each)
            for subject, each in project.models.scores(stage).items()
        }
        return replace(found, scores=_score_lines(scores), metrics=_metrics(scores))
    if known.kind is Kind.MODEL:
        artifact = bound[key].product.artifact
        return replace(found, artifact=artifact.id if artifact is not None else "")
    return replace(found, table=_table(project, known, key, rows, containing, first_column))


def _table(
    project: Project, stage: Stage, partition: str, rows: int, containing: str, first: int
) -> TableWindow:
    frame = project.read(stage.name, partition)
    shown, start, fitting = chosen_columns(frame.collect_schema().names(), first, containing)
    # Of a wide table only these columns are read.
    head = frame.select(shown).head(min(max(rows, 0), _MOST_ROWS)).collect()
    return table_window(
        head,
        numbers=range(head.height),
        first_column=start,
        total_columns=fitting,
        personal=personal_columns(project, stage, shown),
        hidden=hidden_columns(project, stage, shown),
    )


def _score_lines(scores: Mapping[str, Scores]) -> tuple[ScoreLine, ...]:
    lines = (
        line
        for subject, each in scores.items()
        for line in (
            ScoreLine(subject=subject, slice="", rows=each.rows, metrics=each.metrics),
            *(
                ScoreLine(
                    subject=subject,
                    slice=f"{each.by}: {part.value}",
                    rows=part.rows,
                    metrics=part.metrics,
                )
                for part in each.slices
            ),
        )
    )
    return tuple(islice(lines, _MOST_SCORES))


def _metrics(scores: Mapping[str, Scores]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for each in scores.values() for name in each.metrics))
