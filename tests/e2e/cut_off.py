"""A runner that publishes while it holds the lease: `cut_off.py COPY URL NAME`; it says what it does."""

import os
import sys
import time
from contextlib import closing
from pathlib import Path

from tests.support.shared_homes import as_address
from tidemill.adapters.postgres.ledger import PostgresLedger
from tidemill.core.errors import ConflictError, StorageError
from tidemill.ports.ledger import Guard
from tidemill.testing.records import published_event
from tidemill.testing.suites.ledger import nobody_is_dead

LEASE_S, BUSY_S = 1.0, 4.0


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def work(ledger: PostgresLedger, name: str) -> None:
    """Take the lease, and publish under its token until it is lost."""
    lease = ledger.acquire("run:prod", {"who": name}, now=0.0, ttl=LEASE_S, dead=nobody_is_dead)
    say("took", lease.token)
    for number in range(1_000_000):
        key = f"{lease.token}-{number}"
        ledger.append([published_event(key)], now=time.time(), guard=Guard(lease=lease))
        say("published", key)
        lease = ledger.renew(lease, now=0.0, ttl=LEASE_S)
        time.sleep(0.01)


def main(path: str, url: str, name: str) -> None:
    ledger = PostgresLedger(
        Path(path), as_address(url), busy_timeout_s=BUSY_S, by_server_time=True, when_used=True
    )
    with closing(ledger):
        while True:
            try:
                work(ledger, name)
            except (ConflictError, StorageError) as error:
                # The lease is another one's, or the server can't be reached now.
                say("waits", type(error).__name__, str(error)[:200].replace("\n", " "))
                time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
