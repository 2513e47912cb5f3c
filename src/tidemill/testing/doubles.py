"""In-memory adapters for tests, with the same guarantees as real ones except durability."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

from tidemill.adapters.codec import ledger_errors as refusals
from tidemill.adapters.codec.events import event_scope
from tidemill.analysis.query.summary import QuerySummary
from tidemill.core.errors import DamagedObjectError, SendError, StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.payload import Payload
from tidemill.ledger.binding import Binding
from tidemill.ledger.event import Event, RecordedEvent
from tidemill.ledger.event_filter import EVERYTHING, EventFilter
from tidemill.ledger.event_subjects import begun_subject, ended_subject
from tidemill.models.io.golden_check import check_golden_rows
from tidemill.ports.formats import ModelFormat
from tidemill.ports.ledger import Guard, Lease, State
from tidemill.testing.reference_view import ReferenceView
from tidemill.workflow.model import Artifact


class MemoryLedger:
    """A ledger in lists and dicts; an append changes a copy, which replaces the view at the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._facts: list[RecordedEvent] = []
        self._view = ReferenceView()
        self._leases: dict[str, Lease] = {}
        self._tokens: dict[str, int] = {}

    def append(self, events: Sequence[Event], *, now: float, guard: Guard | None = None) -> int:
        with self._lock:
            view = self._view.copy()
            if guard is not None:
                self._check_guard(guard, events)
            first = len(self._facts) + 1
            facts = [RecordedEvent(seq=seq, at=now, event=e) for seq, e in enumerate(events, first)]
            bound = view.advance(facts)
            if guard is not None:
                refusals.require_objects(guard.find_missing, bound)
            self._facts.extend(facts)
            self._view = view
            return len(self._facts)

    def acquire(
        self,
        name: str,
        holder: Mapping[str, str],
        *,
        now: float,
        ttl: float,
        dead: Callable[[Mapping[str, str]], bool],
    ) -> Lease:
        with self._lock:
            held = self._leases.get(name)
            if held is not None and held.expires > now and not dead(held.holder):
                raise refusals.lease_held(name, held.holder, held.expires - now)
            token = self._tokens[name] = self._tokens.get(name, 0) + 1
            lease = Lease(name=name, token=token, holder=dict(holder), expires=now + ttl)
            self._leases[name] = lease
            return lease

    def renew(self, lease: Lease, *, now: float, ttl: float) -> Lease:
        with self._lock:
            self._require_lease(lease)
            renewed = self._leases[lease.name] = replace(lease, expires=now + ttl)
            return renewed

    def release(self, lease: Lease) -> None:
        with self._lock:
            held = self._leases.get(lease.name)
            if held is not None and held.token == lease.token:
                del self._leases[lease.name]

    def state(self, environment: str, *, whole: bool = False) -> State:
        with self._lock:
            return self._view.state(environment, len(self._facts))

    def traces(self, keys: Collection[str]) -> Mapping[str, Binding]:
        with self._lock:
            known = self._view.traces
            return {key: known[key] for key in keys if key in known}

    def events(
        self,
        *,
        kinds: Collection[str] = (),
        after: int = 0,
        run: str = "",
        stage: str = "",
        where: EventFilter = EVERYTHING,
        newest: bool = False,
        limit: int | None = None,
    ) -> Iterable[RecordedEvent]:
        with self._lock:
            facts = [*self._facts]
        found = [
            fact
            for fact in _select(facts, where)
            if fact.seq > after
            and (not kinds or type(fact.event).__name__ in kinds)
            and (not run or event_scope(fact.event).run == run)
            and (not stage or event_scope(fact.event).stage == stage)
        ]
        return islice(reversed(found) if newest else found, limit)

    def close(self) -> None:
        """Nothing is open."""

    def _check_guard(self, guard: Guard, events: Sequence[Event]) -> None:
        if guard.lease is not None:
            self._require_lease(guard.lease)
        self._require_unchanged(guard.unchanged)
        environments = {name for event in events if (name := event_scope(event).environment)}
        if (guard.heads or guard.live) and not environments:
            raise refusals.heads_without_environment([*guard.heads, *guard.live])
        for environment in sorted(environments):
            for name, wanted in guard.live.items():
                delivery = self._view.live.get((environment, name))
                if (now_live := delivery.artifact.id if delivery else "") != wanted:
                    raise refusals.live_moved(environment, name, wanted, now_live)
            for stage, expected in guard.heads.items():
                found, _ = self._view.heads.get((environment, stage), (0, 0))
                if found != expected:
                    raise refusals.head_moved(environment, stage, expected, found)

    def _require_unchanged(self, unchanged: Mapping[str, int]) -> None:
        for kind, known in unchanged.items():
            seqs = [fact.seq for fact in self._facts if type(fact.event).__name__ == kind]
            if (last := max(seqs, default=0)) > known:
                raise refusals.facts_recorded(kind, known, last)

    def _require_lease(self, lease: Lease) -> None:
        held = self._leases.get(lease.name)
        if held is None or held.token != lease.token:
            raise refusals.lease_lost(lease.name, lease.token, held.holder if held else None)


def _select(facts: Sequence[RecordedEvent], where: EventFilter) -> Iterator[RecordedEvent]:
    """The events of a whole history that a filter selects."""
    unended = set[str]()
    for fact in facts:
        unended |= {begun_subject(fact.event)}
        unended -= {ended_subject(fact.event)}
    for fact in facts:
        subjects = where.subjects_in(fact.event)
        subjects = subjects & unended if where.open_only else subjects
        if (
            (where.before is None or fact.seq < where.before)
            and (where.partition in (None, event_scope(fact.event).partition))
            and (subjects or not where.names_subjects)
        ):
            yield fact


