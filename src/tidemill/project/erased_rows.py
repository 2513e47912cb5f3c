"""Find a person's rows by a key: in prediction logs, quarantines, and all stored results."""

from __future__ import annotations

import os
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from tidemill.adapters.sqlite.people import count_named_events
from tidemill.core.counts import plural
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.partition import WHOLE, place_name
from tidemill.governance.erasure import ErasurePlace, ErasureSubject, PlaceKind
from tidemill.governance.io.mentions import find_mentions
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Computed, EnvironmentCreated, Event, Published, Ruled
from tidemill.ledger.workflow_scope import split_name
from tidemill.ports.ledger import State
from tidemill.project.delivered_tables import DeliveredTables
from tidemill.project.found_places import FoundPlace
from tidemill.project.kept_ledgers import find_in_kept_ledgers
from tidemill.project.workflow_ledger import WorkflowLedger, shared_ledger
from tidemill.project.workspace import Workspace
from tidemill.serving.io.log_erasure import find_logged_rows, logged_columns, remove_logged_rows
from tidemill.serving.log_frames import personal_hash
from tidemill.store.frames import PARQUET, encode_sealed
from tidemill.store.person_rows import PersonKey, column_names
from tidemill.workflow.environment import PRODUCTION, environment_option, own_place

_PERSONAL_KEY = "TIDEMILL_PII_KEY"
_PUBLISHED = "correct the source, then run: the rows leave with their partition"
_DELIVERED = "the next run delivers the partition again, once the source is corrected"
_EARLIER = "results of earlier runs and other environments are kept for reuse"
_TEXTS = (
    "files and events that mention the value aren't changed: see whether they are about the person"
)
# Rulings pin objects, and branches have those of their parent.
_NEEDING = (Ruled.__name__, EnvironmentCreated.__name__)
# A shorter value is in many texts that aren't about the person.
_DISTINCT = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quarantined:
    """A quarantine object with rows of the subject, and the partition that has it, or whose ruling does."""

    name: str
    rows: int
    doubtful: int
    stage: str = ""
    partition: str = ""
    binding: Binding | None = None

    @property
    def place(self) -> str:
        return place_name(self.stage, self.partition) if self.stage else self.name


@dataclass(frozen=True, slots=True)
class _Ruled:
    """A ruling in force on rows of a partition, by its number there."""

    environment: str
    stage: str
    partition: str
    number: int

    @property
    def undo(self) -> str:
        """The command that takes it back."""
        partition = "" if self.partition in ("", WHOLE) else f" {shlex.quote(self.partition)}"
        where = environment_option(self.environment)
        return f"tidemill quarantine undo {self.stage}{partition} --ruling {self.number}{where}"


