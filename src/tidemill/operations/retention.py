"""Decide what a sweep removes: what no policy, pin, review, delivery or rollout needs any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from tidemill.ledger.event import Delivered, EnvironmentDropped, RecordedEvent, RolloutStepped
from tidemill.ledger.garbage import SupersededEffect, SupersededResult
from tidemill.ledger.governance_events import ReviewClosed, ReviewOpened, ReviewPageStored
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.retention_events import DataPinned, DataUnpinned, StagesUndeclared
from tidemill.ledger.review import Review
from tidemill.ledger.rollout import RolloutStep
from tidemill.operations.retention_settings import RetentionSettings
from tidemill.workflow.environment import Environment, history_filter

# Why events are marked.
SUPERSEDED = "superseded"
REPLACED_DELIVERY = "replaced delivery"
EARLIER_VERSION = "earlier version"
CLOSED_REVIEW = "closed review"
DROPPED_RULING = "ruling of a dropped environment"
# The kinds of events that retention reads whole: few of each are recorded.
KINDS = tuple(
    kind.__name__
    for kind in (
        Delivered,
        EnvironmentDropped,
        RolloutStepped,
        ReviewOpened,
        ReviewPageStored,
        ReviewClosed,
        DataPinned,
        DataUnpinned,
    )
)
# Whatever is recorded of these while a sweep plans may need what it is about to mark.
DECIDING = ("DataPinned", "ReviewOpened", "RolloutStepped", "Delivered")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What a person pinned: an object, a run, `STAGE` or `STAGE@PARTITION`."""

    id: str
    target: str
    reason: str
    actor: str
    at: float

    @property
    def place(self) -> tuple[str, str]:
        """The stage and partition that it names, if it names any; "" for all partitions."""
        stage, _, partition = self.target.partition("@")
        return stage, partition


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """An event whose objects go, if nothing else needs them; `since` is when it was superseded.

    Events with equal `group` must go together: the results under one key.
    """

    event: int
    stage: str
    partition: str
    reason: str
    since: float
    group: str = ""


