"""What one machine records is in the copies of others that follow, though nobody reads there."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.cut_connections import proxy_to
from tests.support.shared_homes import as_address, copy_on
from tidemill.adapters.postgres import follower
from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.follower import LedgerFollower
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.testing.records import published_event


def wait_for_events(path: Path, count: int) -> None:
    end = time.monotonic() + 60
    with closing(sqlite3.connect(path)) as connection:
        while connection.execute("SELECT max(seq) FROM events").fetchone()[0] != count:
            assert time.monotonic() < end, "it doesn't follow"
            time.sleep(0.005)


def test_copies_follow_at_once(machine: Callable[[str], PostgresLedger], tmp_path: Path) -> None:
    one, other = machine("one"), machine("other")
    one.append([published_event("0")], now=1.0)
    with other.followed():
        for number in range(1, 20):
            wait_for_events(copy_on(tmp_path, "other"), number)
            one.append([published_event(str(number))], now=1.0)
        wait_for_events(copy_on(tmp_path, "other"), 20)


def test_what_is_told_meanwhile_is_followed_once(
    machine: Callable[[str], PostgresLedger], address: HomeAddress
) -> None:
    one, asked = machine("one"), list[int]()
    began, may_go_on = threading.Event(), threading.Event()

    def follow() -> None:
        began.set()
        assert may_go_on.wait(60)
        asked.append(one.count)

    with closing(LedgerFollower(address, follow)):
        # It follows when it begins, and listens by then.
        assert began.wait(60)
        for number in range(20):
            one.append([published_event(str(number))], now=1.0)
        may_go_on.set()
        end = time.monotonic() + 60
        while len(asked) < 2:
            assert time.monotonic() < end, "it doesn't follow what it was told"
            time.sleep(0.005)
        # Longer than it takes to follow each of them.
        time.sleep(20 * follower._GATHER_S)
    assert len(asked) < 5
    assert asked[-1] == 20


def test_a_server_that_was_away_is_followed_again(
    postgres_url: str,
    new_home: Callable[[], str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_AGAIN_S", "_ALIVE_S", "_STOP_S"):
        monkeypatch.setattr(follower, name, 0.01)
    url = new_home()
    schema = url.rpartition("=")[2]
    with (
        closing(PostgresLedger(copy_on(tmp_path, "one"), as_address(url))) as one,
        proxy_to(postgres_url, tmp_path_factory.mktemp("cut")) as proxy,
        closing(
            PostgresLedger(copy_on(tmp_path, "other"), as_address(f"{proxy.url}&schema={schema}"))
        ) as other,
        other.followed(),
    ):
        one.append([published_event("1")], now=1.0)
        wait_for_events(copy_on(tmp_path, "other"), 1)
        proxy.cut_after(1, stays_away=True)
        one.append([published_event("2")], now=1.0)
        while not proxy.has_cut:
            time.sleep(0.005)
        proxy.come_back()
        wait_for_events(copy_on(tmp_path, "other"), 2)
