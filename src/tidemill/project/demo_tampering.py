"""Edit a project's ledger as somebody can who may write its file: the demo shows that an audit finds it."""

from __future__ import annotations

from pathlib import Path

from tidemill.adapters.sqlite.tampering import replace_text
from tidemill.ledger.governance_events import Voted
from tidemill.project.home_ledger import ledger_file
from tidemill.project.settings import find_settings


def edit_votes(project: Path, before: str, after: str) -> None:
    """Replace a text in all votes that the project has recorded."""
    replace_text(ledger_file(find_settings(project)), Voted.__name__, before, after)
