"""A state that is remembered is the state that is read anew."""

from __future__ import annotations

import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adapters.sqlite.test_listing_tables import EVENTS
from tests.support.garbage import no_garbage_collection
from tests.support.thoroughness import examples, thorough
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import TidemillError
from tidemill.ledger.event import EnvironmentCreated, Event
from tidemill.ports.ledger import State
from tidemill.testing import records as samples

ENVIRONMENTS = ("prod", "dev", "trial")


def states(ledger: SqliteLedger) -> list[State]:
    return [ledger.state(environment) for environment in ENVIRONMENTS]


@thorough
@settings(max_examples=examples(20), deadline=None)
@given(st.lists(st.tuples(st.booleans(), EVENTS), max_size=15))
def test_whoever_writes(events: list[tuple[bool, Event]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        one, other = SqliteLedger(path), SqliteLedger(path)
        one.append([EnvironmentCreated(environment="prod")], now=0.0)
        for is_own, event in events:
            with suppress(TidemillError):
                (one if is_own else other).append([event], now=1.0)
            new = SqliteLedger(path)
            assert states(one) == states(new) == states(one)
            new.close()
        one.close()
        other.close()


def test_nothing_is_read_twice_while_nothing_is_written(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.append([EnvironmentCreated(environment="prod"), samples.published_event()], now=0.0)
    first, second = ledger.state("prod"), ledger.state("prod")
    assert second.recipes is first.recipes
    # What a caller loads isn't kept for those that come later.
    assert second.heads["features"].partitions is not first.heads["features"].partitions
    SqliteLedger(tmp_path / "ledger.db").append([samples.removed_event()], now=1.0)
    assert ledger.state("prod").heads["features"].partitions == {}


def test_another_file_in_its_place_is_read(tmp_path: Path) -> None:
    path, other = tmp_path / "ledger.db", tmp_path / "other.db"
    ledger = SqliteLedger(path)
    ledger.append([EnvironmentCreated(environment="prod"), samples.published_event()], now=0.0)
    assert ledger.state("prod").heads
    SqliteLedger(other).close()
    for leftover in ("ledger.db-wal", "ledger.db-shm"):
        (tmp_path / leftover).unlink(missing_ok=True)
    other.replace(path)
    assert ledger.state("prod").heads == {}


def test_what_the_first_reader_loads_is_gone_with_it(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    ledger.append([EnvironmentCreated(environment="prod"), samples.published_event()], now=0.0)
    state = ledger.state("prod")
    head = weakref.ref(state.heads["features"].partitions)
    assert len(state.heads["features"].partitions.items()) == 1
    assert len(state.contract_versions["features"]) == 1
    with no_garbage_collection():
        del state
        assert head() is None
    assert len(ledger.state("prod").contract_versions["features"]) == 1
    ledger.close()
