"""A copy follows for all that use it at once, and each statement on it fits its tables and is needed."""

import re
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.shared_homes import copy_on
from tidemill.adapters.postgres import replica as replica_module
from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.adapters.postgres.replica import COPY_FOLDER, Replica, of_copy
from tidemill.adapters.sqlite.statements import queries, read_script
from tidemill.testing.records import PROD, published_event
from tidemill.testing.suites.ledger import nobody_is_dead

ADAPTER = Path(replica_module.__file__).parent


@pytest.mark.parametrize("name", queries(COPY_FOLDER))
def test_every_statement_fits_the_tables_and_is_used(
    name: str, machine: Callable[[str], PostgresLedger], tmp_path: Path
) -> None:
    machine("one")
    code = "\n".join(path.read_text() for path in ADAPTER.glob("*.py"))
    assert f'of_copy("{name}")' in code
    text = of_copy(name)
    values = dict.fromkeys(re.findall(r":(\w+)", text), "0") or ["0"] * text.count("?")
    with closing(sqlite3.connect(copy_on(tmp_path, "one"))) as connection:
        connection.executescript(read_script("noted.sql", COPY_FOLDER))
        connection.create_function("is_same_fact", 3, lambda *_: 1)
        guard = "this_is_a_copy_of_a_ledger_in_postgresql_so_open_it_by_its_url"
        connection.create_function(guard, 0, lambda: 1)
        connection.execute(f"EXPLAIN {text}", values)


@pytest.mark.parametrize("behind", ["events", "leases"])
def test_who_waits_for_the_copy_holds_nobody_up_who_asks_the_server(
    behind: str,
    machine: Callable[[str], PostgresLedger],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = machine("one"), machine("other")
    one.append([published_event("0")], now=1.0)
    if behind == "events":
        other.append([published_event("1")], now=1.0)
    else:
        other.acquire("run", {}, now=1.0, ttl=60.0, dead=nobody_is_dead)
    arrived, found = threading.Event(), list[int]()
    write_transaction = Replica.write_transaction

    def announced(replica: Replica) -> object:
        arrived.set()
        return write_transaction(replica)

    monkeypatch.setattr(Replica, "write_transaction", announced)
    reader = threading.Thread(target=lambda: found.append(one.state(PROD).seq))
    with closing(sqlite3.connect(copy_on(tmp_path, "one"), isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        reader.start()
        assert arrived.wait(60)
        count = one.count
        # Otherwise only its giving up let the server be asked.
        assert reader.is_alive()
    reader.join()
    assert found == [count]


def test_threads_and_processes_use_one_copy_at_once(address: HomeAddress, tmp_path: Path) -> None:
    """Each waits for others only in an order in which all come to an end; a ledger stands for a process."""
    places = {"one": "here", "beside": "here", "other": "there"}
    # Not closed where they are stuck.
    ledgers = {
        name: PostgresLedger(copy_on(tmp_path, place), address) for name, place in places.items()
    }
    leases = {
        name: ledger.acquire(name, {}, now=1.0, ttl=600.0, dead=nobody_is_dead)
        for name, ledger in ledgers.items()
    }
    acts: list[Callable[[str, int], object]] = [
        lambda name, n: ledgers[name].append([published_event(f"{name}-{n}")], now=1.0),
        lambda name, n: ledgers[name].renew(leases[name], now=1.0 + n, ttl=600.0),
        lambda name, _: ledgers[name].state(PROD),
    ]
    rounds, done = 150, list[str]()

    def work(name: str, act: Callable[[str, int], object]) -> None:
        for number in range(rounds):
            act(name, number)
        done.append(name)

    threads = [
        threading.Thread(target=work, args=(name, act), daemon=True)
        for name in ledgers
        for act in acts
    ]
    end = time.monotonic() + 300
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    assert sorted(done) == sorted([*ledgers] * len(acts))
    states = [ledger.state(PROD) for ledger in ledgers.values()]
    assert states[0].seq == 3 * rounds
    assert states[0] == states[1] == states[2]
    for ledger in ledgers.values():
        ledger.close()
