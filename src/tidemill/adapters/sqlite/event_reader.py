"""Read selected events page by page, each page from an index that has them in order."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping
from functools import cache

from tidemill.adapters.codec.events import encode
from tidemill.adapters.sqlite.connections import Connections
from tidemill.adapters.sqlite.state_reader import decode_facts, read_last_seq
from tidemill.adapters.sqlite.statements import queries
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import EVENTS, Attempted, Published, RecordedEvent
from tidemill.ledger.event_filter import EventFilter

# Who looks for the newest event reads few, who folds a history reads many.
_FIRST_PAGE, _LARGEST_PAGE = 20, 500
# The name after all that begin with a prefix: texts are compared by their bytes in UTF-8.
_LAST_CHARACTER = "\U0010ffff"
_KINDS = tuple(sorted(kind.__name__ for kind in EVENTS))


@dataclass(frozen=True, slots=True)
class EventReader:
    """Reads events after a number, in either order; no transaction is open between two pages."""

    connections: Connections
    after: int
    newest: bool

    def read(
        self, kinds: Collection[str], run: str, stage: str, where: EventFilter
    ) -> Iterator[RecordedEvent]:
        """The selected events that are recorded now."""
        with self.connections.read_transaction() as connection:
            last = read_last_seq(connection)
        before = last + 1 if where.before is None else min(where.before, last + 1)
        values = _filters(kinds, run, stage, where)
        if run or where.names_subjects:
            return self._pages(_query_of(where), before, values)
        if not kinds and not stage and where.partition is None:
            return self._pages("events_page", before, values)
        each = [
            self._pages(_query_of_kind(kind, stage, where), before, {**values, "kind": kind})
            for kind in sorted({*kinds}) or _KINDS
        ]
        sign = -1 if self.newest else 1
        return heapq.merge(*each, key=lambda fact: sign * fact.seq)

    def _pages(
        self, query: str, before: int, values: Mapping[str, str | None]
    ) -> Iterator[RecordedEvent]:
        after, rows = self.after, _FIRST_PAGE
        statement = _statement(query, newest=self.newest)
        while True:
            page = {**values, "after": after, "before": before, "limit": rows}
            with self.connections.read_transaction() as connection:
                found = connection.execute(statement, page).fetchall()
                facts = decode_facts(connection, found)
            yield from facts
            if len(facts) < rows:
                return
            if self.newest:
                before = facts[-1].seq
            else:
                after = facts[-1].seq
            rows = min(rows * 5, _LARGEST_PAGE)


def _filters(
    kinds: Collection[str], run: str, stage: str, where: EventFilter
) -> dict[str, str | None]:
    """The values of filters in statements; None for those that select all."""
    first = where.about or where.about_prefix
    return {
        "kinds": encode(sorted({*kinds})) if kinds else None,
        "run": run or None,
        "stage": stage or None,
        "partition": where.partition,
        "among": encode(where.among) if where.among else None,
        "first": first,
        "beyond": f"{first}\x00" if where.about else f"{first}{_LAST_CHARACTER}",
    }


def _query_of(where: EventFilter) -> str:
    """The statement that reads the fewest events for subjects or a run."""
    if where.open_only:
        return "events_page_open"
    if where.about:
        return "events_page_of_subject"
    if where.among:
        return "events_page_among"
    return "events_page_about" if where.about_prefix else "events_page_of_run"


def _query_of_kind(kind: str, stage: str, where: EventFilter) -> str:
    """The statement that reads the fewest events of a kind."""
    if not stage:
        return "events_page_of_kind"
    if kind == Attempted.__name__:
        return "events_page_of_attempts"
    if where.partition is not None and kind == Published.__name__:
        return "events_page_of_partition"
    return "events_page_of_stage"


@cache
def _statement(query: str, *, newest: bool) -> str:
    text = queries()[query]
    return text.replace("seq LIMIT", "seq DESC LIMIT") if newest else text
