"""Read the state of an environment again only if the file changed since."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from tidemill.adapters.sqlite.state_reader import (
    ContractUses,
    KnownCosts,
    OpenHead,
    StoredHeads,
    read_state,
)
from tidemill.ports.ledger import State

# One process rarely looks at more environments.
_MOST = 4


class KnownStates:
    """The states that were read last, while nobody changes the file, which `path` names in errors."""

    def __init__(self, open_head: OpenHead, path: str) -> None:
        self._open_head, self._path = open_head, path
        self._costs = KnownCosts()
        self._states: dict[str, State] = {}
        self._read_from: tuple[sqlite3.Connection, int] | None = None

    def read(self, connection: sqlite3.Connection, environment: str, *, whole: bool) -> State:
        """The state of an environment in the snapshot of the reading connection.

        Its partitions are read lazily unless `whole`, and anew for each caller.
        """
        # It changes with every transaction of another connection, and this one never writes.
        [version] = connection.execute("PRAGMA data_version").fetchone()
        if self._read_from != (connection, version):
            self._read_from, self._states = (connection, version), {}
        known = None if whole else self._states.get(environment)
        if known is not None:
            return _with_own_heads(known)
        found = read_state(
            connection,
            environment,
            self._open_head,
            costs=self._costs,
            whole=whole,
            path=self._path,
        )
        if not whole:
            while len(self._states) >= _MOST:
                del self._states[next(iter(self._states))]
            self._states[environment] = _with_own_heads(found)
        return found


def _with_own_heads(state: State) -> State:
    """The state with heads that have loaded no partitions."""
    assert isinstance(state.heads, StoredHeads)
    heads = state.heads.unread()
    return replace(state, heads=heads, contract_versions=ContractUses(heads))
