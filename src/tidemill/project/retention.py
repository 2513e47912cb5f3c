"""Remove what nothing needs any more, say what keeps the rest, and pin what must stay."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tidemill.adapters.files.memos import FileMemos
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.adapters.sqlite.scratch_folder import clear_scratch_folders
from tidemill.core.errors import ConflictError, UnknownNameError, UsageError
from tidemill.core.fingerprint import is_object_name
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.recorded_reason import checked_note, checked_reason
from tidemill.environments.io.environments import Environments, forget_stages
from tidemill.governance.permissions import Permission
from tidemill.ledger.compaction_report import CompactionReport, CompactionTerms
from tidemill.ledger.garbage import ObjectUse, SupersededResult
from tidemill.ledger.io.lease_holder import this_process
from tidemill.ledger.retention_events import (
    DataPinned,
    DataUnpinned,
    StagesUndeclared,
    SweepMarked,
)
from tidemill.ledger.retention_settings import RetentionSettings
from tidemill.ledger.workflow_scope import split_name
from tidemill.operations.io.sweeper import Sweeper, SweepTools
from tidemill.operations.retention import Pin, RetentionFacts, RetentionPolicy, undeclared_since
from tidemill.operations.shared_retention import SETTLING, RecordedSettings, SharedRetention
from tidemill.operations.swept import LastSweep, SweepReport
from tidemill.ports.ledger import Ledger, State
from tidemill.ports.upkeep import StoredObjects
from tidemill.project.composition import run_id
from tidemill.project.due_sweep import due_reason, last_sweep, retention_settings, sweep_if_due
from tidemill.project.home_ledger import has_ledger
from tidemill.project.removals import removal_text
from tidemill.project.verification import LEDGER
from tidemill.project.workflow_ledger import (
    WorkflowLedger,
    retention_faults,
    shared_ledger,
)
from tidemill.project.workspace import Workspace
from tidemill.workflow.environment import PRODUCTION
from tidemill.workflow.model import Artifact

_DAY = 86_400.0
_PREFIX = re.compile(r"[0-9a-f]{8,64}(\.[a-z0-9]+)*")
_GOES = "nothing: the next sweep removes it"
_MARKED = "nothing: it is marked, and the next sweep deletes it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """What keeps a result or an object, and since when it is superseded (Unix seconds), if it is."""

    what: str
    kept_by: str
    since: float | None = None


class Retention:
    """The retention of a workspace's home; sweeps cover all workflows that share it."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def sweep(self) -> SweepReport:
        """Drop what expired, and remove what nothing needs; ConflictError if another sweep works.

        AccessError if the actor may not sweep.
        """
        return self._sweep(self._sweeper(self._workspace.require(Permission.SWEEP).name))

    def preview(self) -> SweepReport:
        """Find out what a sweep would remove, and change nothing."""
        space = self._workspace
        space.require(Permission.READ)
        now = space.tools.clock()
        expired = (
            name
            for name, each in space.tools.ledger.state(PRODUCTION).environments.items()
            if each.has_expired(now)
        )
        found = self._sweeper("").preview()
        return replace(
            found,
            environments_dropped=tuple(expired),
            stages_removed=tuple(self._undeclared_too_long()),
            ledger=self._compact("", dry_run=True)[0],
            notes=(*self._faults(), *found.notes),
        )

    def is_due(self, now: float, *, nightly: bool = True) -> str | None:
        """Say why a sweep is due: there is enough garbage, or none was made for a day; else None.

        With `nightly=False` only garbage counts. This is quick.
        """
        return due_reason(self._workspace, now, nightly=nightly)

    def sweep_by_itself(self) -> SweepReport | None:
        """Sweep as if nobody had asked for it; None if another process sweeps."""
        try:
            return self._sweep(self._sweeper(self._workspace.actor.name, by_itself=True))
        except ConflictError:
            return None

    def sweep_if_due(self, *, nightly: bool = True) -> tuple[str, ...]:
        """Sweep if `is_due` says so; return what failed, which fails nothing else."""
        return sweep_if_due(self._workspace, self.sweep_by_itself, nightly=nightly)

    def keepers(self, what: str) -> tuple[Keeper, ...]:
        """Say what keeps an object, or each result of `STAGE` or `STAGE@PARTITION`.

        UsageError for something that isn't known.
        """
        self._workspace.require(Permission.READ)
        policy, _ = self._sweeper("").policy()
        if _PREFIX.fullmatch(what):
            return tuple(self._keepers_of_object(self._object(what), policy))
        stage, _, partition = what.partition("@")
        found = [
            *self._published(stage, partition),
            *self._superseded(stage, partition, policy),
        ]
        if not found:
            self._workspace.known_stage(stage)
            raise UsageError(f"{what} has no stored result")
        return tuple(found)

    def pin(self, target: str, *, reason: str) -> Pin:
        """Keep an object, the results of a run, or those of `STAGE` or `STAGE@PARTITION`, until unpinned."""
        space = self._workspace
        actor = space.require(Permission.PIN_DATA).name
        event = DataPinned(
            environment=space.environment,
            pin=secrets.token_hex(4),
            target=self._checked_target(target),
            actor=actor,
            reason=checked_reason(reason, "a pin"),
        )
        now = space.tools.clock()
        space.tools.ledger.append([event], now=now)
        return Pin(id=event.pin, target=event.target, reason=event.reason, actor=actor, at=now)

    def unpin(self, pin: str, *, reason: str = "") -> Pin:
        """Remove a pin by its id, or by what it pins; UsageError if there is none."""
        space = self._workspace
        actor = space.require(Permission.UNPIN_DATA).name
        found = [each for each in self.pins() if pin in (each.id, each.target)]
        if not found:
            raise UnknownNameError(f"there is no pin {pin!r}; `tidemill sweep pins` lists them")
        events = [
            DataUnpinned(
                environment=space.environment,
                pin=each.id,
                actor=actor,
                reason=checked_note(reason, "reason"),
            )
            for each in found
        ]
        space.tools.ledger.append(events, now=space.tools.clock())
        return found[0]

    def pins(self) -> tuple[Pin, ...]:
        """The pins in force, oldest first."""
        self._workspace.require(Permission.READ)
        facts = RetentionFacts()
        for fact in self._ledger().events(kinds=(DataPinned.__name__, DataUnpinned.__name__)):
            facts.add(fact)
        return tuple(facts.pins.values())

    def last_sweep(self) -> LastSweep | None:
        """The last sweep that ended, of any workflow in the home."""
        return last_sweep(self._workspace)

    def keeps_all(self) -> bool:
        """Whether any workflow of the home keeps everything, so that nothing may be compacted either."""
        recorded, ledger = RecordedSettings(), self._ledger()
        for fact in ledger.events(kinds=SETTLING):
            recorded.add(fact.event)
        return SharedRetention(
            own=self.settings,
            prefix=self._prefix,
            recorded=recorded,
            environments=ledger.state("").environments,
        ).keeps_all

    @property
    def settings(self) -> RetentionSettings:
        """How long things are kept, by the settings and by what the ledger knows of the workflow."""
        return retention_settings(self._workspace)

    def _faults(self) -> list[str]:
        space = self._workspace
        found = retention_faults(space.settings, space.declared.names, space.tools.ledger)
        return [str(fault) for fault in found]

    def _sweep(self, sweeper: Sweeper) -> SweepReport:
        space, actor = self._workspace, sweeper.actor
        # Each day, the first sweep looks at the whole ledger.
        goes_on = self._last_sweep() // _DAY == space.tools.clock() // _DAY
        notes = self._faults()
        if isinstance(space.tools.ledger, WorkflowLedger):
            space.tools.ledger.declare_retention(now=space.tools.clock())
        dropped = Environments(space.tools, space.options).drop(expired=True, actor=actor)
        removed = self._forget_undeclared(notes)
        report = sweeper.sweep(run_id())
        clear_scratch_folders(space.home / LEDGER)
        if isinstance(space.tools.ledger, WorkflowLedger):
            space.tools.ledger.has_appended = True
        saved, more = self._compact(actor, goes_on=goes_on and sweeper.by_itself)
        return replace(
            report,
            environments_dropped=dropped.dropped,
            stages_removed=tuple(removed),
            ledger=saved,
            notes=(*notes, *report.notes, *more),
        )

    def _compact(
        self, actor: str, *, goes_on: bool = False, dry_run: bool = False
    ) -> tuple[int, tuple[str, ...]]:
        """Compact the ledger, whose old events may need less now; return the bytes saved, and notes."""
        space = self._workspace
        if self.keeps_all() or not has_ledger(space.settings):
            return 0, ()
        found = compact_ledger(space, actor, goes_on=goes_on, dry_run=dry_run)
        if dry_run:
            return max(found.bytes_before - found.bytes_after, 0), ()
        return max(found.file_before - found.file_after, 0), found.notes

    def _undeclared_too_long(self) -> Iterator[str]:
        """The stages of the environment that weren't declared for as long as results are kept."""
        space, settings = self._workspace, self.settings
        state, now = space.preview_state(), space.tools.clock()
        since = self._undeclared_since()
        pins = {pin.place[0] for pin in self.pins()}
        for stage in space.undeclared(state):
            span = settings.span(stage)
            if stage not in since or span is None or settings.is_held(stage) or stage in pins:
                continue
            if since[stage] + max(span, settings.grace) <= now:
                yield stage

    def _undeclared_since(self) -> Mapping[str, float]:
        space = self._workspace
        facts = space.tools.ledger.events(kinds=(StagesUndeclared.__name__,))
        return undeclared_since(facts, space.environment)

    def _forget_undeclared(self, notes: list[str]) -> list[str]:
        """Remove what stages published that aren't declared for long, and note the others."""
        space = self._workspace
        if self.settings.hold:
            return []
        found = [*self._undeclared_too_long()]
        if found:
            try:
                forget_stages(space.tools, space.environment, found)
            except ConflictError as error:
                notes.append(str(error))
                found = []
        state, tools = space.preview_state(), space.tools
        left = tuple(space.undeclared(state))
        if {*left} != {*self._undeclared_since()}:
            event = StagesUndeclared(environment=space.environment, stages=left)
            tools.ledger.append([event], now=tools.clock())
        return found

    @property
    def _prefix(self) -> str:
        """What the names of the workflow's environments begin with."""
        ledger = self._workspace.tools.ledger
        return ledger.prefix if isinstance(ledger, WorkflowLedger) else ""

    def _sweeper(self, actor: str, *, by_itself: bool = False) -> Sweeper:
        space = self._workspace
        tools, ledger = space.tools, self._ledger()
        artifacts, memos = tools.artifacts, tools.memos
        assert isinstance(artifacts, StoredObjects)
        assert isinstance(memos, FileMemos)
        garbage = ledger.garbage
        return Sweeper(
            SweepTools(
                ledger=ledger,
                facts=garbage,
                removal=garbage,
                objects=artifacts,
                memos=memos,
                logs=tools.logs,
                clock=tools.clock,
                parents=lambda: frozenset(_parents(ledger)),
            ),
            self.settings,
            this_process("sweep"),
            actor,
            prefix=self._prefix,
            by_itself=by_itself,
        )

    def _ledger(self) -> SqliteLedger:
        ledger = shared_ledger(self._workspace.tools.ledger)
        assert isinstance(ledger, SqliteLedger)
        return ledger

    def _last_sweep(self) -> float:
        found = self.last_sweep()
        return 0.0 if found is None else found.at

    def _object(self, name: str) -> str:
        """The full name of an object that a unique prefix names."""
        if is_object_name(name) and len(name) > 64:
            return name
        found = [each for each in self._workspace.tools.artifacts.names() if each.startswith(name)]
        if not found:
            raise UsageError(f"no stored object begins with {name}")
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} stored objects begin with {name}: name one of them by more digits"
            )
        return found[0]

    def _checked_target(self, target: str) -> str:
        space = self._workspace
        # Text of a script whose variable isn't set.
        if not target or target.endswith("@"):
            raise UsageError(
                f"{target!r} names nothing: pin an object, a run, a STAGE or a STAGE@PARTITION"
            )
        if _PREFIX.fullmatch(target):
            name = self._object(target)
            if space.tools.artifacts.find_missing([name]):
                raise UsageError(f"the object {name} can't be kept: {self._removal(name)}")
            return name
        if next(iter(space.tools.ledger.events(run=target, limit=1)), None) is not None:
            return target
        stage, _, partition = target.partition("@")
        known = space.known_stage(stage)
        if partition and partition not in space.bindings(known.name):
            raise UsageError(
                f"{stage} has no partition {partition!r} now; pin the stage, or one of its objects"
            )
        return target

    def _keeper_of_rest(self, name: str, policy: RetentionPolicy) -> str:
        """What keeps an object that no event needs any more."""
        garbage = self._ledger().garbage
        for mark in garbage.pending_marks():
            for marked in garbage.marked_uses(mark):
                if name in marked.objects:
                    return policy.keeper_of_marked(marked, name) or _MARKED
        if name in policy.needed:
            return policy.needed[name]
        kept = "the grace time, or a source" if garbage.unneeded([name]) else "a pulled source"
        return f"no event needs it: {kept}"

    def _removal(self, name: str) -> str:
        """Why an object isn't stored: the last sweep that removed it, as far as one did."""
        ledger = self._ledger()
        for fact in ledger.events(kinds=(SweepMarked.__name__,), newest=True):
            for marked in ledger.garbage.marked_uses(fact.seq):
                if name in marked.objects:
                    use, when = marked.use, removal_text(fact.at)
                    what = f"{use.stage} {use.partition}".rstrip()
                    return f"{when}, which went with {what}" + (
                        f" of run {use.run}" if use.run else ""
                    )
        return "nothing needs it, and no sweep removed it"

    def _published(self, stage: str, partition: str) -> Iterator[Keeper]:
        """Where results are published, in all environments of the home."""
        ledger = self._ledger()
        for name in ledger.state("").environments:
            head = ledger.state(name).heads.get(stage)
            for key in head.partitions if head is not None else ():
                if key == (partition or key):
                    what, place = f"{stage} {key}".strip(), _own_name(name)
                    yield Keeper(what=what, kept_by=f"published in {place}")

    def _superseded(self, stage: str, partition: str, policy: RetentionPolicy) -> Iterator[Keeper]:
        garbage = self._ledger().garbage
        for result in garbage.superseded_results(policy.now, stage, partition):
            yield _keeper_of(result, policy)

    def _keepers_of_object(self, name: str, policy: RetentionPolicy) -> Iterator[Keeper]:
        garbage = self._ledger().garbage
        uses = garbage.uses(name)
        results = {
            each.event: result
            for stage in {use.stage for use in uses if use.since is not None}
            for result in garbage.superseded_results(policy.now, stage)
            for each in result.uses
        }
        for use in uses:
            if use.event in results:
                yield _keeper_of(results[use.event], policy)
            else:
                yield Keeper(what=_use_text(use), kept_by=_use_keeper(use))
        if not uses:
            is_stored = not self._workspace.tools.artifacts.find_missing([name])
            if not is_stored:
                raise UsageError(f"the object {name} isn't stored: {self._removal(name)}")
            yield Keeper(what=name, kept_by=self._keeper_of_rest(name, policy))


