"""A ledger from before the tables of listings gets those that its events would have given."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tables import WITHOUT_LISTINGS, execute, tables
from tests.support.thoroughness import examples, thorough
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import TidemillError
from tidemill.ledger.event import EnvironmentCreated, EnvironmentDropped, Event
from tidemill.testing import records as samples

ENVIRONMENTS = st.sampled_from(["prod", "dev", "trial"])
NAMES = st.sampled_from(["a", "b"])
BINDINGS = st.builds(
    replace,
    st.builds(
        samples.binding,
        NAMES,
        st.builds(samples.product, NAMES, quarantined=st.sampled_from([0, 2])),
    ),
    contract=st.sampled_from(["1.0.0", "1.1.0"]),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        samples.published_event, NAMES, stage=NAMES, environment=ENVIRONMENTS, bound=BINDINGS
    ),
    st.builds(samples.removed_event, NAMES, stage=NAMES, environment=ENVIRONMENTS),
    st.builds(samples.judged_event, NAMES, environment=ENVIRONMENTS, stale=st.booleans()),
    st.builds(EnvironmentCreated, environment=ENVIRONMENTS, parent=ENVIRONMENTS),
    st.builds(EnvironmentDropped, environment=ENVIRONMENTS),
)


@thorough
@settings(max_examples=examples(30))
@given(st.lists(EVENTS, max_size=40))
def test_an_earlier_ledger_gets_the_same_tables(events: list[Event]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        ledger = SqliteLedger(path)
        for event in (EnvironmentCreated(environment="prod"), *events):
            with suppress(TidemillError):
                ledger.append([event], now=1.0)
        ledger.close()
        made = tables(path)
        execute(path, *WITHOUT_LISTINGS)
        SqliteLedger(path).close()
        assert tables(path) == made


def test_an_event_that_cannot_be_read_tells_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger(path)
    ledger.append([samples.published_event("a"), samples.judged_event()], now=1.0)
    ledger.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER events_refuse_update")
        connection.execute("UPDATE events SET body = 'x'")
    execute(path, *WITHOUT_LISTINGS)
    ledger = SqliteLedger(path)
    assert ledger.state(samples.PROD).contract_versions == {}
    ledger.close()
