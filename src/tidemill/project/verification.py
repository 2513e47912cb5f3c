"""Verify what a project has stored: its ledger, its objects, and the files that it delivered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tidemill.adapters.sqlite import integrity
from tidemill.adapters.sqlite.event_files import FoundEvents, export_events, import_events
from tidemill.adapters.sqlite.people import add_people, find_people_faults
from tidemill.adapters.sqlite.replacement import LockedLedger, lock_ledger
from tidemill.core.counts import are, listed, plural
from tidemill.core.errors import StorageError, TidemillError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.permissions import Permission
from tidemill.ledger.delivery import Effect
from tidemill.ledger.workflow_scope import split_name, workflow_prefix
from tidemill.memos.io.segments import SegmentIndex, damaged_segments
from tidemill.planning.request import Request
from tidemill.ports.artifacts import Artifacts
from tidemill.ports.ledger import Ledger, State
from tidemill.project.composition import memo_spaces
from tidemill.project.delivered_tables import DeliveredTables
from tidemill.project.home_ledger import require_ledger
from tidemill.project.runs import Runs
from tidemill.project.shared_verification import find_server_damage, remake_copy
from tidemill.project.workflow_ledger import WorkflowLedger
from tidemill.project.workspace import Workspace
from tidemill.store.verification import verify_object
from tidemill.workflow.environment import PRODUCTION

LEDGER = "ledger.db"
_UNUSED = "no published partition"


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFault:
    """Something stored that isn't as it was stored: of which `kind`, where, and what is wrong.

    `kind` is "ledger", "people", "object", "memo" or "delivery"; `object` is the name of a stored object.
    """

    kind: str
    place: str
    message: str
    object: str = ""
    repaired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was verified (how many of each kind), what is wrong, and what can't be verified."""

    checked: Mapping[str, int]
    problems: tuple[StorageFault, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong any more."""
        return all(problem.repaired for problem in self.problems)


class StoredState:
    """Verifies and repairs all that a workspace stored, in every environment."""

    def __init__(self, workspace: Workspace, runs: Runs) -> None:
        self._workspace = workspace
        self._runs = runs

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self._workspace.home / LEDGER

    def verify(self, *, deep: bool = False, repair: bool = False) -> Verification:
        """Verify everything, with `deep` by SHA-256; with `repair` put right what can be.

        A ledger whose events are intact is rebuilt, damaged objects are computed by a run, and files are
        delivered again. AccessError if the actor may not.
        """
        self._workspace.require(Permission.REPAIR if repair else Permission.READ)
        checked = {"events": 0, "objects": 0, "memos": 0, "deliveries": 0}
        problems = self._ledger_problems(repair=repair)
        if any(not problem.repaired for problem in problems):
            # What a damaged ledger says about all else isn't what was recorded.
            return Verification(checked=checked, problems=tuple(problems))
        problems += self._people_problems()
        states = self._states()
        checked["events"] = max((state.seq for state in states), default=0)
        problems += self._objects(states, checked, deep=deep)
        if repair and any(problem.kind == "object" for problem in problems):
            problems = self._repair_objects(problems)
        problems += self._memos(checked, repair=repair)
        notes: list[str] = []
        problems += self._deliveries(checked, notes, repair=repair)
        if count := sum(problem.repaired for problem in problems):
            repaired = f"{plural(count, 'fault')} repaired"
            self._workspace.note_action(Permission.REPAIR, "home", repaired)
        return Verification(checked=checked, problems=tuple(problems), notes=tuple(notes))

    def export(self, target: Path) -> tuple[int, list[int]]:
        """Write the events of the ledger as JSON lines; return how many, and the damaged ones."""
        space = self._workspace
        space.require(Permission.MANAGE_LEDGER)
        ledger = self._existing_ledger()
        # Whatever other machines recorded comes with opening it.
        _ = space.tools
        space.note_action(Permission.MANAGE_LEDGER, f"{LEDGER} to {target}", "exported")
        return export_events(ledger, target)

    def rebuild(self, source: Path | None = None, *, skip_damaged: bool = False) -> Rebuilt:
        """Make the ledger anew from its events, or from exported ones; the old file is kept.

        StorageError if events are damaged or missing, unless `skip_damaged`. ConflictError if a run is
        active or another process has the ledger open.
        """
        settings = self._workspace.settings
        self._workspace.require(Permission.MANAGE_LEDGER)
        if settings.home_url:
            raise UsageError(
                "the events of this home are in PostgreSQL, and what each machine derives from them is made "
                f"anew when {self.ledger} is deleted: restore lost events from a backup of the database"
            )
        if source is None:
            self._existing_ledger()
        self._workspace.close()
        # What is recorded meanwhile would be lost.
        with lock_ledger(self.ledger) as old:
            read = _own_events(old) if source is None else import_events(source)
            last = max((event.seq for event in read.events), default=0)
            newer = max(old.last_event() - last, 0) if source is not None else 0
            if read.faults and not skip_damaged:
                raise _incomplete(source, read.faults, old.last_event())
            new = self.ledger.with_name(f"{LEDGER}.new")
            for tail in ("", "-wal", "-shm"):
                Path(f"{new}{tail}").unlink(missing_ok=True)
            left_out = integrity.rebuild_from(read.events, new, is_complete=not read.faults)
            add_people(new, read.people)
            kept = old.replace(new, f"before-{time.strftime('%Y%m%d-%H%M%S')}")
        self._workspace.note_action(
            Permission.MANAGE_LEDGER, LEDGER, f"rebuilt; {kept.name} is kept"
        )
        return Rebuilt(
            events=len(read.events) - left_out,
            left_out=left_out + read.lost,
            newer=newer,
            kept=kept,
        )

    def _existing_ledger(self) -> Path:
        require_ledger(self._workspace.settings)
        return self.ledger

    def _ledger_problems(self, *, repair: bool) -> list[StorageFault]:
        found = self._find_damage()
        problems = [StorageFault(kind="ledger", place=LEDGER, message=text) for text in found]
        if self._workspace.settings.home_url:
            return self._shared_problems(problems, repair=repair)
        # A rebuilt ledger has a new chain, which would hide that events were changed.
        if problems and repair and not integrity.find_chain_fault(self.ledger):
            try:
                self.rebuild()
            except TidemillError as error:
                problems.append(StorageFault(kind="ledger", place=LEDGER, message=str(error)))
            else:
                # Nothing else has the names of people.
                left = {*integrity.find_damage(self.ledger)}
                problems = [replace(each, repaired=each.message not in left) for each in problems]
        return problems

    def _shared_problems(self, problems: list[StorageFault], *, repair: bool) -> list[StorageFault]:
        """The problems of this machine's copy, and of what the server has."""
        settings = self._workspace.settings
        there = [
            StorageFault(kind="ledger", place="PostgreSQL", message=text)
            for text in find_server_damage(settings)
        ]
        if problems and repair and not there:
            self._workspace.close()
            remake_copy(settings)
            problems = [replace(each, repaired=True) for each in problems]
        return [*problems, *there]

    def _find_damage(self) -> list[str]:
        """Describe what is wrong with the ledger, which is upgraded before, as by any command."""
        try:
            integrity.upgrade(self.ledger)
        except StorageError:
            # It may be damaged.
            if found := integrity.find_damage(self.ledger):
                return found
            raise
        return integrity.find_damage(self.ledger)

    def _people_problems(self) -> Iterator[StorageFault]:
        if self.ledger.exists():
            for text in find_people_faults(self.ledger):
                yield StorageFault(kind="people", place="people", message=text)

    def _states(self) -> list[State]:
        """The states of all recorded environments, those of this workflow first.

        Workflows that share a home share its objects.
        """
        ledger = self._shared_ledger()
        names = {PRODUCTION, *ledger.state(PRODUCTION).environments}

        def rank(recorded: str) -> tuple[bool, bool, str]:
            prefix, name = split_name(recorded)
            return prefix not in (self._prefix, ""), name != PRODUCTION, recorded

        return [ledger.state(name, whole=True) for name in sorted(names, key=rank)]

    def _shared_ledger(self) -> Ledger:
        ledger = self._workspace.tools.ledger
        return ledger.shared if isinstance(ledger, WorkflowLedger) else ledger

    @property
    def _prefix(self) -> str:
        return workflow_prefix(self._workspace.declared.name)

    def _objects(
        self, states: list[State], checked: dict[str, int], *, deep: bool
    ) -> Iterator[StorageFault]:
        artifacts, used = self._workspace.tools.artifacts, _used_objects(states, self._prefix)
        stored = sorted(artifacts.names())
        for name in stored:
            checked["objects"] += 1
            try:
                # Copies of this machine say nothing about what a store elsewhere has.
                if deep or self._workspace.settings.artifacts:
                    artifacts.get(name)
                else:
                    verify_object(artifacts, name)
            except StorageError as error:
                place = used.get(name, _UNUSED)
                yield StorageFault(kind="object", place=place, message=str(error), object=name)
        for name in sorted(used.keys() - {*stored}):
            try:
                # The store remembers that it is missing, so that the next plan has it computed.
                artifacts.get(name)
            except StorageError as error:
                yield StorageFault(kind="object", place=used[name], message=str(error), object=name)

    def _repair_objects(self, problems: list[StorageFault]) -> list[StorageFault]:
        """Have a run compute damaged objects, and remove those that nothing uses.

        What only another environment or workflow uses stays damaged until that is run.
        """
        artifacts = self._workspace.tools.artifacts
        self._runs.run(Request(), command="tidemill verify --repair", wait_s=None)
        damaged = {problem.object for problem in problems if problem.object}
        lost = {name for name in damaged if not _is_usable(artifacts, name)}
        # The states are read last: what a run has bound meanwhile is used.
        used = _used_objects(self._states(), self._prefix)
        artifacts.remove(sorted(lost - used.keys()))
        return [
            replace(problem, repaired=problem.object not in lost & used.keys())
            if problem.object
            else problem
            for problem in problems
        ]

    def _memos(self, checked: dict[str, int], *, repair: bool) -> Iterator[StorageFault]:
        """Verify the segments of memos and of the partials of folds."""
        # Importing them takes Polars.

        memos = self._workspace.tools.memos
        for space in memo_spaces(memos):
            checked["memos"] += len(memos.segments(space))
            for path in damaged_segments(memos, space):
                message = f"{path} is damaged; what it holds is computed again when it is needed"
                yield StorageFault(kind="memo", place=space, message=message, repaired=repair)
            if repair:
                SegmentIndex(memos, space).refresh()

    def _deliveries(
        self, checked: dict[str, int], notes: list[str], *, repair: bool
    ) -> Iterator[StorageFault]:
        """Compare every delivered partition with what was delivered there last."""
        tables = DeliveredTables(self._workspace)
        unread: Counter[str] = Counter()
        for effect, detail in tables.last_effects():
            message = tables.find_fault(effect, detail)
            if message is None:
                unread[effect.stage] += 1
                continue
            checked["deliveries"] += 1
            if message:
                problem = StorageFault(
                    kind="delivery", place=f"{effect.stage} {effect.partition}", message=message
                )
                yield self._deliver_again(tables, problem, effect) if repair else problem
        notes += [
            f"{name}: {plural(count, 'delivery')} can't be verified, because its sink can't be read"
            for name, count in sorted(unread.items())
        ]

    def _deliver_again(
        self, tables: DeliveredTables, problem: StorageFault, effect: Effect
    ) -> StorageFault:
        error = tables.deliver_again(effect)
        if error:
            return replace(problem, message=f"{problem.message}; {error}")
        return replace(problem, repaired=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A rebuilt ledger: its events, how many were left out, and where the old file is.

    `newer` is how many events the old ledger had after the last one of the file that it was rebuilt from.
    """

    events: int
    left_out: int
    newer: int
    kept: Path


def _own_events(ledger: LockedLedger) -> FoundEvents:
    events, damaged = ledger.read_events()
    faults = (f"{are(len(damaged), 'event')} damaged ({listed(damaged)})",) if damaged else ()
    return FoundEvents(events=events, faults=faults, lost=len(damaged))


def _incomplete(source: Path | None, faults: Sequence[str], events: int) -> StorageError:
    problem, advice = "; ".join(faults), "restore a backup of the ledger"
    if source is not None:
        problem, advice = f"{source} is not a complete export: {problem}", "use a complete one"
        if events:
            problem += f" (the ledger that it would replace has {plural(events, 'event')})"
    return StorageError(
        f"{problem}: {advice}, or leave the events out with --skip-damaged; then what they recorded "
        "(published partitions, rulings, decisions) is unknown, and is computed or asked for again"
    )


def _is_usable(artifacts: Artifacts, name: str) -> bool:
    try:
        verify_object(artifacts, name)
    except StorageError:
        return False
    return True


def _used_objects(states: list[State], own: str) -> dict[str, str]:
    """Map each object that an environment uses to what it belongs to, such as a stage and partition.

    `own` is the prefix of the environments of this workflow.
    """
    used: dict[str, str] = {}
    for state in states:
        tail = _environment_text(state.environment, own)
        for name, place in (*_published(state), *_pinned(state)):
            used.setdefault(name, place + tail)
    return used


def _environment_text(recorded: str, own: str) -> str:
    """Name the environment of a partition; empty for this workflow's production."""
    prefix, name = split_name(recorded)
    if prefix not in (own, ""):
        return f" in {name} of the workflow {prefix.rstrip('/')}"
    return "" if name == PRODUCTION else f" in {name}"


def _published(state: State) -> Iterator[tuple[str, str]]:
    for stage, head in state.heads.items():
        for partition, binding in head.partitions.items():
            for name in binding.product.all_objects:
                yield name, f"{stage} {partition}".strip()


def _pinned(state: State) -> Iterator[tuple[str, str]]:
    """Objects that are needed although no partition has them."""
    for live in state.live.values():
        yield from ((name, f"live model {live.name}") for name in live.artifact.all_objects)
    for effect in state.pending_effects:
        if effect.object:
            yield effect.object, f"{effect.stage} {effect.partition}"
    for stage, rulings in state.rulings.items():
        for name in (n for several in rulings.values() for r in several for n in r.pinned_objects):
            yield name, f"a ruling on {stage}, which needs it from a backup"
    for stage, files in state.sources.items():
        # The digest of pulled rows is the name of the object that has them.
        for file in files.values():
            if file.digest.endswith(".parquet"):
                yield file.digest, f"rows pulled by {stage}"
