"""Remove what nothing needs any more: mark it in the ledger, delete it, and confirm that.

A sweep that dies leaves marks; the next one deletes what they name. One sweep works at a time.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path

from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.garbage import MarkedEvents
from tidemill.ledger.io.lease_holder import describe_holder, is_dead
from tidemill.ledger.retention_events import SweepConfirmed, SweepMarked
from tidemill.operations.io.old_logs import remove_logs_before
from tidemill.operations.retention import (
    DECIDING,
    KINDS,
    Garbage,
    RetentionFacts,
    RetentionPolicy,
)
from tidemill.operations.retention_settings import RetentionSettings
from tidemill.operations.swept import SweepReport, SweepTally
from tidemill.ports.ledger import Guard, Lease, Ledger
from tidemill.ports.upkeep import (
    Discarded,
    GarbageFacts,
    GarbageRemoval,
    MemoSpaces,
    StoredObjects,
)

LEASE = "sweep"
_LEASE_S = 120.0
# So many events are marked, and so many objects are deleted, in one transaction: others wait for it.
_MARKED_AT_ONCE, _DELETED_AT_ONCE, _LISTED_AT_ONCE = 500, 200, 2_000
_TRIES = 5
_EARLIER = "marked by an earlier sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTools:
    """What a sweep works on; `ledger` is that of all workflows of the home.

    `parents` finds the step keys of versions that published models continue.
    """

    ledger: Ledger
    facts: GarbageFacts
    removal: GarbageRemoval
    objects: StoredObjects
    memos: MemoSpaces
    logs: Path
    clock: Callable[[], float]
    parents: Callable[[], frozenset[str]]


@dataclass(slots=True)
class _Plan:
    """The events that go, by stage and reason, as of events of the kinds that decide.

    `joined` are those that go with the one before.
    """

    groups: dict[tuple[str, str], array[int]] = field(default_factory=dict)
    going: set[int] = field(default_factory=set)
    joined: set[int] = field(default_factory=set)
    as_of: Mapping[str, int] = field(default_factory=dict)
    _group: str = ""

    def add(self, each: Garbage) -> None:
        """Add an event."""
        if each.group and each.group == self._group:
            self.joined.add(each.event)
        self._group = each.group
        self.groups.setdefault((each.stage, each.reason), array("q")).append(each.event)
        self.going.add(each.event)

    def batches(self) -> Iterator[MarkedEvents]:
        """The events that are marked together."""
        for (stage, reason), events in self.groups.items():
            part: list[int] = []
            for event in events:
                if len(part) >= _MARKED_AT_ONCE and event not in self.joined:
                    yield MarkedEvents(stage=stage, reason=reason, events=tuple(part))
                    part = []
                part.append(event)
            yield MarkedEvents(stage=stage, reason=reason, events=tuple(part))


class Sweeper:
    """Sweeps by the settings of a project; `holder` identifies this process, `actor` who started it."""

    def __init__(
        self,
        tools: SweepTools,
        settings: RetentionSettings,
        holder: Mapping[str, str],
        actor: str = "",
    ) -> None:
        self._tools = tools
        self._settings = settings
        self._holder = holder
        self._actor = actor
        self._tally = SweepTally()

    def policy(self) -> tuple[RetentionPolicy, Mapping[str, int]]:
        """The policy as of now, and the last events on which it rests, by kind."""
        tools, facts = self._tools, RetentionFacts(parents=self._tools.parents())
        last = dict.fromkeys(DECIDING, 0)
        for fact in tools.ledger.events(kinds=KINDS):
            facts.add(fact)
            kind = type(fact.event).__name__
            if kind in last:
                last[kind] = fact.seq
        newest: dict[str, int] = {}
        if most := self._settings.most_last:
            newest = {key: rank for _, key, rank in tools.facts.newest_superseded(most)}
        pinned = {
            use.event: pin.id for pin in facts.pins.values() for use in tools.facts.uses(pin.target)
        }
        policy = RetentionPolicy(
            settings=self._settings,
            now=tools.clock(),
            facts=facts,
            newest=newest,
            pinned=pinned,
        )
        return policy, last

    def preview(self) -> SweepReport:
        """Find out what a sweep would remove, and change nothing."""
        plan, policy = self._plan()
        for mark in plan.batches():
            names = [name for name, _ in self._tools.facts.freed_objects(mark.events, plan.going)]
            sizes = self._tools.objects.sizes(names)
            self._tally.add(
                mark.stage, mark.reason, results=len(mark.events), sizes=tuple(sizes.values())
            )
        orphans = [*self._orphans(policy)] if not self._settings.hold else []
        return SweepReport(
            dry_run=True,
            stages=self._tally.stages(),
            orphans=len(orphans),
            orphan_bytes=sum(size for _, size in orphans),
            files=self._files(dry_run=True),
        )

    def sweep(self, sweep: str) -> SweepReport:
        """Remove what nothing needs; `sweep` is its id. ConflictError if another sweep works."""
        with self._lease() as lease:
            work = _Deletion(self._tools, lease, self._tally, self._cutoff())
            orphans = Discarded(sizes={})
            files: Mapping[str, int] = {}
            # A hold also keeps what an earlier sweep marked and didn't delete yet.
            if not self._settings.hold:
                work.finish(_EARLIER)
                policy, _ = self.policy()
                orphans = self._remove_orphans(policy, work)
                files = self._files(dry_run=False)
                self._mark(sweep, work)
            work.confirm(
                SweepConfirmed(
                    sweep=sweep,
                    orphans=len(orphans.sizes),
                    orphan_bytes=sum(orphans.sizes.values()),
                    removed={kind: size for kind, size in files.items() if size},
                    actor=self._actor,
                )
            )
        return SweepReport(
            sweep=sweep,
            stages=self._tally.stages(),
            orphans=len(orphans.sizes),
            orphan_bytes=sum(orphans.sizes.values()),
            files=files,
            waits=tuple(dict.fromkeys(work.waits)),
            failed={**work.failed, **orphans.failed},
        )

    def _plan(self) -> tuple[_Plan, RetentionPolicy]:
        policy, as_of = self.policy()
        plan = _Plan(as_of=as_of)
        if self._settings.hold:
            return plan, policy
        facts, now = self._tools.facts, policy.now
        environments = self._tools.ledger.state("").environments
        found = [*policy.garbage_deliveries(environments), *policy.garbage_reviews()]
        found += policy.garbage_rulings(facts.dropped_rulings())
        kept = facts.needing([each.event for each in found])
        shortest = self._settings.least_span
        before = now - shortest if shortest is not None else -1.0
        for source in (
            (each for each in found if each.event in kept),
            policy.garbage_effects(facts.superseded_effects(now)),
            policy.garbage_results(facts.superseded_results(before)),
        ):
            for each in source:
                plan.add(each)
        return plan, policy

    def _mark(self, sweep: str, work: _Deletion) -> None:
        """Mark what goes, part by part, and delete it; plan again if something was decided meanwhile."""
        for _ in range(_TRIES):
            plan, _ = self._plan()
            try:
                for mark in plan.batches():
                    self._mark_batch(sweep, mark, plan, work)
            except _DecidedMeanwhileError:
                continue
            return
        raise ConflictError("what must be kept was decided on again and again: sweep later")

    def _mark_batch(self, sweep: str, mark: MarkedEvents, plan: _Plan, work: _Deletion) -> None:
        tools = self._tools
        stages = dict.fromkeys(
            (name for name, _ in tools.facts.freed_objects(mark.events, plan.going)), mark.stage
        )
        work.renew()
        event = SweepMarked(sweep=sweep, marks=(mark,), actor=self._actor)
        guard = Guard(lease=work.lease, unchanged=plan.as_of)
        try:
            seq = tools.ledger.append([event], now=tools.clock(), guard=guard)
        except ConflictError as error:
            work.renew(always=True)
            raise _DecidedMeanwhileError from error
        self._tally.add(mark.stage, mark.reason, results=len(mark.events))
        work.remove(seq, mark.reason, stages)

    def _orphans(self, policy: RetentionPolicy) -> Iterator[tuple[str, int]]:
        """Objects that were stored and never recorded, with their sizes."""
        cutoff = self._cutoff()
        pinned = {pin.target for pin in policy.facts.pins.values()}
        stored = (
            each
            for each in self._tools.objects.stored()
            if each.written < cutoff and each.name not in pinned
        )
        while part := {each.name: each.bytes for each in islice(stored, _LISTED_AT_ONCE)}:
            for name in self._tools.facts.unneeded([*part]):
                yield name, part[name]

    def _remove_orphans(self, policy: RetentionPolicy, work: _Deletion) -> Discarded:
        sizes: dict[str, int] = {}
        failed: dict[str, str] = {}
        orphans = self._orphans(policy)
        while part := [name for name, _ in islice(orphans, _DELETED_AT_ONCE)]:
            done = work.remove_unneeded(part)
            sizes |= done.sizes
            failed |= done.failed
        return Discarded(sizes=sizes, failed=failed)

    def _cutoff(self) -> float:
        """What was stored since then may be bound soon: by a run that is active, or within the grace time."""
        now = self._tools.clock()
        oldest = self._tools.removal.oldest_run(now)
        cutoff = now - self._settings.grace
        return cutoff if oldest is None else min(cutoff, oldest)

    def _files(self, *, dry_run: bool) -> dict[str, int]:
        """Remove, or only measure, temporary files, old logs and unused memos; return bytes by kind."""
        if self._settings.hold:
            return {}
        tools, settings, now = self._tools, self._settings, self._tools.clock()
        found = {
            "temporary": tools.objects.remove_leftovers(self._cutoff(), dry_run=dry_run),
            "logs": 0,
            "memos": 0,
        }
        if settings.logs is not None:
            found["logs"] = remove_logs_before(tools.logs, now - settings.logs, dry_run=dry_run)
        if settings.memos is not None:
            before = now - settings.memos
            for space, size in tools.memos.unused_spaces(before).items():
                found["memos"] += size if dry_run else tools.memos.drop_space(space, before)
        return found

    @contextmanager
    def _lease(self) -> Iterator[Lease]:
        tools = self._tools
        try:
            lease = tools.ledger.acquire(
                LEASE, self._holder, now=tools.clock(), ttl=_LEASE_S, dead=is_dead
            )
        except ConflictError as error:
            who = describe_holder(error.holder or {})
            raise ConflictError(
                f"another sweep works: {who}; wait for it to end", holder=error.holder
            ) from error
        try:
            yield lease
        finally:
            tools.ledger.release(lease)


class _DecidedMeanwhileError(Exception):
    """A pin, a review, a delivery or a rollout was recorded after the plan was made."""


class _Deletion:
    """Deletes what is marked, under the lease of a sweep."""

    def __init__(self, tools: SweepTools, lease: Lease, tally: SweepTally, cutoff: float) -> None:
        self._tools = tools
        self.lease = lease
        self._tally = tally
        self._discard = partial(tools.objects.discard, before=cutoff)
        self._renewed = tools.clock()
        self._done: list[int] = []
        self.waits: list[str] = []
        self.failed: dict[str, str] = {}

    def renew(self, *, always: bool = False) -> None:
        """Keep the lease; ConflictError if it is lost."""
        now = self._tools.clock()
        if always or not 0 <= now - self._renewed < _LEASE_S / 3:
            self.lease = self._tools.ledger.renew(self.lease, now=now, ttl=_LEASE_S)
            self._renewed = now

    def finish(self, reason: str) -> None:
        """Delete what earlier sweeps marked."""
        for mark in self._tools.removal.pending_marks():
            self.remove(mark, reason, {})

    def remove(self, mark: int, reason: str, stages: Mapping[str, str]) -> None:
        """Delete the objects of a mark, unless a run may still bind them."""
        if waits := self._tools.removal.waiting_for(mark, self._tools.clock()):
            self.waits.append(waits)
            return
        after, is_whole = "", True
        while True:
            self.renew()
            after, done = self._tools.removal.remove_marked(
                mark, self._discard, lease=self.lease, after=after, limit=_DELETED_AT_ONCE
            )
            self.failed.update(done.failed)
            is_whole = is_whole and not done.failed
            for name, size in done.sizes.items():
                self._tally.add(stages.get(name, ""), reason, sizes=(size,))
            if not after:
                break
        if is_whole:
            self._done.append(mark)

    def remove_unneeded(self, names: Sequence[str]) -> Discarded:
        """Delete objects that were never recorded."""
        self.renew()
        return self._tools.removal.remove_unneeded(names, self._discard, lease=self.lease)

    def confirm(self, event: SweepConfirmed) -> None:
        """Record that the marked objects are deleted, with the counts."""
        stages = self._tally.stages()
        self._tools.ledger.append(
            [
                replace(
                    event,
                    marked=tuple(self._done),
                    objects=sum(each.objects for each in stages),
                    bytes=sum(each.bytes for each in stages),
                    stages=self._tally.bytes_by_stage(),
                )
            ],
            now=self._tools.clock(),
            guard=Guard(lease=self.lease),
        )
        if self.failed and not stages:
            first = next(iter(self.failed.values()))
            raise StorageError(f"nothing could be removed: {first}")
