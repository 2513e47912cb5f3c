"""Talk to the PostgreSQL server of a shared home; its errors are raised as TidemillErrors."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import psycopg
from psycopg import errors, sql
from psycopg.pq import TransactionStatus

from tidemill.adapters.postgres.address import HomeAddress
from tidemill.adapters.postgres.patience import Patience
from tidemill.adapters.sqlite.migrations import SCHEMA_VERSION
from tidemill.adapters.sqlite.statements import queries, read_script
from tidemill.core.errors import ConflictError, StorageError, TidemillError
from tidemill.core.redaction import Redactor, url_secrets
from tidemill.ledger.event_digest import FIRST_LINK

FOLDER = str(Path(__file__).parent / "sql" / "server")
LAYOUT = 1
_CONNECT_S, _LOST_S = 10, 10
# An answer within this time tells what the server's clock says, up to the time that it was under way.
_SOON_S, _JITTER_S = 0.5, 0.1
# Who waits for another writer waits longer than it takes the server to notice that this one was cut off.
_LOST_SHARE = 0.75

_MADE_ALREADY = (errors.DuplicateTable, errors.DuplicateSchema, errors.UniqueViolation)

# Errors are raised, and say more than it does about connections that were lost.
logging.getLogger("psycopg").setLevel(logging.ERROR)

# A parent's connections: closing them in a child would end them for the parent.
_inherited: list[object] = []

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]
Connection: TypeAlias = psycopg.Connection[Row]


class ServerAway(StorageError):
    """The server of a ledger can't be reached now."""


class LedgerHead(NamedTuple):
    """The row of a ledger: its newest event, the marks of its leases and people, and when it was read.

    A mark changes whenever something of its kind does. `at` is the server's time in Unix seconds.
    """

    id: str
    layout: int
    schema_version: int
    tidemill: str
    seq: int
    link: bytes
    leases_mark: str
    people_mark: str
    moved_to: str
    at: float


