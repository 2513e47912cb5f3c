"""Changed contracts as text: each change, its direction, and the stages that it concerns."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.cli.tables import table
from tidemill.decide.discipline import Reviewed
from tidemill.domain.diff import Change, remarks


def reviews(ref: str, found: Sequence[Reviewed]) -> str:
    """What stands below the rest of a check."""
    if not found:
        return f"\n\nagainst {ref}: no contract changed"
    blocks = (f"\n\n{review(item)}" for item in found)
    return f"\n\nagainst {ref}:" + "".join(blocks)


def review(item: Reviewed) -> str:
    """One contract beside another: a line for each change, then what its version lacks."""
    headers = (f"{item.stage}: {item.diff.head}", "direction", "whom it breaks")
    rows = [
        (f"  {change}{remarks(change)}", str(change.direction), _whom(item, change))
        for change in item.diff.changes
    ]
    lines = [table(headers, rows), *(f"- {fault}" for fault in item.faults)]
    return "\n".join([*lines, *(f"- {note}" for note in item.notes if not item.faults)])


def _whom(item: Reviewed, change: Change) -> str:
    """The stages of one fate and one reason stand together."""
    stages: dict[str, list[str]] = {}
    for each in item.consequences:
        if each.change == change:
            fate = f"{'broken' if each.breaks else 'may break'} ({each.why})"
            stages.setdefault(fate, []).append(each.stage)
    return "; ".join(f"{', '.join(names)}: {fate}" for fate, names in stages.items()) or "-"
