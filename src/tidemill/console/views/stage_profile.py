"""The columns of published partitions: counts, extremes, quantiles, and how values are distributed."""

from __future__ import annotations

from importlib import import_module

from tidemill.console.column_figures import ColumnFigures
from tidemill.console.personal_values import hidden_columns, personal_columns
from tidemill.console.table_window import chosen_columns
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.project.project import Project
from tidemill.workflow.stage import DATA, Kind

_MOST_COLUMNS, _MOST_KEYS = 20, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileView:
    """Statistics of some columns of the partitions from `partition` to `until`, from `first_column` on.

    `total_columns` of the table have `containing` in their names. `obstacle` says why there are none.
    """

    stage: str
    kind: Kind
    partition: str
    until: str
    last_keys: tuple[str, ...]
    containing: str
    rows: int
    first_column: int
    total_columns: int
    columns: tuple[ColumnFigures, ...]
    obstacle: str = ""


def show_profile(
    project: Project,
    stage: str,
    partition: str = "",
    until: str = "",
    containing: str = "",
    first_column: int = 0,
) -> ProfileView:
    """Show statistics of the columns of a partition, by default the last one, or of those up to `until`.

    At most 20 columns are shown, from `first_column` on, of those with `containing` in their names.
    """
    space = project.workspace
    space.require(Permission.READ)
    known, keys = space.known_stage(stage), sorted(space.bindings(stage))
    key = partition or (keys[-1] if keys else "")
    obstacle = (
        ""
        if known.kind in (*DATA, Kind.DELIVER)
        else f"a stage of the kind {known.kind} has no rows"
    )
    if not keys:
        obstacle = "nothing is published yet"
    rows, columns, start, fitting = 0, list[ColumnFigures](), 0, 0
    if not obstacle:
        profile = project.profile(stage, key, until or None)
        names = [column.name for column in profile.columns]
        fit, start, fitting = chosen_columns(names, first_column, containing)
        shown = fit[:_MOST_COLUMNS]
        marks = personal_columns(project, known, shown)
        hidden = hidden_columns(project, known, shown)
        figures_of = import_module("tidemill.console.column_statistics").figures_of
        by_name = {column.name: column for column in profile.columns}
        columns = [
            figures_of(by_name[name], marks.get(name, ""), is_hidden=name in hidden)
            for name in shown
        ]
        rows = profile.rows
    return ProfileView(
        stage=stage,
        kind=known.kind,
        partition=key,
        until=until,
        last_keys=tuple(reversed(keys[-_MOST_KEYS:])),
        containing=containing,
        rows=rows,
        first_column=start,
        total_columns=fitting,
        columns=tuple(columns),
        obstacle=obstacle,
    )
