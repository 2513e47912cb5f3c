"""Reports as values: what one HTML file is made of."""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.core.lazy_dataclass import dataclass
from tidemill.drawing.chart import Chart
from tidemill.drawing.status import DrawnStatus
from tidemill.governance.page_values import PageTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportText:
    """Text to be shown as it is, such as a trace, and what it is of."""

    caption: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPart:
    """A part of a report under a title; `html` is HTML that somebody else made, and comes first."""

    title: str
    html: str = ""
    facts: Sequence[tuple[str, str]] = ()
    lines: Sequence[str] = ()
    tables: Sequence[PageTable] = ()
    charts: Sequence[Chart] = ()
    texts: Sequence[ReportText] = ()
    commands: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing under the title."""
        rows = any(table.rows for table in self.tables)
        rest = (self.html, self.facts, self.lines, self.charts, self.texts, self.commands)
        return not rows and not any(rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report `about` something: the status of that in a `word` and a sentence, facts, and parts.

    It was `made` at a Unix time.
    """

    title: str
    about: str
    status: DrawnStatus
    word: str
    state: str
    facts: Sequence[tuple[str, str]]
    parts: Sequence[ReportPart]
    made: float
