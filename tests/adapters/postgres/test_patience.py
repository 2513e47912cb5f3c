"""A server that is reached and doesn't answer is given up; one that answers in time is not."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest

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


def test_an_answer_in_time_leaves_the_connection_as_it_is(postgres_url: str) -> None:
    patience = Patience(3600.0)
    before = threading.active_count()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for number in range(50):
            with patience.with_answer(connection):
                assert connection.execute("SELECT %s", (number,)).fetchone() == (number,)
        assert threading.active_count() <= before + 1
        # One that fires too late harms nobody.
        patience._cut([])
        assert connection.execute("SELECT 1").fetchone() == (1,)
