"""Channels of a server are listened to until the connection is lost."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import islice

import psycopg
import pytest

from tests.support.servers import postgres_server
from tidemill.adapters.databases import postgres_notifications as module
from tidemill.adapters.databases.postgres_notifications import listen
from tidemill.core.errors import SourceError


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as url:
        yield url


def do(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def test_notifications_are_told_by_channel(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A connection on which nothing comes is asked whether it lives.
    monkeypatch.setattr(module, "_ALIVE_S", 0.001)
    monkeypatch.setenv("SHOP_URL", server)
    found = listen("env:SHOP_URL", ['Odd "name"', "shop"])
    assert next(found) == ""
    do(server, 'NOTIFY "Odd ""name"""')
    do(server, "NOTIFY other")
    do(server, "NOTIFY shop, 'row 7'")
    assert [*islice(found, 2)] == ['Odd "name"', "shop"]


def test_a_lost_connection_is_an_error(server: str) -> None:
    found = listen(server, ["shop"])
    assert next(found) == ""
    do(
        server,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidemill'",
    )
    with pytest.raises(SourceError, match="can't be listened to"):
        next(found)


@pytest.mark.parametrize("url", ["postgresql://ana:sesame-open@127.0.0.1:1/shop", "mysql://x/y"])
def test_what_cannot_be_reached_is_an_error_without_its_password(url: str) -> None:
    with pytest.raises(SourceError, match="can't be listened to") as error:
        next(listen(url, ["shop"]))
    assert "sesame" not in str(error.value)


def test_the_driver_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SourceError, match=r"pip install 'tidemill\[postgres\]'"):
        next(listen("postgresql://x/y", ["shop"]))
