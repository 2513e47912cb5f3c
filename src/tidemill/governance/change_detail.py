"""What a page says about a change that isn't a model, beside its facts and the rules."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.page_values import PageSection


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDetail:
    """Sentences on what changes, what gets worse and how to go back, and the sections that show it.

    `commands` lead back. `missing` says what couldn't be found out, and why.
    """

    changes: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    sections: tuple[PageSection, ...] = ()
    missing: tuple[str, ...] = ()
