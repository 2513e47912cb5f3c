"""A small home with a real ledger and store, in which random things happen beside sweeps."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.adapters.files.memos import FileMemos
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.contracts.row_ruling import Disposition, Ruling
from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.binding import Binding, Product
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import (
    Computed,
    Delivered,
    EffectDone,
    EffectQueued,
    EnvironmentCreated,
    EnvironmentDropped,
    Event,
    Published,
    Removed,
    Ruled,
    RunEnded,
    SourceSeen,
)
from tidemill.ledger.governance_events import ReviewClosed, ReviewOpened, ReviewPageStored
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.retention_events import DataPinned, DataUnpinned, RetentionDeclared
from tidemill.ledger.retention_settings import RetentionSettings, StageRetention
from tidemill.ledger.review import HeldRows, ReviewOutcome
from tidemill.ledger.run import Status
from tidemill.ledger.stored_objects import needed_objects
from tidemill.operations.io.sweeper import Sweeper, SweepTools
from tidemill.operations.swept import SweepReport
from tidemill.ports.ledger import Guard, Lease, State
from tidemill.testing import records as samples
from tidemill.workflow.source import SourceFile

HOUR, DAY = 3_600.0, 86_400.0
SETTINGS = RetentionSettings(keep_for=2 * DAY, grace=HOUR, restore_for=3 * DAY, reviews=4 * DAY)
# What the other workflow of the home may say, whose environments begin with "b/"; the last keeps least.
THEIRS = (
    RetentionSettings(keep_for=5 * DAY, grace=HOUR, restore_for=6 * DAY, models=1, keep_last=1),
    RetentionSettings(keep_for=2 * DAY, stages={"a": StageRetention(hold=True)}),
    RetentionSettings(hold=True),
    RetentionSettings(keep_for=HOUR, grace=HOUR, restore_for=HOUR, models=0, reviews=HOUR),
)
SHOP, OTHER = "shop/", "b/"
# The runs that record results, by workflow.
RUNS = {SHOP: ("run-1", "run-2"), OTHER: ("run-3",)}
LONG = 400 * DAY
# Nobody has this process id, so that what it holds counts as held by a process that died.
DEAD = {"host": socket.gethostname(), "pid": str(2**22 + 7), "started": "", "command": "sweep"}


class KilledError(BaseException):
    """Stands for the end of the process at this point."""


class Moments:
    """Calls back between two operations of a sweep, and kills it at one of them."""

    def __init__(self) -> None:
        self.between: Callable[[], None] = lambda: None
        self.left: int | None = None

    def pass_by(self) -> None:
        """Count an operation; KilledError at the last one."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KilledError


class FragileObjects(FileArtifacts):
    """A store whose sweeper may die between any two deletions."""

    moments = Moments()

    def _discard(self, name: str, before: float) -> int | None:
        self.moments.pass_by()
        found = super()._discard(name, before)
        self.moments.pass_by()
        return found


class FragileLedger(SqliteLedger):
    """A ledger whose sweeper may die before or after any append."""

    moments: Moments | None = None

    def append(self, events: Sequence[Event], *, now: float, guard: Guard | None = None) -> int:
        moments, self.moments = self.moments, None
        try:
            if moments is not None:
                moments.pass_by()
                moments.between()
            seq = super().append(events, now=now, guard=guard)
            if moments is not None:
                moments.between()
                moments.pass_by()
        finally:
            self.moments = moments
        return seq


