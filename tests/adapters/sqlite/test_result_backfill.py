"""A ledger from before retention gets the tables that its events would have given."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tables import WITHOUT_LISTINGS, tables
from tests.support.thoroughness import examples, thorough
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import TidemillError
from tidemill.ledger.event import Computed, EnvironmentCreated, EnvironmentDropped, Event
from tidemill.testing import records as samples

ENVIRONMENTS = st.sampled_from(["prod", "dev", "trial"])
NAMES = st.sampled_from(["a", "b"])
BINDINGS = st.builds(
    samples.binding,
    st.sampled_from(["key-1", "key-2", "key-3"]),
    st.builds(samples.product, NAMES, quarantined=st.sampled_from([0, 2])),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        samples.published_event, NAMES, stage=NAMES, environment=ENVIRONMENTS, bound=BINDINGS
    ),
    st.builds(samples.removed_event, NAMES, stage=NAMES, environment=ENVIRONMENTS),
    st.builds(EnvironmentCreated, environment=ENVIRONMENTS, parent=ENVIRONMENTS),
    st.builds(EnvironmentDropped, environment=ENVIRONMENTS),
    st.builds(Computed, stage=NAMES, partition=NAMES, binding=BINDINGS),
    st.builds(samples.delivered_event, NAMES, name=NAMES, environment=ENVIRONMENTS),
    st.builds(samples.effect_queued_event, NAMES, NAMES, environment=ENVIRONMENTS),
)
# What undoes the migration.
BEFORE = (
    *WITHOUT_LISTINGS,
    "DROP TABLE results",
    "DROP TABLE pins",
    "DROP TABLE garbage",
    "DROP INDEX past_bindings_by_seq",
    "DROP INDEX sources_pulled",
    "DROP INDEX past_sources_pulled",
    "ALTER TABLE leases DROP COLUMN after_seq",
    "CREATE TABLE pins (object TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (object, key)) WITHOUT ROWID",
    "DELETE FROM migrations WHERE version >= 13",
    "PRAGMA user_version = 12",
)


@thorough
@settings(max_examples=examples(30))
@given(events=st.lists(EVENTS, max_size=40), begin=st.just(EnvironmentCreated(environment="prod")))
def test_an_earlier_ledger_gets_the_same_tables(events: list[Event], begin: Event) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        ledger = SqliteLedger(path)
        for at, event in enumerate([begin, *events]):
            with suppress(TidemillError):
                # A clock may be set back.
                ledger.append([event], now=float(at % 7))
        ledger.close()
        expected = tables(path)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in BEFORE:
                connection.execute(statement)
        SqliteLedger(path).close()
        assert tables(path) == expected


def test_an_event_that_cannot_be_read_needs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    ledger.append([samples.published_event(), samples.published_event("2")], now=1.0)
    ledger.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in BEFORE:
            connection.execute(statement)
        connection.execute("DROP TRIGGER events_refuse_update")
        connection.execute("UPDATE events SET body = 'noise' WHERE seq = 1")
    SqliteLedger(path).close()
    found = tables(path)
    assert [seq for seq, *_ in found["results"]] == [2]
    assert {seq for _, seq in found["pins"]} == {2}
