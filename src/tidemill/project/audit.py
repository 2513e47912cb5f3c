"""Audit the events of a ledger: checkpoints, verification, proofs, and who did what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.adapters.sqlite.event_chain import count_events, read_chain
from tidemill.adapters.sqlite.people import find_people_faults, read_people
from tidemill.core.counts import plural
from tidemill.core.errors import StorageError, TidemillError, UsageError, did_you_mean
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.audit_proof import EventProof, parse_proof, prove_event
from tidemill.governance.audit_report import (
    AuditProblem,
    AuditReport,
    SignatureFault,
    audit_events,
)
from tidemill.governance.audit_trail import (
    TRAIL_KINDS,
    AuditEntry,
    TrailFilter,
    audit_entries,
)
from tidemill.governance.checkpoint import Checkpoint, CheckpointSource
from tidemill.governance.io.checkpoint_places import (
    CheckpointCommand,
    CheckpointFile,
    CheckpointPlace,
    GitTags,
    read_file,
)
from tidemill.governance.io.checkpoints import CheckpointMaker, HomeCheckpoints, MadeCheckpoint
from tidemill.governance.io.trail_reader import TrailReader
from tidemill.governance.permissions import Permission
from tidemill.ledger.event import EVENTS, RecordedEvent
from tidemill.ledger.event_digest import ChainedEvent
from tidemill.ledger.event_filter import EventFilter
from tidemill.ledger.governance_events import PolicyDecided, ReviewOpened, Waived
from tidemill.ledger.recent_events import events_since
from tidemill.project.home_ledger import ledger_file, require_ledger
from tidemill.project.workspace import Workspace

if TYPE_CHECKING:
    from tidemill.governance.io.signing_keys import PublicKey, SigningKey

_KEPT = "checkpoints.jsonl"
# A page of the trail looks at so many events.
_LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedEvent:
    """An event for an auditor: as people read it, and its `leaf` in the trees of checkpoints."""

    entry: AuditEntry
    leaf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailPage:
    """Some entries, and the event number `before` which the `next` ones are; 0 if there are no more."""

    entries: tuple[AuditEntry, ...]
    next: int = 0


class Audit:
    """The events of the home of a workspace, of all workflows in it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._settings = workspace.settings.audit
        self._path = ledger_file(workspace.settings)
        self._kept = HomeCheckpoints(workspace.home / _KEPT)

    def verify(
        self,
        *,
        checkpoints: Sequence[str | Path] = (),
        keys: Sequence[str | Path] = (),
        signatures: bool = True,
    ) -> AuditReport:
        """Compare all events with the hash chain and with all checkpoints, and names with their references.

        These are the home's own, those of the places in the settings, and those in the files `checkpoints`.
        `keys` are files of public keys, by default those of the settings. Without `signatures` nobody is
        asked who signed. UsageError if a checkpoint from outside can't be verified without a key.
        """
        self._workspace.require(Permission.READ)
        # All events of a checkpoint are in the ledger before it is made: they are read after all of them.
        with self._kept.reading():
            outside, unknown = self._outside_sources()
            sources = [
                self._kept.source(),
                *outside,
                *(_existing(Path(path)) for path in checkpoints),
            ]
        fault, notes = self._signature_fault(keys, sources, signatures=signatures)
        found = audit_events(self._read(), sources, fault)
        people = [
            AuditProblem(place="people", message=text) for text in find_people_faults(self._path)
        ]
        notes = (*unknown, *notes)
        if len(sources) == 1 and not unknown:
            notes = (
                *notes,
                "no checkpoint outside of the home is known: whoever can write there could have changed all "
                "events, and this wouldn't show",
            )
        return replace(found, problems=(*found.problems, *people), notes=(*found.notes, *notes))

    def _outside_sources(self) -> tuple[list[CheckpointSource], tuple[str, ...]]:
        """What the places outside have, and notes on those that can't be read now."""
        found, unknown, written = list[CheckpointSource](), list[str](), self._kept.written
        for place in self._places():
            try:
                source = place.read()
            except StorageError as error:
                unknown.append(f"not compared with the checkpoints of {place.name}: {error}")
                continue
            if source is not None:
                found.append(replace(source, written=written.get(place.name, 0)))
        return found, tuple(unknown)

    def checkpoint(self, *, new_ledger: bool = False) -> MadeCheckpoint:
        """Make a checkpoint of all events, or write the last one again where it is missing.

        A place that has checkpoints of another ledger by this key gets some of this one only if a
        `new_ledger` was begun.

        UsageError without a key or without any event; StorageError if the events aren't those of the last
        checkpoint.
        """
        self._workspace.require(Permission.RUN)
        if not self._settings.is_on:
            raise UsageError(
                "there is no key that signs checkpoints: `tidemill keys create ~/.config/tidemill/audit.pem`,"
                ' then [tool.tidemill.audit] key = "~/.config/tidemill/audit.pem"'
            )
        self._require_ledger()
        made = self._maker().make(
            now=self._workspace.tools.clock(),
            terms=None,
            count=partial(count_events, self._path),
            new_ledger=new_ledger,
        )
        if made is None:
            raise UsageError("the ledger has no event yet: run something first")
        return made

    def seal(self) -> str:
        """Make a checkpoint if one is due, else write the last one to places that lack it.

        Says what went wrong, "" if nothing did. A run is never lost by a checkpoint that can't be made.
        """
        try:
            made = self._maker().make(
                now=self._workspace.tools.clock(),
                terms=self._settings.terms,
                count=partial(count_events, self._path),
            )
        except TidemillError as error:
            return f"no checkpoint was made: {error}"
        return "" if made is None else "; ".join(made.problems)

    def entries(  # noqa: PLR0913 - an option of the command each
        self,
        *,
        who: str = "",
        what: str = "",
        since: float | None = None,
        until: float | None = None,
        kinds: Sequence[str] = (),
        every: bool = False,
        limit: int | None = None,
        before: int | None = None,
    ) -> list[AuditEntry]:
        """Who did what, to what, when and why, in the order of the events; with `limit` the newest of them.

        `who` and `what` are parts of names, or patterns with `*`; times are in Unix seconds. `kinds` are
        names of events, by default those by which people act or that decide for them; with `every` all.
        With `before` only events with a lower number.
        """
        wanted = TrailFilter(who=who, what=what, since=since, until=until, kinds=tuple(kinds))
        found = filter(wanted.accepts, self._recent(wanted, before, every=every))
        return [*islice(found, limit)][::-1]

    def page(
        self, wanted: TrailFilter, *, every: bool = False, before: int = 0, limit: int = 100
    ) -> TrailPage:
        """Some of the wanted entries, newest first: the last ones, or those before an event.

        Looks at some thousands of events at most; the `next` page goes on there, also if this one has none.
        """
        found: list[AuditEntry] = []
        recent = self._recent(wanted, before or None, every=every)
        for looked_at, entry in enumerate(recent):
            if len(found) == limit or looked_at == _LOOKED_AT:
                return TrailPage(entries=tuple(found), next=entry.seq + 1)
            if wanted.accepts(entry):
                found.append(entry)
        return TrailPage(entries=tuple(found))

    def _recent(
        self, wanted: TrailFilter, before: int | None, *, every: bool
    ) -> Iterator[AuditEntry]:
        """The entries of the wanted kinds and time, newest first."""
        self._workspace.require(Permission.READ)
        known = [kind.__name__ for kind in EVENTS]
        for kind in wanted.kinds:
            if kind not in known:
                raise UsageError(f"there is no event {kind!r} ({did_you_mean(kind, known)})")
        chosen = wanted.kinds or (() if every else TRAIL_KINDS)
        facts = self._workspace.tools.ledger.events(
            kinds=chosen, where=EventFilter(before=before), newest=True
        )
        recent = facts if wanted.since is None else events_since(facts, wanted.since)
        return map(TrailReader(self._workspace.tools.ledger).entry, recent)

    def checkpoints(self) -> list[Checkpoint]:
        """The checkpoints that the home keeps, oldest first; StorageError if they can't be read."""
        self._workspace.require(Permission.READ)
        return [each.checkpoint for each in self._kept.read()]

    def export(self, *, since: float | None = None) -> Iterator[ExportedEvent]:
        """All events of this workflow in order, each with its digest as a leaf of checkpoints' trees.

        Who exports them is recorded first, as the last of them.
        """
        self._workspace.note_action(Permission.EXPORT_AUDIT, "all events")
        return self._exported(since)

    def _exported(self, since: float | None) -> Iterator[ExportedEvent]:
        facts = self._workspace.tools.ledger.events()
        entries = {entry.seq: entry for entry in audit_entries(facts, TrailFilter(since=since))}
        for event in self._read():
            if isinstance(event, str):
                raise StorageError(f"{event}: `tidemill audit verify` says what was changed")
            if event.seq in entries:
                yield ExportedEvent(entry=entries[event.seq], leaf=event.leaf.hex())

    def prove(self, subject: str) -> EventProof:
        """Prove that an event is in the last checkpoint; `subject` is its number, or the id of a decision.

        UsageError for an unknown one, and for one that no checkpoint has yet.
        """
        self._workspace.require(Permission.READ)
        self._require_ledger()
        seq = int(subject) if subject.isdecimal() else self._decision(subject)
        known = self._kept.read()
        if not known or known[-1].checkpoint.size < seq:
            raise UsageError(
                f"event {seq} is in no checkpoint yet: `tidemill audit checkpoint` makes one"
            )
        leaves: list[bytes] = []
        found: ChainedEvent | None = None
        for event in self._read():
            if isinstance(event, str):
                raise UsageError(f"{event}: `tidemill audit verify` says what was changed")
            leaves.append(event.leaf)
            found = event if event.seq == seq else found
        if found is None or found.seq > len(leaves):
            raise UsageError(
                f"there is no event {seq}: the ledger has {plural(len(leaves), 'event')}"
            )
        return prove_event(found, leaves, known[-1].checkpoint, read_people(self._path))

    def _decision(self, id: str) -> int:
        facts = self._workspace.tools.ledger.events(
            kinds=("PolicyDecided", "ReviewOpened", "Waived", "Decided", "RunStarted")
        )
        found = [fact.seq for fact in facts if _decision_id(fact) == id]
        if not found:
            raise UsageError(
                f"there is no decision {id!r}: name the id of a policy decision, a review, a waiver, a run, "
                "the subject of a decision of gates, or an event's number, as `tidemill audit show` does"
            )
        return found[-1]

    def _read(self, after: int = 0, link: bytes | None = None) -> Iterator[ChainedEvent | str]:
        # Opening it brings an older ledger up to date.
        self._require_ledger()
        return read_chain(self._path, after, link)

    def _require_ledger(self) -> None:
        require_ledger(self._workspace.settings)
        _ = self._workspace.tools.ledger

    def _maker(self) -> CheckpointMaker:
        return CheckpointMaker(
            kept=self._kept,
            places=self._places(),
            load_key=self._load_key,
            read=self._read,
        )

    def _load_key(self) -> SigningKey:
        path, home = self._file(self._settings.key), self._workspace.home
        found: SigningKey = _signing_keys().load_signing_key(path, home)
        return found

    def _places(self) -> list[CheckpointPlace]:
        found: list[CheckpointPlace] = []
        if self._settings.file:
            found.append(CheckpointFile(self._outside(self._settings.file)))
        if self._settings.git:
            found.append(GitTags(self._file(self._settings.git)))
        if self._settings.command:
            found.append(CheckpointCommand(self._settings.command))
        return found

    def _outside(self, name: str) -> Path:
        path = self._file(name).resolve()
        if path.is_relative_to(self._workspace.home.resolve()):
            raise UsageError(
                f"[tool.tidemill.audit] file = {name!r} lies in the project's home: whoever can change the "
                "ledger could change it too; name a file elsewhere"
            )
        return path

    def _file(self, name: str) -> Path:
        return self._workspace.root / Path(name).expanduser()

    def _signature_fault(
        self,
        keys: Sequence[str | Path],
        sources: Sequence[CheckpointSource],
        *,
        signatures: bool,
    ) -> tuple[SignatureFault, tuple[str, ...]]:
        """What verifies signatures, and notes on what it doesn't verify."""
        if not signatures:
            return _accept, ("signatures were not verified",)
        if not any(source.lines for source in sources):
            return _accept, ()
        paths = [Path(key) for key in keys] or [self._file(name) for name in self._public_keys()]
        if not paths:
            raise UsageError(
                "there are checkpoints, but no public key to verify their signatures: name one with --key, "
                "or leave signatures out with --no-signatures"
            )
        return signature_check(paths), ()

    def _public_keys(self) -> tuple[str, ...]:
        if self._settings.keys:
            return self._settings.keys
        return (f"{self._settings.key}.pub",) if self._settings.key else ()