class ErasedRows:
    """The rows of a person in what a workspace stored."""

    def __init__(self, workspace: Workspace, subject: ErasureSubject) -> None:
        self._workspace = workspace
        self._subject = subject
        self._key = PersonKey(subject.column, (subject.value,))
        self._seen: set[str] = set()
        self._columns: set[str] = set()

    def places(self) -> Iterator[FoundPlace]:
        """Where the rows are: what can be removed first. UsageError if no stored table has the column."""
        yield from self._logged()
        yield from self._quarantined()
        yield from self._published()
        yield from self._earlier()
        self._require_column()
        yield from self._mentions()

    def as_of(self) -> Mapping[str, int]:
        """As of which events, by kind, `places` finds what needs an object."""
        facts = [*shared_ledger(self._workspace.tools.ledger).events(kinds=_NEEDING)]
        return dict.fromkeys(_NEEDING, facts[-1].seq if facts else 0)

    def _require_column(self) -> None:
        column = self._subject.column
        if not self._columns or column in self._columns:
            return
        space = self._workspace
        for endpoint in space.flow.endpoints:
            if endpoint.log is not None:
                own = own_place(endpoint.log.folder, space.environment)
                self._columns |= logged_columns(space.root / own / endpoint.name)
        if column not in self._columns:
            advice = did_you_mean(column, self._columns)
            raise UsageError(f"no stored table or prediction log has a column {column!r}: {advice}")

    def _logged(self) -> Iterator[FoundPlace]:
        space, key = self._workspace, self._logged_key()
        for endpoint in space.flow.endpoints:
            if endpoint.log is None:
                continue
            own = own_place(endpoint.log.folder, space.environment)
            for each in find_logged_rows(space.root / own / endpoint.name, key):
                name = str(each.path)
                found = ErasurePlace(kind=PlaceKind.PREDICTIONS, name=name, rows=each.rows)
                if each.fault:
                    left = f"not searched: it can't be read ({each.fault})"
                    yield FoundPlace(place=replace(found, left=left))
                if each.rows:
                    yield FoundPlace(
                        place=found, remove=partial(remove_logged_rows, Path(each.path), key)
                    )
                if each.doubtful:
                    yield self._doubtful(found, each.doubtful)

    def _logged_key(self) -> PersonKey:
        """The key with what stands for it in logs that hash personal data."""
        key = os.environ.get(_PERSONAL_KEY, "").encode()
        value = self._subject.value
        values = (value, personal_hash(value, key)) if key else (value,)
        return PersonKey(self._subject.column, values)

    def _doubtful(self, place: ErasurePlace, rows: int) -> FoundPlace:
        left = (
            f"written otherwise than {self._subject.value!r}, such as with zeros or in capitals: if it is "
            "the person, erase the key as it is there"
        )
        return FoundPlace(place=replace(place, rows=rows, left=left))

    def _quarantined(self) -> Iterator[FoundPlace]:
        for found in self._quarantine_objects():
            left = self._obstacle(found.name)
            place = ErasurePlace(
                kind=PlaceKind.QUARANTINE,
                name=found.place,
                rows=found.rows,
                left=left,
                stage=found.stage,
                partition=found.partition,
            )
            if found.rows and left:
                yield FoundPlace(place=place)
            elif found.rows:
                yield FoundPlace(
                    place=place,
                    prepare=partial(self._without, found),
                    remove=partial(self._remove_object, found),
                )
            if found.doubtful:
                yield self._doubtful(place, found.doubtful)

    def _quarantine_objects(self) -> Iterator[_Quarantined]:
        """The quarantine objects with rows of the subject: the bound ones, and those of earlier results."""
        # Partitions with the same bad rows have one object.
        bound: defaultdict[str, list[tuple[str, str, Binding]]] = defaultdict(list)
        for stage, head in self._workspace.state(whole=True).heads.items():
            for partition, binding in head.partitions.items():
                if binding.product.quarantine is not None:
                    bound[binding.product.quarantine].append((stage, partition, binding))
        stored, pinned = {*self._workspace.tools.artifacts.names()}, self._pinned()
        for name in sorted(self._every_quarantine() & stored):
            self._seen.add(name)
            rows, doubtful = self._key.count(self._frame(name))
            if not rows and not doubtful:
                continue
            if name not in bound:
                [ruled, *_] = [*pinned.get(name, ()), _Ruled("", "", "", 0)]
                yield _Quarantined(
                    name=name,
                    rows=rows,
                    doubtful=doubtful,
                    stage=ruled.stage,
                    partition=ruled.partition,
                )
            for stage, partition, binding in bound.get(name, ()):
                yield _Quarantined(
                    name=name,
                    rows=rows,
                    doubtful=doubtful,
                    stage=stage,
                    partition=partition,
                    binding=binding,
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
        commands = [f"`{ruled.undo}`" for ruled in self._pinned().get(name, ())]
        if commands:
            return (
                f"a ruling on its rows needs it: take it back first with {' and '.join(commands)}"
            )
        return ""

    def _pinned(self) -> Mapping[str, Sequence[_Ruled]]:
        """The rulings that need an object, by its name, in all environments."""
        found: defaultdict[str, list[_Ruled]] = defaultdict(list)
        for state in (self._workspace.state(whole=True), *self._other_states()):
            environment = split_name(state.environment)[1]
            for stage, partitions in state.rulings.items():
                for partition, rulings in partitions.items():
                    for number, ruling in enumerate(rulings, 1):
                        for name in ruling.pinned_objects:
                            found[name].append(_Ruled(environment, stage, partition, number))
        return found

    def _other_states(self) -> list[State]:
        """The states of all other environments, also of other workflows that share the home."""
        ledger, own = self._workspace.tools.ledger, self._workspace.environment
        if isinstance(ledger, WorkflowLedger):
            own = f"{ledger.prefix}{own}"
            ledger = ledger.shared
        names = ledger.state(PRODUCTION).environments
        return [ledger.state(name, whole=True) for name in sorted(names) if name != own]

    def _without(self, found: _Quarantined) -> Sequence[Event]:
        """Publish a partition again without the quarantined rows of the subject."""
        if found.binding is None:
            return ()
        frame = self._frame(found.name)
        kept = frame.filter(~self._key.rows(frame.schema))
        new: str | None = None
        if kept.height:
            (new,) = self._workspace.tools.artifacts.put_all([encode_sealed(kept)])
        product = replace(found.binding.product, quarantine=new, quarantined=kept.height)
        event = Published(
            environment=self._workspace.environment,
            stage=found.stage,
            partition=found.partition,
            binding=replace(found.binding, product=product),
        )
        return (event,)

    def _remove_object(self, found: _Quarantined) -> int:
        self._workspace.tools.artifacts.remove([found.name])
        return found.rows

    def _published(self) -> Iterator[FoundPlace]:
        state = self._workspace.state(whole=True)
        delivered = {
            (effect.stage, effect.partition): effect.target
            for effect, _ in DeliveredTables(self._workspace).last_effects()
            if effect.action == "write"
        }
        for stage, head in sorted(state.heads.items()):
            for partition, binding in sorted(head.partitions.items()):
                rows, doubtful = self._count(binding.product.objects)
                target = delivered.get((stage, partition), "")
                name = place_name(stage, partition) + (f" in {target}" if target else "")
                kind = PlaceKind.DELIVERED if target else PlaceKind.PUBLISHED
                place = ErasurePlace(
                    kind=kind, name=name, rows=rows, stage=stage, partition=partition
                )
                if rows:
                    yield FoundPlace(
                        place=replace(place, left=_DELIVERED if target else _PUBLISHED)
                    )
                if doubtful:
                    yield self._doubtful(place, doubtful)

    def _earlier(self) -> Iterator[FoundPlace]:
        """The rows in all other stored tables, in one line: there may be thousands."""
        rows = count = 0
        for name in sorted({*self._workspace.tools.artifacts.names()} - self._seen):
            found = sum(self._count([name]))
            rows, count = rows + found, count + bool(found)
        if rows:
            name = plural(count, "other object")
            yield FoundPlace(
                place=ErasurePlace(kind=PlaceKind.RESULTS, name=name, rows=rows, left=_EARLIER)
            )

    def _count(self, objects: Sequence[str]) -> tuple[int, int]:
        """The rows of the subject, and doubtful ones, in objects that together hold some rows."""
        artifacts, rows, doubtful = self._workspace.tools.artifacts, 0, 0
        for name in (each for each in objects if each.endswith(PARQUET)):
            self._seen.add(name)
            scan = pl.scan_parquet(artifacts.uri(name))
            schema = scan.collect_schema()
            self._columns |= column_names(schema)
            if columns := self._key.columns(schema):
                more, also = self._key.count(scan.select(columns).collect())
                rows, doubtful = rows + more, doubtful + also
        return rows, doubtful

    def _mentions(self) -> Iterator[FoundPlace]:
        """The files of the home that aren't tables, and the events, that mention the value."""
        value, home = self._subject.value, self._workspace.home
        if len(value) < _DISTINCT:
            left = f"not searched: {value!r} is too short to be told from other text"
            name = "logs, events, attestations and other files of the home"
            yield FoundPlace(place=ErasurePlace(kind=PlaceKind.FILES, name=name, rows=0, left=left))
            return
        for each in find_mentions(home, value, [*home.glob("ledger.db*")]):
            if each.path.suffix != PARQUET:
                left = f"not searched: {each.fault}" if each.fault else _TEXTS
                name = str(each.path.relative_to(home))
                yield FoundPlace(
                    place=ErasurePlace(kind=PlaceKind.FILES, name=name, rows=each.count, left=left)
                )
        yield from find_in_kept_ledgers(home, value, _TEXTS)
        if count := count_named_events(home / "ledger.db", value):
            yield FoundPlace(
                place=ErasurePlace(kind=PlaceKind.EVENTS, name="ledger", rows=count, left=_TEXTS)
            )

    def _frame(self, name: str) -> pl.DataFrame:
        frame = pl.read_parquet(self._workspace.tools.artifacts.get(name))
        self._columns |= column_names(frame.schema)
        return frame
