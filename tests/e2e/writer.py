"""A process of its own that writes to a ledger: `writer.py WHAT LEDGER ...`."""

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from tidemill.adapters.sqlite.integrity import rebuild_from
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.replacement import lock_ledger
from tidemill.testing.records import events_of_every_kind, published_event


def append(path: str, stage: str, times: str, url: str = "") -> None:
    """Append two partitions at a time, and print each number that was acknowledged."""
    ledger = _shared(path, url) if url else SqliteLedger(Path(path))
    for number in range(int(times)):
        partitions = [published_event(f"{number}-{half}", stage=stage) for half in "ab"]
        os.write(1, b"%d\n" % ledger.append(partitions, now=1.0))
    ledger.close()


def _shared(path: str, url: str) -> SqliteLedger:
    """A ledger on a server, whose copy is in a file."""
    from tests.support.shared_homes import as_address
    from tidemill.adapters.postgres.ledger import PostgresLedger

    return PostgresLedger(Path(path), as_address(url))


def forked(path: str, url: str = "") -> None:
    """Use a ledger on both sides of a fork."""
    ledger = _shared(path, url) if url else SqliteLedger(Path(path))
    ledger.append([published_event("before")], now=1.0)
    before = ledger._connections._writer
    child = os.fork()
    ledger.append([published_event("child" if child == 0 else "parent")], now=1.0)
    assert ledger.state("prod").seq >= 2
    assert (ledger._connections._writer is before) == (child != 0)  # one must not cross a fork
    if child == 0:
        os._exit(0)
    _, status = os.waitpid(child, 0)
    ledger.close()
    sys.exit(os.waitstatus_to_exitcode(status))


def die(folder: str) -> None:
    """Create a ledger and append to it, each time killed one statement later."""
    for statement in count(1):
        path = Path(folder) / f"{statement:03}" / "ledger.db"
        child = os.fork()
        if child == 0:
            _die_before(statement)
            SqliteLedger(path).append(events_of_every_kind(), now=1.0)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            shutil.rmtree(path.parent)
            return
        assert os.WTERMSIG(status) == signal.SIGKILL


def replace(folder: str) -> None:
    """Rebuild a ledger that was never closed, each time killed one step later."""
    for step in count(1):
        path = Path(folder) / f"{step:03}" / "ledger.db"
        _in_child(lambda: SqliteLedger(path).append(events_of_every_kind(), now=1.0))  # noqa: B023
        if _in_child(lambda: _rebuild(path, step)) == 0:  # noqa: B023
            return


def _rebuild(path: Path, last: int) -> None:
    _die_before(last, also=("open", "os.rename", "os.remove", "os.link", "sqlite3.connect"))
    with lock_ledger(path) as old:
        events, _ = old.read_events()
        new = path.with_name("new.db")
        rebuild_from(events, new, is_complete=True)
        old.replace(new, "kept")


def _in_child(act: Callable[[], object]) -> int:
    """Call a function in a process that ends without closing anything; its exit status."""
    child = os.fork()
    if child == 0:
        act()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def _die_before(last: int, also: Sequence[str] = ()) -> None:
    """Die before a statement, counted together with the audit events in `also`."""
    connect, begun = sqlite3.connect, count(1)

    def trace(statement: str) -> None:
        if next(begun) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in also and any("ledger.db" in str(argument) for argument in arguments):
            trace(event)

    sys.addaudithook(hook)

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        if str(args[0]).endswith("ledger.db"):  # and not a file in which coverage is measured
            connection.set_trace_callback(trace)
        return connection

    sqlite3.connect = traced  # type: ignore[assignment]


if __name__ == "__main__":
    acts: dict[str, Callable[..., None]] = {"append": append, "forked": forked, "die": die}
    acts["replace"] = replace
    acts[sys.argv[1]](*sys.argv[2:])
