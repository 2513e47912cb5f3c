"""Whatever is recorded and asked for, a ledger with indexes selects what a plain search does."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.seams.test_ledger_properties import EVENTS
from tests.support.thoroughness import examples, thorough
from tidemill.adapters.codec.events import event_scope
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import TidemillError
from tidemill.ledger.event import EVENTS as KINDS
from tidemill.ledger.event import Event, RecordedEvent
from tidemill.ledger.event_filter import EVERYTHING, EventFilter
from tidemill.ledger.event_subjects import begun_subject, ended_subject, subjects_of
from tidemill.testing.doubles import MemoryLedger
from tidemill.testing.records import events_of_every_kind

SUBJECTS = st.sampled_from(["", "run a", "run", "model a", "review r1", "token ", "x\u00e9"])
FILTERS = st.builds(
    EventFilter,
    before=st.none() | st.integers(0, 70),
    partition=st.none() | st.sampled_from(["a", "b", "2013-03-07", ""]),
    about=SUBJECTS,
    about_prefix=SUBJECTS,
    among=st.lists(SUBJECTS, max_size=3).map(tuple),
    open_only=st.booleans(),
)
SELECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "kinds": st.lists(st.sampled_from([kind.__name__ for kind in KINDS]), max_size=3),
        "after": st.integers(0, 70),
        "run": st.sampled_from(["", "a", "run-1"]),
        "stage": st.sampled_from(["", "a", "features"]),
        "where": FILTERS,
        "newest": st.booleans(),
        "limit": st.none() | st.integers(0, 5),
    },
)


def plain_search(
    facts: Sequence[RecordedEvent], selection: Mapping[str, Any]
) -> list[RecordedEvent]:
    """What a selection means, event by event."""
    where: EventFilter = selection.get("where", EVERYTHING)
    kinds, run, stage = (selection.get(name, "") for name in ("kinds", "run", "stage"))
    unended = set[str]()
    for fact in facts:
        unended.add(begun_subject(fact.event))
        unended.discard(ended_subject(fact.event))

    def selects(fact: RecordedEvent) -> bool:
        scope = event_scope(fact.event)
        subjects = [
            subject
            for subject in subjects_of(fact.event)
            if subject.startswith(where.about_prefix)
            and where.about in ("", subject)
            and (not where.among or subject in where.among)
        ]
        if where.open_only:
            subjects = [subject for subject in subjects if subject in unended]
        return (
            fact.seq > selection.get("after", 0)
            and (where.before is None or fact.seq < where.before)
            and (not kinds or type(fact.event).__name__ in kinds)
            and run in ("", scope.run)
            and stage in ("", scope.stage)
            and where.partition in (None, scope.partition)
            and bool(subjects or not where.names_subjects)
        )

    found = list(filter(selects, facts))
    return (found[::-1] if selection.get("newest") else found)[: selection.get("limit")]


@thorough
@settings(max_examples=examples(30))
@given(st.lists(EVENTS, max_size=30), st.lists(SELECTIONS, min_size=1, max_size=8))
def test_ledgers_select_what_a_plain_search_does(
    events: list[Event], selections: list[dict[str, Any]]
) -> None:
    memory = MemoryLedger()
    with tempfile.TemporaryDirectory() as folder:
        ledger = SqliteLedger(Path(folder) / "ledger.db")
        for batch in (events_of_every_kind(), *([event] for event in events)):
            try:
                memory.append(batch, now=1.0)
            except TidemillError:
                continue
            ledger.append(batch, now=1.0)
        facts = [*memory.events()]
        for selection in selections:
            expected = plain_search(facts, selection)
            assert [*memory.events(**selection)] == expected
            assert [*ledger.events(**selection)] == expected
        ledger.close()