@dataclass(slots=True, kw_only=True)
class RetentionFacts:
    """What the events say about what people, gates and servers still need.

    `reviews` are the open ones by environment and id, `pages` the events of stored pages by review, oldest
    first, with their times; `closed` says when a review ended. `deliveries` are the events of each model in
    each environment, oldest first. `parents` are the step keys of versions that published models continue.
    """

    pins: dict[str, Pin] = field(default_factory=dict)
    reviews: dict[tuple[str, str], tuple[int, Review]] = field(default_factory=dict)
    closed: dict[tuple[str, str], float] = field(default_factory=dict)
    held_rows: list[tuple[tuple[str, str], int, str]] = field(default_factory=list)
    pages: dict[tuple[str, str], list[tuple[int, float, str]]] = field(default_factory=dict)
    rollouts: dict[tuple[str, str], RolloutStep] = field(default_factory=dict)
    deliveries: list[tuple[int, float, str, str, str]] = field(default_factory=list)
    parents: frozenset[str] = frozenset()

    def add(self, fact: RecordedEvent) -> None:
        """Take an event of `KINDS` into account; they must come in order."""
        event = fact.event
        if isinstance(event, DataPinned):
            self.pins[event.pin] = Pin(
                id=event.pin,
                target=event.target,
                reason=event.reason,
                actor=event.actor,
                at=fact.at,
            )
        elif isinstance(event, DataUnpinned):
            self.pins.pop(event.pin, None)
        elif isinstance(event, Delivered):
            delivery = event.delivery
            self.deliveries.append(
                (fact.seq, fact.at, event.environment, delivery.name, delivery.artifact.id)
            )
        elif isinstance(event, RolloutStepped):
            self.rollouts[event.environment, event.endpoint] = event.step
        elif isinstance(event, EnvironmentDropped):
            self._drop(event.environment, fact.at)
        else:
            self._add_review(fact)

    def _add_review(self, fact: RecordedEvent) -> None:
        event = fact.event
        if isinstance(event, ReviewOpened):
            place = (event.environment, event.review.id)
            self.reviews[place] = (fact.seq, event.review)
            if event.review.held is not None:
                self.held_rows.append((place, fact.seq, event.review.name))
        elif isinstance(event, ReviewPageStored):
            place = (event.environment, event.review)
            name = self.reviews[place][1].name if place in self.reviews else ""
            self.pages.setdefault(place, []).append((fact.seq, fact.at, name))
        else:
            assert isinstance(event, ReviewClosed)
            self._close((event.environment, event.review), fact.at)

    def _close(self, place: tuple[str, str], at: float) -> None:
        if self.reviews.pop(place, None) is not None:
            self.closed[place] = at

    def _drop(self, environment: str, at: float) -> None:
        for place in [place for place in self.reviews if place[0] == environment]:
            self._close(place, at)
        for place in [place for place in self.rollouts if place[0] == environment]:
            del self.rollouts[place]

    @property
    def needed_versions(self) -> dict[str, str]:
        """The versions of models that open reviews and rollouts need, each with what needs it."""
        found = {
            review.artifact: f"open review {review.id}"
            for _, review in self.reviews.values()
            if review.artifact
        }
        for (_, endpoint), step in self.rollouts.items():
            if not step.is_end:
                for version in (step.candidate, step.incumbent):
                    found[version] = f"rollout at {endpoint}"
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """The policy of a project at a time: `keeper` says what keeps something, if anything does.

    `newest` are the step keys of superseded results that are among the last versions of their partition,
    with their rank. `pinned` are events that need a pinned object.
    """

    settings: RetentionSettings
    now: float
    facts: RetentionFacts
    newest: Mapping[str, int] = field(default_factory=dict)
    pinned: Mapping[int, str] = field(default_factory=dict)

    def keeper_of_result(self, result: SupersededResult) -> str:
        """Say what keeps a superseded result; "" if nothing does."""
        stage = result.stage
        pin = self._pin(stage, result.partition, result.run, result.events)
        if pin or self.settings.is_held(stage):
            return pin or "legal hold"
        if result.key in self.facts.parents:
            return "a model that continues it"
        if needed := self.facts.needed_versions.get(result.artifact):
            return needed
        for _, review in self.facts.reviews.values():
            if (
                review.name == stage
                and review.kind is SubjectKind.TABLE
                and review.run == result.run
            ):
                return f"open review {review.id}"
        if self.newest.get(result.key, 0) and self.newest[result.key] <= self.settings.last(stage):
            return f"keep_last = {self.settings.last(stage)}"
        return self._age(result.since, self.settings.span(stage), "keep_for")

    def keeper_of_effect(self, effect: SupersededEffect) -> str:
        """Say what keeps the object of a delivery that was replaced; "" if nothing does."""
        pin = self._pin(effect.stage, effect.partition, "", (effect.event,))
        if pin or self.settings.is_held(effect.stage):
            return pin or "legal hold"
        for (environment, _), (_, review) in self.facts.reviews.items():
            if review.name == effect.stage and review.as_of and environment == effect.environment:
                return f"open review {review.id}"
        return self._age(effect.since, self.settings.restore_for, "restore_for")

    def _pin(self, stage: str, partition: str, run: str, events: Collection[int]) -> str:
        for pin in self.facts.pins.values():
            if pin.target == run or pin.place in ((stage, ""), (stage, partition)):
                return f"pin {pin.id}"
        return next((f"pin {self.pinned[seq]}" for seq in events if seq in self.pinned), "")

    def _age(self, since: float, span: float | None, name: str) -> str:
        if span is None:
            return f'{name} = "forever"'
        if since + span > self.now:
            return name
        return "grace" if since + self.settings.grace > self.now else ""

    def garbage_results(self, results: Iterable[SupersededResult]) -> Iterator[Garbage]:
        """Yield the events of superseded results that nothing keeps; those of one key together."""
        for result in results:
            if not self.keeper_of_result(result):
                for event in result.events:
                    yield Garbage(
                        event=event,
                        stage=result.stage,
                        partition=result.partition,
                        reason=SUPERSEDED,
                        since=result.since,
                        group=result.key,
                    )

    def garbage_effects(self, effects: Iterable[SupersededEffect]) -> Iterator[Garbage]:
        """Yield the events of replaced deliveries that nothing keeps."""
        for effect in effects:
            if not self.keeper_of_effect(effect):
                yield Garbage(
                    event=effect.event,
                    stage=effect.stage,
                    partition=effect.partition,
                    reason=REPLACED_DELIVERY,
                    since=effect.since,
                )

    def garbage_rulings(self, rulings: Iterable[SupersededEffect]) -> Iterator[Garbage]:
        """Yield the rulings that are in force nowhere, and that nothing keeps."""
        for ruling in rulings:
            stage = ruling.stage
            pin = self._pin(stage, ruling.partition, "", (ruling.event,))
            if pin or self.settings.is_held(stage):
                continue
            if not self._age(ruling.since, self.settings.span(stage), "keep_for"):
                yield Garbage(
                    event=ruling.event,
                    stage=stage,
                    partition=ruling.partition,
                    reason=DROPPED_RULING,
                    since=ruling.since,
                )

    def garbage_deliveries(self, environments: Mapping[str, Environment]) -> Iterator[Garbage]:
        """Yield the deliveries of models that are neither live nor among the last ones before."""
        kept = kept_deliveries(self.facts.deliveries, environments, self.settings.models)
        needed = self.facts.needed_versions
        for place, (seq, at, _, name, artifact) in enumerate(self.facts.deliveries):
            since = _next_time(self.facts.deliveries, place, at)
            is_kept = seq in kept or artifact in needed or self.settings.is_held(name)
            if is_kept or self._pin(name, "", "", (seq,)):
                continue
            if not self._age(since, self.settings.span(name), "keep_for"):
                yield Garbage(
                    event=seq, stage=name, partition="", reason=EARLIER_VERSION, since=since
                )

    def garbage_reviews(self) -> Iterator[Garbage]:
        """Yield the pages of reviews that ended long ago, older pages, and rows that were held for them."""
        facts = self.facts
        for place, pages in facts.pages.items():
            for (seq, _, name), (_, since, _) in pairwise(pages):
                if not self._keeper_of_page(name, seq, since, self.settings.span(name)):
                    yield _closed(seq, name, since)
            seq, _, name = pages[-1]
            if place in facts.closed:
                since = facts.closed[place]
                if not self._keeper_of_page(name, seq, since, self.settings.reviews):
                    yield _closed(seq, name, since)
        for place, seq, name in facts.held_rows:
            if place in facts.closed:
                since = facts.closed[place]
                if not self._keeper_of_page(name, seq, since, self.settings.span(name)):
                    yield _closed(seq, name, since)

    def _keeper_of_page(self, name: str, event: int, since: float, span: float | None) -> str:
        if self.settings.is_held(name):
            return "legal hold"
        return self._pin(name, "", "", (event,)) or self._age(since, span, "reviews")


