"""A server that is reached and doesn't answer is given up; one that answers in time is not."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

from tests.support.waiting import until
from tidemill.adapters.postgres.patience import Patience


def test_a_connection_without_an_answer_is_ended(postgres_url: str) -> None:
    began = time.monotonic()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        with (
            pytest.raises(psycopg.OperationalError),
            Patience(0.2).with_answer(connection),
        ):
            connection.execute("SELECT pg_sleep(300)")
        assert connection.broken
    assert time.monotonic() - began < 200


def test_an_answer_in_time_leaves_the_connection_as_it_is(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience, started, start = Patience(3600.0), list[str](), threading.Thread.start

    def count(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", count)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for number in range(50):
            with patience.with_answer(connection):
                assert connection.execute("SELECT %s", (number,)).fetchone() == (number,)
        # One thread watches all of them.
        assert len(started) == 1
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_the_thread_ends_when_nothing_is_asked_and_another_one_begins(postgres_url: str) -> None:
    patience = Patience(0.05)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for _ in range(3):
            with patience.with_answer(connection):
                pass
            until(lambda: not patience._is_watched)
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError), patience.with_answer(connection):
            connection.execute("SELECT pg_sleep(300)")


def test_a_connection_that_is_closed_already_is_let_be(postgres_url: str) -> None:
    patience = Patience(0.05)
    with psycopg.connect(postgres_url) as connection, patience.with_answer(connection):
        connection.close()
        until(lambda: not patience._asking)
    until(lambda: not patience._is_watched)


def test_a_forked_child_begins_anew(postgres_url: str) -> None:
    patience = Patience(3600.0)
    patience._process, patience._is_watched = 0, True
    # As another thread of the parent may have held it.
    patience._lock.acquire()
    with (
        psycopg.connect(postgres_url, autocommit=True) as connection,
        patience.with_answer(connection),
    ):
        assert connection.execute("SELECT 1").fetchone() == (1,)