class LedgerServer:
    """One connection to the server of a home, opened when needed and anew when it was lost.

    Threads take turns. A forked child opens its own. `lock_s` is how long another writer is waited for.
    """

    def __init__(self, address: HomeAddress, *, lock_s: float) -> None:
        self.place = address.place
        # By how many seconds the server's clock is ahead of this machine's.
        self.offset = 0.0
        self._address = address
        self._lock_s = lock_s
        # Longer than another writer is waited for.
        self.patience = Patience(lock_s + _LOST_S)
        self._looks = Patience(_LOST_S)
        self._redact = Redactor(url_secrets(address.dsn)).redact
        self._reset()

    @property
    def lost_s(self) -> float:
        """After so long without a word the server takes a writer for one that was cut off."""
        return self._lock_s * _LOST_SHARE

    def _reset(self) -> None:
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        # Those of a project that is dropped without being closed are closed with it.
        self._open: list[Connection] = []
        weakref.finalize(self, _close_all, self._open, self._process)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """The connection, for this thread alone; each statement is a transaction of its own."""
        if self._process != os.getpid():
            _inherited.append(self._open)
            self._reset()
        with self._lock, self._translate_errors():
            if self._connection is not None and self._connection.broken:
                self._drop()
            if self._connection is None:
                self._connection = self._connect()
                self._open.append(self._connection)
            yield self._connection

    @contextmanager
    def answering(self) -> Iterator[Connection]:
        """The connection, which is ended when the block takes longer than a server should."""
        with self.connection() as connection, self.patience.with_answer(connection):
            yield connection

    def head(self) -> LedgerHead:
        """The row of the ledger as it is now."""

        def read(connection: Connection) -> LedgerHead:
            asked = time.time()
            with self._looks.with_answer(connection):
                row = connection.execute(statement("head")).fetchone()
            head = self._check(row)
            self._compare_clocks(head.at, asked, time.time())
            return head

        return self.ask(read)

    def _compare_clocks(self, there: float, asked: float, answered: float) -> None:
        """Note how far the server's clock is from this machine's, if it answered soon."""
        offset = there - (asked + answered) / 2
        if answered - asked < _SOON_S and abs(offset - self.offset) > _JITTER_S:
            self.offset = offset

    def may_write(self) -> bool:
        """Whether this user may record something."""
        with self.connection() as connection:
            row = connection.execute(statement("may_write")).fetchone()
        return row is not None and bool(row[0])

    def ask(self, question: Callable[[Connection], T]) -> T:
        """Call a function with the connection, and again if that was lost since it was used."""
        with self.connection() as connection:
            try:
                return question(connection)
            except psycopg.OperationalError:
                if not connection.broken:
                    raise
        with self.connection() as connection:
            return question(connection)

    @contextmanager
    def locked(self) -> Iterator[tuple[Connection, LedgerHead]]:
        """Run a transaction that alone writes to the ledger; it is undone unless COMMIT was sent."""
        with self.connection():
            connection, head = self.ask(self._begin)
            try:
                yield connection, head
            finally:
                _roll_back(connection)

    def _begin(self, connection: Connection) -> tuple[Connection, LedgerHead]:
        try:
            # Not in a pipeline, after which the server doesn't watch how long a transaction is idle.
            with self.patience.with_answer(connection):
                found = connection.execute("BEGIN; " + statement("lock_head"))
            found.nextset()
            head = self._check(found.fetchone())
            if head.schema_version < SCHEMA_VERSION:
                # From now on older versions write nothing.
                upgraded = (SCHEMA_VERSION, _tidemill_version(), SCHEMA_VERSION)
                connection.execute(statement("upgrade"), upgraded)
            return connection, head
        except BaseException:
            _roll_back(connection)
            raise

    def now(self, connection: Connection) -> float:
        """The server's time in Unix seconds."""
        row = connection.execute(statement("now")).fetchone()
        assert row is not None
        return float(row[0])

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        if self._process == os.getpid():
            with self._lock:
                self._drop()

    def _drop(self) -> None:
        _close_all(self._open, self._process)
        self._connection = None

    def _connect(self) -> Connection:
        connection = connect(self._address, autocommit=True)
        try:
            schema = self._address.schema
            # Nought would be without a limit.
            given = {
                "lock_ms": f"{max(1.0, self._lock_s * 1e3):.0f}",
                "lost_ms": f"{max(1.0, self.lost_s * 1e3):.0f}",
                "quiet_s": str(max(1, int(self.lost_s / 3))),
                "schema": schema,
            }
            row = connection.execute(statement("settings"), given).fetchone()
            assert row is not None
            if row[-1] != "UTF8":
                raise StorageError(
                    f"{self.place} has the encoding {row[-1]}, which can't hold all names: create a database "
                    "with ENCODING 'UTF8'"
                )
            if not _is_there(connection, "has_ledger", schema):
                # Another process may be first, without this one having seen it.
                with suppress(*_MADE_ALREADY):
                    create_ledger(connection, self._address)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, row: Row | None) -> LedgerHead:
        """The row of the ledger; StorageError if a newer Tidemill upgraded it, or if it is gone."""
        if row is None:
            raise StorageError(
                f"{self.place} has the tables of a ledger, and no ledger in them: restore a backup of the "
                "database"
            )
        head = LedgerHead(*row)
        if head.moved_to:
            raise StorageError(
                f"the ledger {self.place} was moved to {head.moved_to}: set home in [tool.tidemill] to where "
                "it is now. If the move was interrupted, the owner of the database lets it be used again as "
                f"it was: UPDATE {self._address.schema}.ledger SET moved_to = ''"
            )
        if head.schema_version > SCHEMA_VERSION or head.layout > LAYOUT:
            raise StorageError(
                f"Tidemill {head.tidemill} upgraded the ledger {self.place} to schema version "
                f"{head.schema_version}, and this is Tidemill {_tidemill_version()} with version "
                f"{SCHEMA_VERSION}, so nothing is recorded any more: end this process, and start it again "
                "with that version: pip install -U tidemill"
            )
        return head

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self.translate(error) from error

    def translate(self, error: psycopg.Error) -> TidemillError:
        """The error that the ledger can't be read or written, with what to do."""
        text = self._redact(str(error).strip().partition("\n")[0]) or type(error).__name__
        if isinstance(error, errors.LockNotAvailable):
            return ConflictError(
                f"the ledger {self.place} is busy: another process has been writing for over "
                f"{self._lock_s:g} s; wait for it to finish or stop it, then run again"
            )
        if isinstance(error, errors.InsufficientPrivilege):
            schema = self._address.schema
            return StorageError(
                f"this user may not do that in the ledger {self.place} ({text}): to record, it needs GRANT "
                f"USAGE ON SCHEMA {schema} and GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "
                f"{schema}; to begin a ledger, the owner of the database calls CREATE SCHEMA {schema} "
                "AUTHORIZATION <this user>"
            )
        if isinstance(error, errors.UndefinedTable):
            return StorageError(
                f"{self.place} isn't a whole ledger ({text}): if the schema has tables of something else, "
                "name another one with ?schema=NAME; if tables were dropped, restore a backup of the database"
            )
        if isinstance(error, psycopg.ProgrammingError) and error.sqlstate is None:
            return StorageError(
                f"the URL of the ledger {self.place} can't be used ({text}): see `home`"
            )
        if isinstance(error, errors.IdleInTransactionSessionTimeout):
            return StorageError(
                f"a transaction of the ledger {self.place} took so long that the server ended it, and "
                "nothing of it was recorded: see what is slow (the disk, the object store), then run again"
            )
        if isinstance(error, errors.DiskFull):
            return StorageError(
                f"no space left for the ledger {self.place} ({text}): free some on the server and run again; "
                "everything recorded so far is kept"
            )
        if isinstance(error, errors.ReadOnlySqlTransaction):
            return StorageError(
                f"the ledger {self.place} can only be read there ({text}): use the URL of the primary server"
            )
        if isinstance(error, psycopg.OperationalError):
            return ServerAway(
                f"the ledger {self.place} can't be reached ({text}): check the server, the network and the "
                "credentials (PGPASSWORD, a password file), then run again; everything recorded so far is "
                "kept"
            )
        return StorageError(f"the ledger {self.place} failed ({text}): check the server")