def signature_check(paths: Sequence[Path]) -> SignatureFault:
    """What says whether one of the public keys in these files signed a checkpoint; UsageError for others."""
    known: dict[str, PublicKey] = {
        key.id: key for key in map(_signing_keys().load_public_key, paths)
    }

    def find_fault(checkpoint: Checkpoint) -> str:
        key = known.get(checkpoint.key)
        if key is None:
            return (
                f"it was signed with the key {checkpoint.key[:16]}, which isn't a known one: after a change "
                "of keys, name the old public key as well, with keys in [tool.tidemill.audit] or --key"
            )
        if not key.verifies(checkpoint.signature, checkpoint.message):
            return "its signature isn't that of its key: somebody changed it"
        return ""

    return find_fault


def check_proof(path: str | Path, keys: Sequence[str | Path]) -> tuple[str, EventProof]:
    """Read a proof, and verify it with public keys and without a ledger; say what is wrong with it, or "".

    UsageError if a file isn't a proof or a key.
    """
    try:
        proof = parse_proof(Path(path).read_bytes(), str(path))
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror or error}") from error
    return proof.fault or signature_check([Path(key) for key in keys])(proof.checkpoint), proof


def _signing_keys() -> Any:
    """The module of keys; only signatures need the library that it imports."""
    return import_module("tidemill.governance.io.signing_keys")


def _accept(_: Checkpoint) -> str:
    return ""


def _existing(path: Path) -> CheckpointSource:
    if not path.exists():
        raise UsageError(f"there is no file {path} with checkpoints")
    return read_file(path, str(path))


def _decision_id(fact: RecordedEvent) -> str:
    event = fact.event
    match event:
        case PolicyDecided():
            return event.decision.id
        case ReviewOpened():
            return event.review.id
        case Waived():
            return event.waiver.id
    decision = getattr(event, "decision", None)
    return str(decision.subject if decision is not None else getattr(event, "run", ""))
