"""Filters of events beyond their kind, run and stage."""

from __future__ import annotations

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import Event
from tidemill.ledger.event_subjects import subjects_of


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Selects events with a number below `before`, of a `partition`, and about some subjects.

    They are `about` one subject, `among` several, or about any whose name begins with `about_prefix`; with
    `open_only` only about those that nothing has ended. "", () and None select all.
    """

    before: int | None = None
    partition: str | None = None
    about: str = ""
    about_prefix: str = ""
    among: tuple[str, ...] = ()
    open_only: bool = False

    @property
    def names_subjects(self) -> bool:
        """Whether only events about some subjects are selected."""
        return bool(self.about or self.about_prefix or self.among or self.open_only)

    def subjects_in(self, event: Event) -> frozenset[str]:
        """The subjects of an event whose names are selected."""
        return frozenset(
            subject
            for subject in subjects_of(event)
            if subject.startswith(self.about_prefix)
            and self.about in ("", subject)
            and (not self.among or subject in self.among)
        )


EVERYTHING = EventFilter()


def about(subject: str) -> EventFilter:
    """Select the events about a subject."""
    return EventFilter(about=subject)
