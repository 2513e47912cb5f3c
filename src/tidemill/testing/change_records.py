"""Sample records of changes to the code of a workflow."""

from __future__ import annotations

from typing import Any

from tidemill.ledger.change_events import ChangesSeen
from tidemill.ledger.commit import Commit
from tidemill.workflow.environment import PRODUCTION


def changes_seen_event(*ids: str, **fields: Any) -> ChangesSeen:
    """Commits, by default one, that a run executed for the first time; they change `features`."""
    commits = tuple(Commit(id=id, at=50.0) for id in ids or ("c1",))
    given: dict[str, Any] = {
        "environment": PRODUCTION,
        "head": commits[-1].id,
        "commits": commits,
        "stages": ("features",),
        "delivers": ("delay_model",),
        "recipes": {"features": "r1"},
    }
    return ChangesSeen(**given | fields)
