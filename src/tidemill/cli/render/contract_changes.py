"""Render changes of contracts and stages: each change, its direction, and the stages that it affects."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.contracts.compatibility.changes import Change, remark_text
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.lineage.stage_changes import StageChange, WorkflowChanges
from tidemill.lineage.version_review import ContractReview


def render_changes_since(ref: str, found: WorkflowChanges) -> str:
    """Render a comparison with a git ref, to follow the rest of a check."""
    head = f"\n\nagainst {ref}:"
    moved = f"\n\n{_stage_changes(found.stages)}" if found.stages else ""
    if not found.contracts:
        return f"{head}{moved}\n\nno contract changed" if moved else f"{head} no contract changed"
    blocks = (f"\n\n{render_comparison(item)}" for item in found.contracts)
    return head + moved + "".join(blocks)


def _stage_changes(stages: Sequence[StageChange]) -> str:
    rows = []
    for move in stages:
        name = f"{move.was} -> {move.stage}" if move.was else move.stage
        fates = "; ".join(f"{reader} ({fate})" for reader, fate in move.readers)
        rows.append((name, move.kind, move.what, fates or "-"))
    return text_table(
        *drop_empty_columns(("stage", "kind", "change", "consumers"), rows, "consumers")
    )


def render_comparison(item: ContractReview) -> str:
    """Render a comparison of two contracts: a line per change, then the faults of the new version."""
    headers = (f"{item.stage}: {item.diff.head}", "direction", "affected stages")
    rows = [
        (f"  {change}{remark_text(change)}", str(change.direction), _affected_stages(item, change))
        for change in item.diff.changes
    ]
    faults = (*item.faults, *item.broken)
    lines = [text_table(headers, rows), *(f"- {fault}" for fault in faults)]
    return "\n".join([*lines, *(f"- {note}" for note in item.notes if not item.faults)])


def _affected_stages(item: ContractReview, change: Change) -> str:
    """The affected stages, grouped by effect and reason."""
    stages: dict[str, list[str]] = {}
    for each in item.consequences:
        if each.change == change:
            fate = f"{'broken' if each.breaks else 'may break'} ({each.why})"
            stages.setdefault(fate, []).append(each.stage)
    return "; ".join(f"{', '.join(names)}: {fate}" for fate, names in stages.items()) or "-"