def _parents(ledger: Ledger) -> Iterator[str]:
    """The step keys of versions that published models continue: the same training continues them again."""
    for name in ledger.state("").environments:
        state = ledger.state(name)
        artifacts = [live.artifact for live in state.live.values()]
        artifacts += [artifact for artifact in _models(state) if artifact is not None]
        yield from (each.parent.key for each in artifacts if each.parent is not None)


def _models(state: State) -> Iterator[Artifact | None]:
    for head in state.heads.values():
        # A model has one partition.
        if len(head.partitions) == 1:
            yield next(iter(head.partitions.values())).product.artifact


def _keeper_of(result: SupersededResult, policy: RetentionPolicy) -> Keeper:
    kept = policy.keeper_of_result(result) or _GOES
    newest = result.uses[-1]
    what = f"{newest.stage} {newest.partition}".strip()
    return Keeper(what=f"{what} of run {newest.run}", kept_by=kept, since=result.since)


def _use_text(use: ObjectUse) -> str:
    return f"{use.stage} {use.partition}".strip() or use.kind


def _use_keeper(use: ObjectUse) -> str:
    words = {
        "Published": "published",
        "Computed": "computed",
        "Delivered": "delivery of a model",
        "EffectQueued": "delivered to a table",
        "Ruled": "a ruling on its rows",
        "ReviewPageStored": "the page of a review",
        "ReviewOpened": "rows that a review is about",
    }
    place = f" in {_own_name(use.environment)}" if use.environment else ""
    branch = ", which a branch reads" if use.read_by_branch else ""
    return f"{words.get(use.kind, use.kind)}{place} (event {use.event}){branch}"


def _own_name(recorded: str) -> str:
    return split_name(recorded)[1]


def compact_ledger(
    space: Workspace, actor: str, *, goes_on: bool = False, dry_run: bool = False
) -> CompactionReport:
    """Compact the events that are old enough by the settings; StorageError if the disk is full."""
    terms = CompactionTerms(after_s=space.settings.ledger.compact_after_s, goes_on=goes_on)
    ledger = shared_ledger(space.tools.ledger)
    assert isinstance(ledger, SqliteLedger)
    return ledger.compaction.compact(terms, now=space.tools.clock(), actor=actor, dry_run=dry_run)
