"""One quarantined row with all its cells, to be corrected."""

from __future__ import annotations

from importlib import import_module

from tidemill.console.personal_values import HIDDEN, hidden_columns
from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.console.views.stage_quarantine import RowRuling, one_partition, row_rulings
from tidemill.contracts.column import Column
from tidemill.contracts.docs.phrases import column_terms
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import UNPLACED, WHOLE
from tidemill.governance.permissions import Permission
from tidemill.project.project import Project
from tidemill.workflow.stage import Kind

# More columns are corrected in a file.
_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCell:
    """A cell of a quarantined row: its `text` (null is null), its terms, and whether it broke a rule.

    `type` is that of its contract, as which a cell of a text file is still to be read.
    """

    name: str
    type: str
    text: str | None
    terms: str
    is_broken: bool
    is_editable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedRowView:
    """A quarantined row: which rules it broke, and its cells, broken ones first, of `total_columns`.

    `rulings` are the decisions on it that no run has applied yet, or that left it in quarantine.
    `obstacle` says why it can't be corrected; `correcting` who may.
    """

    stage: str
    kind: Kind
    partition: str
    row: int
    rows: int
    digest: str
    rules: tuple[str, ...]
    rulings: tuple[RowRuling, ...]
    cells: tuple[RowCell, ...]
    total_columns: int
    obstacle: str
    correcting: ActionRight


def show_quarantined_row(
    project: Project, stage: str, row: int, partition: str = WHOLE
) -> QuarantinedRowView:
    """Show a quarantined row with its cells as they came, and the rules that it broke.

    At most 200 columns are shown, those that broke a rule and the key first.
    """
    rows = project.quarantine.rows(stage, partition)
    known = project.workspace.known_stage(stage)
    corrections = import_module("tidemill.console.corrected_row")
    found = corrections.find_row(rows, row)
    rules: list[str] = found.get_column("_reasons").to_list()[0]
    contracted = {column.name: column for column in known.output.columns} if known.output else {}
    own = [name for name in rows.columns if name not in ("_row", "_reasons")]
    broken = {name for name in own if any(rule.startswith(f"{name}.") for rule in rules)}
    key = known.output.key if known.output is not None else ()
    broken |= {*key} if "key" in rules else set()
    shown = sorted(own, key=lambda name: (name not in broken, name not in key))[:_MOST]
    # The types of a wide table aren't asked for cell by cell.
    part = found.select(shown)
    texts = corrections.row_texts(part, shown)
    hidden = hidden_columns(project, known, shown)
    return QuarantinedRowView(
        stage=stage,
        kind=known.kind,
        partition=partition,
        row=row,
        rows=rows.height,
        digest=found.get_column("_digest").to_list()[0] if "_digest" not in own else "",
        rules=tuple(rules),
        rulings=row_rulings(project, one_partition(project, stage, partition), row),
        cells=tuple(
            RowCell(
                name=name,
                type=_cell_type(contracted.get(name), str(part.schema[name])),
                text=HIDDEN if name in hidden and texts[name] is not None else texts[name],
                terms=column_terms(contracted[name]) if name in contracted else "",
                is_broken=name in broken,
                is_editable=name not in hidden and corrections.is_editable(part, name),
            )
            for name in shown
        ),
        total_columns=len(own),
        obstacle=_obstacle(partition, is_declared=known.is_declared),
        correcting=action_right(project, Permission.CORRECT_ROWS),
    )


def _cell_type(column: Column | None, held: str) -> str:
    """The type that a cell has by its contract, "as text" if the row holds it as it was written."""
    declared = held
    if column is not None:
        # The terms list the values of an Enum.
        declared = "Enum" if column.dtype.name == "Enum" else str(column.dtype)
    return f"{declared}, as text" if held == "String" and declared != held else declared


def _obstacle(partition: str, *, is_declared: bool) -> str:
    if not is_declared:
        return "the stage is no longer declared, so no run would apply a correction"
    if partition == UNPLACED:
        return (
            "the rows have no partition to publish corrections in: correct the source, or drop them"
        )
    return ""