@dataclass(frozen=True, slots=True)
class _MemoryObject:
    payload: bytes

    @property
    def size(self) -> int:
        return len(self.payload)

    @property
    def version(self) -> object:
        return id(self.payload)

    def read(self, offset: int, length: int) -> bytes:
        return self.payload[offset : offset + length]


class MemoryArtifacts:
    """An object store in a dict; `uri` writes the object to a temporary folder, for Polars to scan."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._damaged: set[str] = set()
        self._folder: str | None = None
        self._lock = threading.Lock()

    def put(self, payload: Payload, suffix: str) -> str:
        name = hashlib.sha256(payload).hexdigest() + suffix
        if self._objects.get(name) != payload:
            self._objects[name] = bytes(payload)
            self._remove_copy(name)
        self._damaged.discard(name)
        return name

    def put_all(self, objects: Sequence[tuple[Payload, str]]) -> Sequence[str]:
        return [self.put(payload, suffix) for payload, suffix in objects]

    def damage(self, name: str, payload: bytes) -> None:
        """Replace the bytes of an object, as a failing disk does."""
        self._objects[name] = payload
        self._remove_copy(name)

    def get(self, name: str) -> bytes:
        if name not in self._objects:
            self._damaged.add(name)
        with self.open(name) as found:
            payload = found.payload
        if hashlib.sha256(payload).hexdigest() != name[:64]:
            self._damaged.add(name)
            raise DamagedObjectError(f"the object {name} is damaged: run again to recompute it")
        return payload

    @contextmanager
    def open(self, name: str) -> Iterator[_MemoryObject]:
        if name not in self._objects:
            raise StorageError(f"the object {name} is missing: run again to recompute it")
        yield _MemoryObject(self._objects[name])

    def uri(self, name: str) -> str:
        """The path of a copy on disk, which exists if the object is stored."""
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.mkdtemp(prefix="tidemill-")
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = os.path.join(self._folder, name)
        if name in self._objects and not os.path.exists(path):
            with open(path, "wb") as file:
                file.write(self._objects[name])
        return path

    def fetch(self, names: Collection[str]) -> None:
        """Do nothing: they are near."""

    def find_missing(self, names: Collection[str]) -> Mapping[str, str]:
        return {
            name: "damaged" if name in self._objects else "missing"
            for name in names
            if name in self._damaged or name not in self._objects
        }

    def versions(self, names: Collection[str]) -> Mapping[str, object]:
        return {name: id(self._objects[name]) for name in names if name in self._objects}

    def names(self, *, damaged: bool = False) -> Iterable[str]:
        return sorted(self._damaged) if damaged else list(self._objects)

    def remove(self, names: Iterable[str]) -> int:
        freed = 0
        for name in names:
            freed += len(self._objects.pop(name, b""))
            self._damaged.discard(name)
            self._remove_copy(name)
        return freed

    def _remove_copy(self, name: str) -> None:
        if self._folder is not None and os.path.exists(path := os.path.join(self._folder, name)):
            os.unlink(path)


class MemoryProbes:
    """A cache of probe results in a dict."""

    def __init__(self) -> None:
        self._known: dict[str, QuerySummary] = {}

    def get(self, keys: Collection[str]) -> Mapping[str, QuerySummary]:
        return {key: self._known[key] for key in keys if key in self._known}

    def put(self, found: Mapping[str, QuerySummary]) -> None:
        self._known.update(found)


class MemoryModelProbe:
    """Records which models it was asked about, and refuses those in `refused`.

    It loads what was exported in this process.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.remembered: list[str] = []
        self.refused: dict[str, str] = {}

    def confirm(
        self, artifact: Artifact, form: ModelFormat, payload: Payload, golden: bytes, /
    ) -> None:
        """Refuse a model that is in `refused`."""
        self.asked.append(artifact.id)
        if artifact.id in self.refused:
            raise StorageError(self.refused[artifact.id])

    def measure(
        self, artifact: Artifact, form: ModelFormat, payload: Payload, golden: bytes, /
    ) -> float:
        """Load a model in this process."""
        found = check_golden_rows(form, artifact, bytes(payload), golden)
        if found.fault:
            raise StorageError(found.fault)
        return found.difference

    def remember(self, artifact: Artifact, form: ModelFormat, /) -> None:
        """Remember a model."""
        self.remembered.append(artifact.id)

    def close(self) -> None:
        """There is nothing to end."""


class MemoryClaims:
    """One holder's claims in a dict, shared with the holder `shared_with`, if given."""

    def __init__(self, shared_with: MemoryClaims | None = None) -> None:
        self._holders: dict[str, MemoryClaims] = shared_with._holders if shared_with else {}
        self._released: threading.Condition = (
            shared_with._released if shared_with else threading.Condition()
        )

    def take(self, key: str) -> bool:
        with self._released:
            return self._holders.setdefault(key, self) is self

    def wait(self, key: str, timeout_s: float) -> bool:
        with self._released:
            return self._released.wait_for(lambda: self.take(key), timeout_s)

    def release(self, key: str) -> None:
        with self._released:
            if self._holders.get(key) is self:
                del self._holders[key]
                self._released.notify_all()


class MemoryLineage:
    """A transport that keeps the events; `before` is called with each, and may refuse it."""

    def __init__(self, before: Callable[[bytes], object] = len, *, confirms: bool = True) -> None:
        self.confirms = confirms
        self.events: list[bytes] = []
        self.closed = False
        self._before = before
        self._aborted = threading.Event()

    def send(self, event: bytes) -> None:
        if self._aborted.is_set():
            raise SendError("sending was broken off")
        self._before(event)
        self.events.append(event)

    def abort(self) -> None:
        self._aborted.set()

    def close(self) -> None:
        self.closed = True