def kept_deliveries(
    deliveries: Iterable[tuple[int, float, str, str, str]],
    environments: Mapping[str, Environment],
    count: int,
) -> set[int]:
    """Return the events of live versions and of the last `count` versions before, in each environment.

    A branch may also go back to what was live in its parent before it was created.
    """
    kept: set[int] = set()
    known = [*deliveries]
    for name in environments:
        is_ours = history_filter(environments, name)
        ours: dict[str, list[tuple[int, str]]] = {}
        for seq, _, environment, model, artifact in known:
            # An environment of the same name may have been dropped before.
            if is_ours(environment, seq) and seq >= environments[environment].since:
                ours.setdefault(model, []).append((seq, artifact))
        for versions in ours.values():
            newest: dict[str, None] = {}
            for seq, artifact in reversed(versions):
                newest[artifact] = None
                if len(newest) > count + 1:
                    break
                kept.add(seq)
    return kept


def undeclared_since(facts: Iterable[RecordedEvent], environment: str) -> Mapping[str, float]:
    """Since when each stage of an environment is known not to be declared, without interruption."""
    found: dict[str, float] = {}
    for fact in facts:
        event = fact.event
        if isinstance(event, StagesUndeclared) and event.environment == environment:
            found = {stage: found.get(stage, fact.at) for stage in event.stages}
    return found


def _closed(event: int, stage: str, since: float) -> Garbage:
    return Garbage(event=event, stage=stage, partition="", reason=CLOSED_REVIEW, since=since)


def _next_time(deliveries: list[tuple[int, float, str, str, str]], place: int, at: float) -> float:
    """When the next version of the same model went live in the same environment."""
    own = deliveries[place][2:4]
    return next((each[1] for each in deliveries[place + 1 :] if each[2:4] == own), at)
