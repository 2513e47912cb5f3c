"""Listen to channels of a PostgreSQL server on which its triggers and programs notify of changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from importlib import import_module
from typing import Any

from tidemill.adapters.databases.urls import driver_message, public_location, resolve_url
from tidemill.core.errors import SourceError

# Seconds. A connection that nobody answers is given up, and one without notifications is asked so often.
_TIMEOUT_S, _ALIVE_S = 10, 60.0


def listen(url: str, channels: Collection[str]) -> Iterator[str]:
    """Yield "" once all channels are listened to, and then the channel of each notification.

    It ends only by SourceError: the server can't be reached, or the connection was lost.
    """
    found = resolve_url(url)
    place = public_location(found)
    try:
        # An optional dependency: only projects with such a source need it.
        psycopg: Any = import_module("psycopg")
    except ImportError as error:
        message = f"{place} needs psycopg ({error}): pip install 'tidemill[postgres]'"
        raise SourceError(message) from error
    try:
        with psycopg.connect(
            found,
            autocommit=True,
            connect_timeout=_TIMEOUT_S,
            application_name="tidemill",
            tcp_user_timeout=_TIMEOUT_S * 1_000,
        ) as connection:
            for channel in channels:
                name = psycopg.sql.Identifier(channel)
                connection.execute(psycopg.sql.SQL("LISTEN {}").format(name))
            yield ""
            while True:
                for notification in connection.notifies(timeout=_ALIVE_S):
                    yield notification.channel
                connection.execute("SELECT 1")
    except psycopg.Error as error:
        message = driver_message(error, found)
        raise SourceError(f"{place} can't be listened to: {message}") from None