class SweptHome:
    """A home of two workflows, and all that may happen in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1_700_000_000.0
        self.moments = Moments()
        self.ledger = FragileLedger(folder / "ledger.db")
        self.objects = FragileObjects(folder, clock=lambda: self.now)
        self.objects.moments = self.moments
        self.bound_last: dict[tuple[str, str], float] = {}
        # The open reviews by environment.
        self.reviews: dict[str, str] = {}
        # The step keys whose results were kept at some time while a pin was in force, by its target, and the
        # objects that were stored then; also those that a hold keeps, and an open review, by its id.
        self.pinned: dict[str, set[str]] = {}
        self.shown: dict[str, set[str]] = {}
        # What no pin or setting could keep, because it was gone by then.
        self.gone: set[str] = set()
        self.count = 0
        self.settings = {SHOP: SETTINGS, OTHER: THEIRS[0]}
        for prefix, runs in RUNS.items():
            self._append([samples.run_started_event(run, f"{prefix}prod") for run in runs])
            # Of runs that go on, nothing is compacted.
            self._append([RunEnded(run=run, status=Status.OK) for run in runs])
            self.declare(prefix, self.settings[prefix])
        self.publish("shop/prod", "a", "p", 0)

    # What runs and people do.

    def publish(
        self, environment: str, stage: str, partition: str, version: int, *, again: bool = False
    ) -> bool:
        """Bind what a step has under a key, or compute it; False if nothing was published.

        It is computed `again` as if its rows were lost; they may be others then.
        """
        key = f"{stage} {partition} {version}"
        bound = self.ledger.traces([key]).get(key)
        names = bound.product.all_objects if bound is not None else ()
        self.count += 1
        runs = RUNS[OTHER if environment.startswith(OTHER) else SHOP]
        run = runs[self.count % len(runs)]
        if bound is None or again or self.objects.find_missing(names):
            bound = self._compute(key, run, self.count % 3 if again else 0)
        bound = replace(bound, run=run)
        event = Published(environment=environment, stage=stage, partition=partition, binding=bound)
        return self._append([event])

    def _compute(self, key: str, run: str = "run-1", variant: int = 0) -> Binding:
        bad = key.endswith("1")
        payloads = [
            f"rows of {key} {variant}".encode(),
            *([f"bad rows of {key}".encode()] if bad else []),
        ]
        name, *held = self.objects.put_all([(each, ".parquet") for each in payloads])
        product = Product(
            content=f"{key} {variant}",
            objects=(name,),
            quarantine=held[0] if held else None,
            quarantined=len(held),
        )
        return Binding(
            key=key, recipe="r", contract="c", check="c", product=product, run=run, at=self.now
        )

    def compute(self, stage: str, partition: str, version: int) -> None:
        """Record a result that isn't published."""
        bound = self._compute(f"{stage} {partition} {version}")
        self._append([Computed(stage=stage, partition=partition, binding=bound)])

    def declare(self, prefix: str, settings: RetentionSettings) -> None:
        """Say how long a workflow keeps data."""
        event = RetentionDeclared(workflow=prefix.removesuffix("/"), settings=settings)
        if self._append([event]):
            self.settings[prefix] = settings
            self.shown.pop(f"hold {prefix}", None)
            self.note_bound()
            self._note_gone()

    def remove(self, environment: str, stage: str, partition: str) -> None:
        self._append(
            [Removed(environment=environment, stage=stage, partition=partition, run="run-1")]
        )

    def branch(self, name: str, parent: str) -> None:
        self._append([EnvironmentCreated(environment=name, parent=parent)])

    def drop(self, name: str) -> None:
        if self._append([EnvironmentDropped(environment=name)]):
            self.shown.pop(f"review {self.reviews.pop(name, '')}", None)

    def deliver(self, environment: str, version: int) -> None:
        """Make a version of a model live, also an earlier one whose objects are kept."""
        [model] = self.objects.put_all([(f"model {version}".encode(), ".txt")])
        event = samples.delivered_event(environment=environment)
        artifact = replace(event.delivery.artifact, id=f"v{version}", object=model, golden="")
        delivery = replace(event.delivery, artifact=artifact, at=self.now)
        self._append([Delivered(environment=environment, delivery=delivery)])

    def rule(self, environment: str, stage: str, partition: str) -> None:
        """Release the quarantined rows of a partition."""
        held = self.ledger.state(environment).heads.get(stage)
        bound = held.partitions.get(partition) if held is not None else None
        if bound is None or bound.product.quarantine is None:
            return
        ruling = Ruling(
            disposition=Disposition.RELEASE,
            object=bound.product.quarantine,
            key=bound.key,
            actor="ana",
            reason="fine",
            at=self.now,
        )
        self._append(
            [Ruled(environment=environment, stage=stage, partition=partition, ruling=ruling)]
        )

    def write(self, environment: str, stage: str, partition: str, *, done: bool) -> None:
        """Deliver a published partition to a table; it stays queued unless `done`."""
        held = self.ledger.state(environment).heads.get(stage)
        bound = held.partitions.get(partition) if held is not None else None
        if bound is None:
            return
        self.count += 1
        effect = Effect(
            key=f"effect {self.count}",
            stage=stage,
            partition=partition,
            action="write",
            target="out",
            object=bound.product.objects[0],
            at=self.now,
        )
        if self._append([EffectQueued(environment=environment, effect=effect)]) and done:
            self._append([EffectDone(environment=environment, key=effect.key)])

    def review(self, environment: str, *, open_: bool) -> None:
        """Open a review about quarantined rows with a page, or close it."""
        id = self.reviews.get(environment, "")
        if not open_:
            closed = ReviewClosed(
                environment=environment, review=id, outcome=ReviewOutcome.APPROVED
            )
            if id and self._append([closed]):
                del self.reviews[environment]
                self.shown.pop(f"review {id}", None)
            return
        self.count += 1
        page, rows = self.objects.put_all(
            [(f"page {self.count}".encode(), ".json"), (f"held {self.count}".encode(), ".parquet")]
        )
        held = HeldRows(partition="p", object=rows)
        if not id:
            id = f"r{self.count}"
            review = replace(samples.review(id), kind=SubjectKind.RELEASE, name="a", held=held)
            self._append([ReviewOpened(environment=environment, review=review)])
            self.reviews[environment] = id
            self.note_bound()
        # People see a newer page of a review that is open already.
        self._append([ReviewPageStored(environment=environment, review=id, page=page)])

    def pull(self, number: int, *, gone: bool) -> None:
        """Record a batch of pulled rows, or that it is gone."""
        path = f"batch {number:08}"
        if gone:
            self._append([SourceSeen(environment="shop/prod", stage="pulled", gone=(path,))])
            return
        [name] = self.objects.put_all([(f"batch {number}".encode(), ".parquet")])
        file = SourceFile(path=path, size=1, mtime_ns=0, digest=name, rows={})
        self._append([SourceSeen(environment="shop/prod", stage="pulled", files=(file,))])

    def pin(self, target: str, *, pinned: bool) -> None:
        event = (
            DataPinned(
                environment="shop/prod", pin=target, target=target, actor="ana", reason="audit"
            )
            if pinned
            else DataUnpinned(environment="shop/prod", pin=target, actor="ana")
        )
        if self._append([event]) and not pinned:
            self.pinned.pop(target, None)
            self.shown.pop(target, None)
        elif pinned:
            self.pinned.setdefault(target, set())
            self.note_bound()

    def orphan(self, number: int) -> None:
        """Store an object that nothing ever records."""
        self.objects.put_all([(f"orphan {number}".encode(), ".parquet")])

    def begin_run(self, environment: str) -> Lease | None:
        """Take the lease of a run, of a process that lives."""
        holder = samples.HOLDER | {"host": "elsewhere", "since": str(self.now)}
        workflow, _, name = environment.partition("/")
        try:
            return self.ledger.acquire(
                f"{workflow}/run:{name}", holder, now=self.now, ttl=LONG, dead=lambda _: False
            )
        except ConflictError:
            return None

    def _append(self, events: Sequence[Event]) -> bool:
        guard = Guard(find_missing=self.objects.find_missing)
        moments, self.ledger.moments = self.ledger.moments, None
        try:
            self.ledger.append(events, now=self.now, guard=guard)
        except (ConflictError, StorageError):
            return False
        finally:
            self.ledger.moments = moments
        self.note_bound()
        return True

    # Sweeps.

    def sweeper(self, prefix: str = SHOP) -> Sweeper:
        """The sweeper of a workflow, which shares the home with the other one."""
        garbage = self.ledger.garbage
        tools = SweepTools(
            ledger=self.ledger,
            facts=garbage,
            removal=garbage,
            objects=self.objects,
            memos=FileMemos(self.folder / "memo"),
            logs=self.folder / "logs",
            clock=lambda: self.now,
            parents=frozenset,
        )
        return Sweeper(tools, self.settings[prefix], DEAD, prefix=prefix)

    def sweep(self, prefix: str = SHOP, *, dies_after: int | None = None) -> SweepReport | None:
        """Sweep; None if the sweep died or another one works."""
        self.moments.left = dies_after
        self.ledger.moments = self.moments
        self.count += 1
        try:
            return self.sweeper(prefix).sweep(f"sweep {self.count}")
        except (KilledError, ConflictError):
            return None
        finally:
            self.moments.left, self.ledger.moments = None, None

    # What must hold.

    def note_bound(self) -> None:
        """Note which step keys are bound now, and which results people have pinned or are shown."""
        known = [*self.ledger.traces(self.every_key())]
        for target, keys in self.pinned.items():
            if not target.startswith("run-"):
                stage, _, partition = target.partition("@")
                begin = f"{stage} {partition}".rstrip()
                keys |= {key for key in known if key.startswith(begin)}
        for name in self._environments():
            for head in self.ledger.state(name, whole=True).heads.values():
                for binding in head.partitions.values():
                    self.bound_last[binding.key, _prefix(name)] = self.now
        self._note_shown()
        self.gone -= self.stored()
        self.gone -= {*known}

    def every_key(self) -> list[str]:
        """The step keys that there may be."""
        return [f"{stage} {part} {at}" for stage in "ab" for part in "pq" for at in range(5)]

    def _note_gone(self) -> None:
        """Note what can't be kept any more by what was decided just now."""
        self.gone |= {name for name in self.needed() if name not in self.stored()}
        keys = self.reusable()
        self.gone |= keys - {*self.ledger.traces(keys)}

    def _environments(self) -> Collection[str]:
        return self.ledger.state("").environments

    def _note_shown(self) -> None:
        """Note the stored objects that a pin, a hold or an open review is about."""
        wanted: dict[str, Callable[[Any, str], bool]] = {
            target: partial(_is_pinned, target) for target in self.pinned
        }
        for id in self.reviews.values():
            wanted[f"review {id}"] = _is_reviewed
        for prefix, settings in self.settings.items():
            if settings.hold or settings.stages:
                wanted[f"hold {prefix}"] = partial(_is_held, settings, prefix)
        if not wanted:
            return
        runs = {run: prefix for prefix, each in RUNS.items() for run in each}
        swept, stored = self._swept(), self.stored()
        for fact in self.ledger.events(kinds=("Published", "Computed")):
            event: Any = fact.event
            prefix = _prefix(getattr(event, "environment", "")) or runs[event.binding.run]
            names = stored.intersection(needed_objects(event))
            for what, is_about in wanted.items():
                # Of a run, also what was stored again counts.
                if is_about(event, prefix) and (fact.seq not in swept or what.startswith("run-")):
                    self.shown.setdefault(what, set()).update(names)

    def _swept(self) -> set[int]:
        """The events whose objects a sweep marked and deleted."""
        marked = {
            fact.seq: [seq for mark in getattr(fact.event, "marks", ()) for seq in mark.events]
            for fact in self.ledger.events(kinds=("SweepMarked",))
        }
        ended = [mark for event, _ in self._events("SweepConfirmed") for mark in event.marked]
        return {seq for mark in ended for seq in marked[mark]}

    def needed(self) -> dict[str, str]:
        """The objects that must be stored, and why; found without the tables of retention."""
        found: dict[str, str] = {}
        for name in self._environments():
            state = self.ledger.state(name, whole=True)
            found |= dict.fromkeys(_of_state(state), f"in use in {name}")
        found |= dict.fromkeys(self._open_reviews(), "open review")
        found |= dict.fromkeys(self._earlier_versions(), "earlier version")
        found |= dict.fromkeys(self._restorable(), "may be restored")
        for key, binding in self.ledger.traces(self.reusable()).items():
            found |= dict.fromkeys(binding.product.all_objects, f"can be reused: {key}")
        for what, names in self.shown.items():
            found |= dict.fromkeys(names, what)
        return found

    def _events(self, *kinds: str) -> Iterator[tuple[Any, float]]:
        for fact in self.ledger.events(kinds=kinds):
            yield fact.event, self.now - fact.at

    def _open_reviews(self) -> Iterator[str]:
        """The rows that open reviews are about, and their newest pages."""
        for event, _ in self._events("ReviewOpened"):
            if event.review.id in self.reviews.values():
                yield from needed_objects(event)
        newest = {event.review: event.page for event, _ in self._events("ReviewPageStored")}
        yield from (page for id, page in newest.items() if id in self.reviews.values())

    def _earlier_versions(self) -> Iterator[str]:
        """The live version and those before, as many as the workflow keeps, in each environment."""
        live: dict[str, list[str]] = {}
        for event, _ in self._events("Delivered", "EnvironmentDropped"):
            if isinstance(event, EnvironmentDropped):
                live.pop(event.environment, None)
                continue
            versions, name = (
                live.setdefault(event.environment, []),
                event.delivery.artifact.object,
            )
            versions[:] = [name, *(each for each in versions if each != name)]
        for name, versions in live.items():
            yield from versions[: self.settings[_prefix(name)].models + 1]

    def _restorable(self) -> Iterator[str]:
        environments = self._environments()
        for event, age in self._events("EffectQueued"):
            span = self.settings[_prefix(event.environment)].restore_for or 0.0
            if age < span and event.environment in environments:
                yield event.effect.object

    def last_written(self) -> set[str]:
        """What tables have now: a repair delivers it again."""
        environments = self._environments()
        last = {
            (event.environment, event.effect.stage, event.effect.partition): event.effect.object
            for event, _ in self._events("EffectQueued")
            if event.environment in environments
        }
        return {*last.values()}

    def same_keys(self) -> set[str]:
        """What was recorded under step keys that are bound: results under one key go together."""
        bound = {
            binding.key
            for name in self._environments()
            for head in self.ledger.state(name, whole=True).heads.values()
            for binding in head.partitions.values()
        }
        found: set[str] = set()
        for event, _ in self._events("Published", "Computed"):
            if event.binding.key in bound:
                found.update(needed_objects(event))
        return found

    def reusable(self) -> set[str]:
        """The step keys that were bound not long ago, or are pinned: going back to them costs nothing."""
        recent = {
            key
            for (key, prefix), at in self.bound_last.items()
            if self.now - at < (self.settings[prefix].keep_for or 0.0)
        }
        return recent.union(*self.pinned.values()) - self.gone

    def stored(self) -> set[str]:
        return {*self.objects.names()}

    def missing(self) -> Mapping[str, str]:
        """What is needed and isn't stored, with the reason."""
        needed = self.needed()
        lost: Collection[str] = self.objects.find_missing([*needed])
        return {name: needed[name] for name in lost if name not in self.gone}


def _prefix(environment: str) -> str:
    return "".join(environment.partition("/")[:2])


def _is_pinned(target: str, event: Any, prefix: str) -> bool:
    return target in (event.binding.run, event.stage, f"{event.stage}@{event.partition}")


def _is_reviewed(event: Any, prefix: str) -> bool:
    """Whether a review of the home is about a result."""
    return bool(event.binding.run == "run-1" and event.stage == "a")


def _is_held(settings: RetentionSettings, own: str, event: Any, prefix: str) -> bool:
    return prefix == own and settings.is_held(event.stage)


def _of_state(state: State) -> Iterator[str]:
    """The objects that an environment uses."""
    for head in state.heads.values():
        for binding in head.partitions.values():
            yield from binding.product.all_objects
    yield from (live.artifact.object for live in state.live.values())
    yield from (effect.object for effect in state.pending_effects)
    for rulings in state.rulings.values():
        for ruling in (each for several in rulings.values() for each in several):
            yield from ruling.pinned_objects
    for files in state.sources.values():
        yield from (file.digest for file in files.values())
