"""Lease operations and append guards, run inside a write transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from tidemill.adapters.codec import ledger_errors as refusals
from tidemill.adapters.codec.events import decode, encode
from tidemill.adapters.sqlite.stamps import unstamp
from tidemill.adapters.sqlite.statements import queries
from tidemill.ledger.delivery import Delivery
from tidemill.ledger.event import Event
from tidemill.ports.ledger import Guard, Lease


class LeaseRow(NamedTuple):
    """A row of the table `leases`; `holder` is None when the lease is free."""

    token: int
    holder: dict[str, str] | None
    expires: float


def check_guard(connection: sqlite3.Connection, guard: Guard, events: Sequence[Event]) -> None:
    """Check a guard; ConflictError when its lease is lost, or a head, what is live, or the facts moved.

    An expired lease stays valid until another holder takes it.
    """
    if guard.lease is not None:
        require_lease(connection, guard.lease)
    for kind, known in guard.unchanged.items():
        row = connection.execute(queries()["last_seq_of_kind"], (kind,)).fetchone()
        if row[0] > known:
            raise refusals.facts_recorded(kind, known, row[0])
    environments = {name for e in events if (name := getattr(e, "environment", None))}
    if (guard.heads or guard.live) and not environments:
        raise refusals.heads_without_environment([*guard.heads, *guard.live])
    for environment in sorted(environments):
        _require_live(connection, environment, guard.live)
        for stage, expected in guard.heads.items():
            row = connection.execute(queries()["head"], (environment, stage)).fetchone()
            if (found := row[0] if row else 0) != expected:
                raise refusals.head_moved(environment, stage, expected, found)


def _require_live(
    connection: sqlite3.Connection, environment: str, live: Mapping[str, str]
) -> None:
    for name, expected in live.items():
        row = connection.execute(queries()["delivery"], (environment, name)).fetchone()
        found = decode(Delivery, unstamp(row[0])).artifact.id if row else ""
        if found != expected:
            raise refusals.live_moved(environment, name, expected, found)


def acquire(
    connection: sqlite3.Connection,
    name: str,
    holder: Mapping[str, str],
    *,
    now: float,
    ttl: float,
    dead: Callable[[Mapping[str, str]], bool],
) -> Lease:
    """Take the lease under the next token; ConflictError when a live holder has it."""
    held = _read_lease(connection, name)
    if held.holder is not None and held.expires > now and not dead(held.holder):
        raise refusals.lease_held(name, held.holder, held.expires - now)
    token, expires = held.token + 1, now + ttl
    connection.execute(queries()["take_lease"], (name, token, encode(holder), now, expires))
    return Lease(name=name, token=token, holder=dict(holder), expires=expires)


def renew(connection: sqlite3.Connection, lease: Lease, *, now: float, ttl: float) -> Lease:
    """Extend the lease to `now + ttl`; ConflictError when it is no longer ours."""
    require_lease(connection, lease)
    connection.execute(queries()["renew_lease"], (now, now + ttl, lease.name, lease.token))
    return replace(lease, expires=now + ttl)


def release(connection: sqlite3.Connection, lease: Lease) -> None:
    """Free the lease if it is ours; its token is never reused."""
    connection.execute(queries()["release_lease"], (lease.name, lease.token))


def require_lease(connection: sqlite3.Connection, lease: Lease) -> None:
    """Raise ConflictError if a lease isn't held any more."""
    held = _read_lease(connection, lease.name)
    # A server that lost something may have given a token twice.
    if held.token != lease.token or held.holder != lease.holder:
        raise refusals.lease_lost(lease.name, lease.token, held.holder)


def _read_lease(connection: sqlite3.Connection, name: str) -> LeaseRow:
    row = connection.execute(queries()["lease"], (name,)).fetchone()
    if row is None:
        return LeaseRow(0, None, 0.0)
    holder = decode(dict[str, str], row[1]) if row[1] is not None else None
    return LeaseRow(row[0], holder, row[2])