def _close_all(connections: list[Connection], process: int) -> None:
    """Close connections in the process that opened them."""
    while connections and process == os.getpid():
        with suppress(psycopg.Error):
            connections.pop().close()


def _roll_back(connection: Connection) -> None:
    """End a transaction that wasn't committed; the server does so by itself if it can't be told."""
    with suppress(psycopg.Error):
        if connection.info.transaction_status != TransactionStatus.IDLE:
            connection.execute("ROLLBACK")


def connect(address: HomeAddress, *, autocommit: bool) -> Connection:
    """Open a connection whose other side is given up when it doesn't answer."""
    return psycopg.connect(
        address.dsn,
        autocommit=autocommit,
        connect_timeout=_CONNECT_S,
        application_name="tidemill",
        tcp_user_timeout=_LOST_S * 1_000,
        keepalives_idle=_LOST_S,
        keepalives_interval=3,
        keepalives_count=3,
    )


def channel_of(address: HomeAddress) -> str:
    """The channel on which the server tells of what is recorded."""
    return f"tidemill_{address.schema}"


def statement(name: str) -> str:
    """A named statement for the server."""
    return queries(FOLDER)[name]


def create_ledger(connection: Connection, address: HomeAddress, own_id: str = "") -> None:
    """Create the tables of an empty ledger, unless another process was first."""
    with connection.transaction():
        connection.execute(statement("lock_creation"), (f"tidemill:{address.schema}",))
        if _is_there(connection, "has_ledger", address.schema):
            return
        # A user who may not create any may have been given this one.
        if not _is_there(connection, "has_schema", address.schema):
            made = sql.SQL(statement("create_schema")).format(schema=sql.Identifier(address.schema))
            connection.execute(made)
        connection.execute(read_script("0001_initial_schema.sql", FOLDER))
        row = (
            own_id or secrets.token_hex(8),
            LAYOUT,
            SCHEMA_VERSION,
            _tidemill_version(),
            FIRST_LINK,
        )
        connection.execute(statement("create_ledger"), row)


def _is_there(connection: Connection, query: str, schema: str) -> bool:
    row = connection.execute(statement(query), (schema,)).fetchone()
    return row is not None and bool(row[0])


def _tidemill_version() -> str:
    return importlib.metadata.version("tidemill")
