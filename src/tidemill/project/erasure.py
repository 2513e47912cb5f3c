"""Erase a person: the name from people, pages and logs, or rows by a key; list where else something is."""

from __future__ import annotations

import secrets
from dataclasses import replace

from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.recorded_reason import checked_note
from tidemill.governance.erasure import Erasure, ErasurePlace, ErasureSubject, PlaceKind
from tidemill.governance.permissions import Permission
from tidemill.ledger.event import Published
from tidemill.ledger.governance_events import Erased
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ports.ledger import Guard
from tidemill.project.erased_names import ErasedNames
from tidemill.project.erased_rows import ErasedRows
from tidemill.project.found_places import FoundPlace
from tidemill.project.object_stores import forget_source_copies
from tidemill.project.workflow_ledger import shared_ledger
from tidemill.project.workspace import Workspace
from tidemill.runs.io.lease import take_lease


class Erasures:
    """Erases people from what a workspace stored."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def find(self, subject: ErasureSubject) -> Erasure:
        """List where the subject's rows or name are, and change nothing."""
        self._workspace.require(Permission.READ)
        places = self._search(subject).places()
        return Erasure(subject=subject, places=tuple(each.place for each in places))

    def erase(self, subject: ErasureSubject, *, reason: str = "", wait_s: float = 0.0) -> Erasure:
        """Remove the subject from everything that can be changed; record that, without the value.

        It is recorded before anything is removed, with the counts of then, so that after a crash the ledger
        says what was begun; the same call then removes the rest. The result has the counts of what was
        removed. ConflictError if a run is active for longer than `wait_s`, while an open review or a valid
        token needs the name, or if what was found may be needed by what was recorded meanwhile.
        """
        space = self._workspace
        actor = space.require(Permission.ERASE)
        search = self._search(subject)
        unchanged = search.as_of()
        salt = secrets.token_hex(16)
        # Not the command line, which has the subject.
        lease = take_lease(space.tools, space.environment, this_process("tidemill erase"), wait_s)
        try:
            # Earlier files may have what the newest ones don't. Those that a run needs are fetched again.
            forget_source_copies(space.settings)
            places = [*search.places()]
            found = Erasure(
                subject=subject,
                places=tuple(each.place for each in places),
                done=True,
                digest=subject.digest(salt),
                salt=salt,
            )
            record = Erased(
                environment=space.environment,
                subject=found.digest,
                column=subject.column,
                removed=found.removed,
                left=found.left,
                actor=actor.name,
                reason=checked_note(reason, "reason"),
                person="" if subject.column else subject.value,
            )
            events = [event for each in places for event in each.prepare()]
            stages = {event.stage for event in events if isinstance(event, Published)}
            heads = {stage: space.state().heads[stage].version for stage in stages}
            guard = Guard(lease=lease.lease, heads=heads, unchanged=unchanged)
            last = space.tools.ledger.append(
                [record, *events], now=space.tools.clock(), guard=guard
            )
            done = [_removed(each) for each in places if each.place.kind is not PlaceKind.PEOPLE]
        finally:
            lease.close()
        people = [each for each in found.places if each.kind is PlaceKind.PEOPLE]
        if not subject.column and not any(each.left for each in people):
            # The holder of the lease may be the subject, of whom the ledger has no trace then.
            ledger = shared_ledger(space.tools.ledger)
            assert isinstance(ledger, SqliteLedger)
            as_of = dict.fromkeys(unchanged, last)
            is_removed = bool(ledger.erase_person(subject.value, as_of))
            people = [replace(each, rows=int(is_removed)) for each in people]
        return replace(found, places=(*done, *people))

    def _search(self, subject: ErasureSubject) -> ErasedRows | ErasedNames:
        if subject.column:
            return ErasedRows(self._workspace, subject)
        return ErasedNames(self._workspace, subject.value)


def _removed(found: FoundPlace) -> ErasurePlace:
    """Remove what was found in a place; return the place with what was really removed."""
    return found.place if found.remove is None else replace(found.place, rows=found.remove())
