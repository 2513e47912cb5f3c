"""Erase a person: from the table of people, prediction logs and quarantines; list where else rows are."""

from __future__ import annotations

import os
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import polars as pl

from tidemill.adapters.sqlite.people import count_named_events, erase_person, read_people
from tidemill.core.errors import ConflictError
from tidemill.core.partition import place_name
from tidemill.governance.erasure import Erasure, ErasurePlace, ErasureSubject, PlaceKind
from tidemill.governance.permissions import Permission
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Computed, Erased, Published
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.workflow_scope import split_name
from tidemill.ports.ledger import Guard, Ledger, State
from tidemill.project.delivered_tables import DeliveredTables
from tidemill.project.erasure_obstacles import NAME_EVENTS, name_obstacles
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.project.workspace import Workspace
from tidemill.runs.io.lease import take_lease
from tidemill.serving.io.log_erasure import find_logged_rows, remove_logged_rows, rows_of
from tidemill.serving.log_frames import personal_hash
from tidemill.store.frames import PARQUET, encode_sealed
from tidemill.workflow.environment import PRODUCTION, own_place

_PERSONAL_KEY = "TIDEMILL_PII_KEY"
_STAYS = {
    PlaceKind.PUBLISHED: "correct the source, then run: the rows leave with their partition",
    PlaceKind.DELIVERED: "the next run delivers the partition again, once the source is corrected",
    PlaceKind.EVENTS: "recorded before names stood beside the events, which are never changed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quarantined:
    """A quarantine object with rows of the subject, and where the environment has it bound."""

    name: str
    rows: int
    stage: str = ""
    partition: str = ""
    binding: Binding | None = None


class Erasures:
    """Erases people from what a workspace stored."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def find(self, subject: ErasureSubject) -> Erasure:
        """List where the subject's rows or name are, and change nothing."""
        self._workspace.require(Permission.READ)
        return Erasure(subject=subject, places=tuple(self._places(subject)))

    def erase(self, subject: ErasureSubject, *, reason: str = "", wait_s: float = 0.0) -> Erasure:
        """Remove the subject from people, prediction logs and quarantines; record that, without the value.

        It is recorded before anything is removed, so that after a crash the ledger says what was begun; the
        same call then removes the rest. ConflictError if a run is active for longer than `wait_s`, or while
        an open review or a valid token needs the name.
        """
        space = self._workspace
        actor = space.require(Permission.ERASE)
        unchanged = self._require_unneeded(subject)
        salt = secrets.token_hex(16)
        # Not the command line, which has the subject.
        lease = take_lease(space.tools, space.environment, this_process("tidemill erase"), wait_s)
        try:
            found = replace(self.find(subject), done=True, digest=subject.digest(salt), salt=salt)
            record = Erased(
                environment=space.environment,
                subject=found.digest,
                column=subject.column,
                removed=found.removed,
                left=found.left,
                actor=actor.name,
                reason=reason,
            )
            objects, events = self._quarantines_without(subject)
            heads = {event.stage: self._version(event.stage) for event in events}
            guard = Guard(lease=lease.lease, heads=heads, unchanged=unchanged)
            space.tools.ledger.append([record, *events], now=space.tools.clock(), guard=guard)
            space.tools.artifacts.remove(objects)
            self._remove_logged(subject)
        finally:
            lease.close()
        if not subject.column:
            erase_person(space.home / "ledger.db", subject.value, unchanged)
        return found

    def _require_unneeded(self, subject: ErasureSubject) -> Mapping[str, int]:
        """Raise ConflictError while a name is needed; return as of which events of which kinds it isn't."""
        if subject.column:
            return {}
        facts = [*self._shared_ledger().events(kinds=NAME_EVENTS)]
        obstacles = name_obstacles(facts, subject.value, self._workspace.tools.clock())
        if obstacles:
            raise ConflictError(f"{subject.value} {obstacles[0]}; nothing was erased")
        last = facts[-1].seq if facts else 0
        return dict.fromkeys(NAME_EVENTS, last)

    def _shared_ledger(self) -> Ledger:
        """The ledger with the events of all workflows of the home."""
        ledger = self._workspace.tools.ledger
        return ledger.shared if isinstance(ledger, WorkflowLedger) else ledger

    def _places(self, subject: ErasureSubject) -> Iterator[ErasurePlace]:
        if not subject.column:
            yield from self._people(subject.value)
            return
        for path, rows in self._logged(subject):
            yield ErasurePlace(kind=PlaceKind.PREDICTIONS, name=path, rows=rows)
        for found in self._quarantined(subject):
            name = place_name(found.stage, found.partition) if found.stage else found.name
            left = self._obstacle(found.name)
            yield ErasurePlace(kind=PlaceKind.QUARANTINE, name=name, rows=found.rows, left=left)
        yield from self._published(subject)

    def _people(self, name: str) -> Iterator[ErasurePlace]:
        path = self._workspace.home / "ledger.db"
        facts = self._shared_ledger().events(kinds=NAME_EVENTS)
        needed = name_obstacles(facts, name, self._workspace.tools.clock())
        if any(known == name for known, _ in read_people(path).values()):
            yield ErasurePlace(kind=PlaceKind.PEOPLE, name=name, rows=1, left="; ".join(needed))
        count = count_named_events(path, name)
        if count:
            left = _STAYS[PlaceKind.EVENTS]
            yield ErasurePlace(kind=PlaceKind.EVENTS, name="ledger", rows=count, left=left)

    def _logged(self, subject: ErasureSubject) -> Iterator[tuple[str, int]]:
        space, values = self._workspace, _values(subject)
        for endpoint in space.flow.endpoints:
            if endpoint.log is not None:
                own = own_place(endpoint.log.folder, space.environment)
                for each in find_logged_rows(
                    space.root / own / endpoint.name, subject.column, values
                ):
                    yield str(each.path), each.rows

    def _remove_logged(self, subject: ErasureSubject) -> None:
        if subject.column:
            for path, _ in [*self._logged(subject)]:
                remove_logged_rows(self._workspace.root / path, subject.column, _values(subject))

    def _quarantined(self, subject: ErasureSubject) -> Iterator[_Quarantined]:
        """The quarantine objects with rows of the subject: the bound ones, and those of earlier results."""
        # Partitions with the same bad rows have one object.
        bound: defaultdict[str, list[tuple[str, str, Binding]]] = defaultdict(list)
        for stage, head in self._workspace.state(whole=True).heads.items():
            for partition, binding in head.partitions.items():
                if binding.product.quarantine is not None:
                    bound[binding.product.quarantine].append((stage, partition, binding))
        stored = {*self._workspace.tools.artifacts.names()}
        for name in sorted(self._every_quarantine() & stored):
            frame = self._frame(name)
            rows = int(
                frame.select(rows_of(frame, subject.column, (subject.value,)).sum()).item() or 0
            )
            if rows and name not in bound:
                yield _Quarantined(name=name, rows=rows)
            for stage, partition, binding in bound.get(name, ()) if rows else ():
                yield _Quarantined(
                    name=name, rows=rows, stage=stage, partition=partition, binding=binding
                )

    def _every_quarantine(self) -> set[str]:
        facts = self._workspace.tools.ledger.events(kinds=("Published", "Computed"))
        return {
            fact.event.binding.product.quarantine
            for fact in facts
            if isinstance(fact.event, Published | Computed)
            and fact.event.binding.product.quarantine is not None
        }

    def _obstacle(self, name: str) -> str:
        """Why a quarantine object must stay; "" if only this environment's partition has it."""
        for state in self._other_states():
            for stage, head in state.heads.items():
                if any(b.product.quarantine == name for b in head.partitions.values()):
                    name = split_name(state.environment)[1]
                    return f"the environment {name} has it too ({stage}): erase it there first"
        pinned = {
            pin
            for state in (self._workspace.state(), *self._other_states())
            for partitions in state.rulings.values()
            for rulings in partitions.values()
            for ruling in rulings
            for pin in ruling.pinned_objects
        }
        if name in pinned:
            return "a ruling on its rows needs it: take the ruling back with `tidemill quarantine hold`"
        return ""

    def _other_states(self) -> list[State]:
        """The states of all other environments, also of other workflows that share the home."""
        ledger, own = self._workspace.tools.ledger, self._workspace.environment
        if isinstance(ledger, WorkflowLedger):
            own = f"{ledger.prefix}{own}"
        ledger = self._shared_ledger()
        names = ledger.state(PRODUCTION).environments
        return [ledger.state(name, whole=True) for name in sorted(names) if name != own]

    def _quarantines_without(self, subject: ErasureSubject) -> tuple[list[str], list[Published]]:
        """The objects to remove, and the partitions that are published again without the subject's rows."""
        objects: list[str] = []
        events: list[Published] = []
        for found in self._quarantined(subject) if subject.column else ():
            if self._obstacle(found.name):
                continue
            objects.append(found.name)
            if found.binding is not None:
                binding = self._without(found.binding, found.name, subject)
                environment = self._workspace.environment
                events.append(
                    Published(
                        environment=environment,
                        stage=found.stage,
                        partition=found.partition,
                        binding=binding,
                    )
                )
        return list(dict.fromkeys(objects)), events

    def _without(self, binding: Binding, name: str, subject: ErasureSubject) -> Binding:
        frame = self._frame(name)
        kept = frame.filter(~rows_of(frame, subject.column, (subject.value,)))
        new: str | None = None
        if kept.height:
            (new,) = self._workspace.tools.artifacts.put_all([encode_sealed(kept)])
        product = replace(binding.product, quarantine=new, quarantined=kept.height)
        return replace(binding, product=product)

    def _published(self, subject: ErasureSubject) -> Iterator[ErasurePlace]:
        state = self._workspace.state(whole=True)
        delivered = {
            (effect.stage, effect.partition): effect.target
            for effect, _ in DeliveredTables(self._workspace).last_effects()
            if effect.action == "write"
        }
        for stage, head in sorted(state.heads.items()):
            for partition, binding in sorted(head.partitions.items()):
                rows = self._count(binding, subject)
                if not rows:
                    continue
                place, kind = place_name(stage, partition), PlaceKind.PUBLISHED
                if (stage, partition) in delivered:
                    place = f"{place} in {delivered[stage, partition]}"
                    kind = PlaceKind.DELIVERED
                yield ErasurePlace(kind=kind, name=place, rows=rows, left=_STAYS[kind])

    def _count(self, binding: Binding, subject: ErasureSubject) -> int:
        artifacts = self._workspace.tools.artifacts
        # A delivered partition has no columns in its record.
        for name in (each for each in binding.product.objects if each.endswith(PARQUET)):
            scan = pl.scan_parquet(artifacts.uri(name))
            if subject.column in scan.collect_schema().names():
                frame = scan.select(subject.column).collect()
                found = frame.select(rows_of(frame, subject.column, (subject.value,)).sum())
                return int(found.item() or 0)
        return 0

    def _frame(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self._workspace.tools.artifacts.get(name))

    def _version(self, stage: str) -> int:
        return self._workspace.state().heads[stage].version


def _values(subject: ErasureSubject) -> tuple[str, ...]:
    """The value, and what stands for it in logs that hash personal data."""
    key = os.environ.get(_PERSONAL_KEY, "").encode()
    return (subject.value, personal_hash(subject.value, key)) if key else (subject.value,)
