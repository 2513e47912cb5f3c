"""Remove what nothing needs any more: mark it in the ledger, delete it, and confirm that.

A sweep that dies leaves marks; the next one deletes what they name. One sweep works at a time.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from tidemill.core.counts import plural
from tidemill.core.errors import ConflictError, StorageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.garbage import MarkedEvents
from tidemill.ledger.io.lease_holder import describe_holder, is_dead
from tidemill.ledger.retention_events import SweepConfirmed, SweepMarked
from tidemill.ledger.retention_settings import RetentionSettings
from tidemill.ledger.stored_objects import needed_objects
from tidemill.operations.io.old_logs import remove_logs_before
from tidemill.operations.retention import (
    DECIDING,
    KINDS,
    Garbage,
    RetentionFacts,
    RetentionPolicy,
)
from tidemill.operations.shared_retention import SharedRetention
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
_RESULTS = ("Published", "Computed")
_NOTHING: Mapping[str, str] = MappingProxyType({})


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
    """Sweeps by the settings of a project, and by those that other workflows of its home recorded.

    `prefix` is what the names of its environments begin with. `holder` identifies this process, `actor` who
    started it; nobody did if it sweeps `by_itself`.
    """

    def __init__(
        self,
        tools: SweepTools,
        settings: RetentionSettings,
        holder: Mapping[str, str],
        actor: str = "",
        *,
        prefix: str = "",
        by_itself: bool = False,
    ) -> None:
        self._tools = tools
        self._settings = settings
        self._shared = partial(SharedRetention, own=settings, prefix=prefix, by_itself=by_itself)
        self._holder = holder
        self.actor = actor
        self.by_itself = by_itself
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
        environments = tools.ledger.state("").environments
        settings = self._shared(recorded=facts.declared, environments=environments)
        newest: dict[tuple[str, str, str], int] = {}
        if most := settings.most_last:
            newest = {
                (environment, stage, key): rank
                for environment, stage, key, rank in tools.facts.newest_superseded(most)
            }
        needed = dict(self._needed(facts))
        pinned = {use.event: why for name, why in needed.items() for use in tools.facts.uses(name)}
        policy = RetentionPolicy(
            settings=settings,
            now=tools.clock(),
            facts=facts,
            newest=newest,
            needed=needed,
            pinned=pinned,
        )
        return policy, last

    def _needed(self, facts: RetentionFacts) -> Iterator[tuple[str, str]]:
        """The objects that people pinned, and those that pinned runs and open reviews recorded.

        Under the step key of a run another one may have recorded other objects since.
        """
        for _, review in facts.reviews.values():
            if review.run:
                yield from self._recorded(review.run, review.name, f"open review {review.id}")
        for pin in facts.pins.values():
            yield pin.target, f"pin {pin.id}"
            yield from self._recorded(pin.target, "", f"pin {pin.id}")

    def _recorded(self, run: str, stage: str, why: str) -> Iterator[tuple[str, str]]:
        for fact in self._tools.ledger.events(kinds=_RESULTS, run=run, stage=stage):
            for name in needed_objects(fact.event):
                yield name, why

    def preview(self) -> SweepReport:
        """Find out what a sweep would remove, and change nothing."""
        policy, as_of = self.policy()
        plan = self._plan(policy, as_of)
        for mark in plan.batches():
            names = [name for name, _ in self._tools.facts.freed_objects(mark.events, plan.going)]
            sizes = self._tools.objects.sizes(names)
            self._tally.add(
                mark.stage, mark.reason, results=len(mark.events), sizes=tuple(sizes.values())
            )
        orphans = [*self._orphans(policy)]
        return SweepReport(
            dry_run=True,
            stages=self._tally.stages(),
            orphans=len(orphans),
            orphan_bytes=sum(size for _, size in orphans),
            files=self._files(policy, dry_run=True),
            notes=tuple(policy.settings.notes),
        )

    def sweep(self, sweep: str) -> SweepReport:
        """Remove what nothing needs; `sweep` is its id. ConflictError if another sweep works."""
        with self._lease() as lease:
            work = _Deletion(self._tools, lease, self._tally, self.policy)
            orphans = Discarded(sizes={})
            files: Mapping[str, int] = {}
            # A hold also keeps what an earlier sweep marked and didn't delete yet.
            if not self._settings.hold:
                work.finish(_EARLIER)
                orphans = self._remove_orphans(work)
                files = self._files(work.policy, dry_run=False)
                self._mark(sweep, work)
            work.confirm(
                SweepConfirmed(
                    sweep=sweep,
                    orphans=len(orphans.sizes),
                    orphan_bytes=sum(orphans.sizes.values()),
                    removed={kind: size for kind, size in files.items() if size},
                    actor=self.actor,
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
            notes=(*work.notes(), *work.policy.settings.notes),
        )

    def _plan(self, policy: RetentionPolicy, as_of: Mapping[str, int]) -> _Plan:
        plan = _Plan(as_of=as_of)
        if self._settings.hold:
            return plan
        facts, now = self._tools.facts, policy.now
        environments = self._tools.ledger.state("").environments
        found = [*policy.garbage_deliveries(environments), *policy.garbage_reviews()]
        found += policy.garbage_rulings(facts.dropped_rulings())
        kept = facts.needing([each.event for each in found])
        shortest = policy.settings.least_span
        before = now - shortest if shortest is not None else -1.0
        for source in (
            (each for each in found if each.event in kept),
            policy.garbage_effects(facts.superseded_effects(now)),
            policy.garbage_results(facts.superseded_results(before)),
        ):
            for each in source:
                plan.add(each)
        return plan

    def _mark(self, sweep: str, work: _Deletion) -> None:
        """Mark what goes, part by part, and delete it; plan again if something was decided meanwhile."""
        for _ in range(_TRIES):
            plan = self._plan(*work.decide())
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
        event = SweepMarked(sweep=sweep, marks=(mark,), actor=self.actor)
        guard = Guard(lease=work.lease, unchanged=plan.as_of)
        try:
            seq = tools.ledger.append([event], now=tools.clock(), guard=guard)
        except ConflictError as error:
            work.renew(always=True)
            raise _DecidedMeanwhileError from error
        self._tally.add(mark.stage, mark.reason, results=len(mark.events))
        work.remove(seq, mark.reason, stages)

    def _orphans(self, policy: RetentionPolicy) -> Iterator[tuple[str, int]]:
        """Objects that were stored and never recorded, with their sizes; none while anything is held.

        Whose they are isn't known.
        """
        if policy.settings.keeps_all:
            return
        cutoff = _cutoff(self._tools, policy)
        stored = (
            each
            for each in self._tools.objects.stored()
            if each.written < cutoff and each.name not in policy.needed
        )
        while part := {each.name: each.bytes for each in islice(stored, _LISTED_AT_ONCE)}:
            for name in self._tools.facts.unneeded([*part]):
                yield name, part[name]

    def _remove_orphans(self, work: _Deletion) -> Discarded:
        sizes: dict[str, int] = {}
        failed: dict[str, str] = {}
        orphans = self._orphans(work.policy)
        while part := [name for name, _ in islice(orphans, _DELETED_AT_ONCE)]:
            done = work.remove_unneeded(part)
            sizes |= done.sizes
            failed |= done.failed
        return Discarded(sizes=sizes, failed=failed)

    def _files(self, policy: RetentionPolicy, *, dry_run: bool) -> dict[str, int]:
        """Remove, or only measure, temporary files, old logs and unused memos; return bytes by kind."""
        tools, settings = self._tools, policy.settings
        if settings.keeps_all:
            return {}
        cutoff = _cutoff(tools, policy)
        found = {
            "temporary": tools.objects.remove_leftovers(cutoff, dry_run=dry_run),
            "logs": 0,
            "memos": 0,
        }
        logs = settings.longest(lambda each: each.logs)
        if logs is not None:
            found["logs"] = remove_logs_before(tools.logs, policy.now - logs, dry_run=dry_run)
        memos = settings.longest(lambda each: each.memos)
        if memos is not None:
            before = policy.now - memos
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
    """Deletes what is marked, under the lease of a sweep.

    `policy` is as of what was recorded when somebody last decided to keep something; a transaction in which
    something is deleted fails if that was decided since.
    """

    def __init__(
        self,
        tools: SweepTools,
        lease: Lease,
        tally: SweepTally,
        find_policy: Callable[[], tuple[RetentionPolicy, Mapping[str, int]]],
    ) -> None:
        self._tools = tools
        self.lease = lease
        self._tally = tally
        self._find_policy = find_policy
        self.decide()
        self._renewed = tools.clock()
        self._done: list[int] = []
        self._kept: dict[str, str] = {}
        self.waits: list[str] = []
        self.failed: dict[str, str] = {}

    def decide(self) -> tuple[RetentionPolicy, Mapping[str, int]]:
        """Find the policy anew."""
        self.policy, self._as_of = self._find_policy()
        self._cutoff = _cutoff(self._tools, self.policy)
        return self.policy, self._as_of

    def renew(self, *, always: bool = False) -> None:
        """Keep the lease; ConflictError if it is lost."""
        now = self._tools.clock()
        if always or not 0 <= now - self._renewed < _LEASE_S / 3:
            self.lease = self._tools.ledger.renew(self.lease, now=now, ttl=_LEASE_S)
            self._renewed = now

    def finish(self, reason: str) -> None:
        """Delete what earlier sweeps marked, but for what somebody decided to keep since."""
        for mark in self._tools.removal.pending_marks():
            self.remove(mark, reason, {}, self._kept_of(mark))

    def remove(
        self,
        mark: int,
        reason: str,
        stages: Mapping[str, str],
        kept: Mapping[str, str] = _NOTHING,
    ) -> None:
        """Delete the objects of a mark but for those `kept`, unless a run may still bind them."""
        if waits := self._tools.removal.waiting_for(mark, self._tools.clock()):
            self.waits.append(waits)
            return
        after, is_whole = "", True
        while True:
            self.renew()
            try:
                after, done = self._tools.removal.remove_marked(
                    mark,
                    partial(self._discard, kept),
                    guard=self._guard,
                    after=after,
                    limit=_DELETED_AT_ONCE,
                )
            except ConflictError:
                self._decide_again()
                kept = self._kept_of(mark)
                continue
            self.failed.update(done.failed)
            # What somebody stored lately may be bound soon, and goes later if it isn't.
            is_whole = is_whole and not done.failed and not done.recent
            for name, size in done.sizes.items():
                self._tally.add(stages.get(name, ""), reason, sizes=(size,))
            if not after:
                break
        if is_whole and not kept:
            self._done.append(mark)
        self._kept.update(kept)

    def remove_unneeded(self, names: Sequence[str]) -> Discarded:
        """Delete objects that were never recorded, unless a workflow keeps everything by now."""
        while not self.policy.settings.keeps_all:
            self.renew()
            discard = partial(self._discard, self.policy.needed)
            try:
                return self._tools.removal.remove_unneeded(names, discard, guard=self._guard)
            except ConflictError:
                self._decide_again()
        return Discarded(sizes={})

    @property
    def _guard(self) -> Guard:
        return Guard(lease=self.lease, unchanged=self._as_of)

    def _decide_again(self) -> None:
        self.renew(always=True)
        self.decide()

    def _kept_of(self, mark: int) -> dict[str, str]:
        """The objects of a mark that stay, with what keeps them."""
        return {
            name: kept
            for marked in self._tools.removal.marked_uses(mark)
            for name in marked.objects
            if (kept := self.policy.keeper_of_marked(marked, name))
        }

    def _discard(self, kept: Collection[str], names: Sequence[str]) -> Discarded:
        left = [name for name in names if name not in kept]
        return self._tools.objects.discard(left, before=self._cutoff)

    def notes(self) -> Iterator[str]:
        """What keeps objects that are marked."""
        for why, count in Counter(self._kept.values()).items():
            yield f"{plural(count, 'marked object')} kept: {why}"

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


def _cutoff(tools: SweepTools, policy: RetentionPolicy) -> float:
    """What was stored since then may be bound soon: by a run that is active, or within the grace time."""
    cutoff = policy.now - policy.settings.grace
    oldest = tools.removal.oldest_run(policy.now)
    return cutoff if oldest is None else min(cutoff, oldest)
