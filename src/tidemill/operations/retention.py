"""Decide what a sweep removes: what no policy, pin, review, delivery or rollout needs any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from functools import partial
from itertools import pairwise

from tidemill.core.lazy_dataclass import dataclass
from tidemill.ledger.event import (
    Delivered,
    EffectQueued,
    EnvironmentCreated,
    EnvironmentDropped,
    RecordedEvent,
    RolloutStepped,
)
from tidemill.ledger.garbage import MarkedUse, RecordedUse, SupersededEffect, SupersededResult
from tidemill.ledger.governance_events import ReviewClosed, ReviewOpened, ReviewPageStored
from tidemill.ledger.retention_events import (
    DataPinned,
    DataUnpinned,
    RetentionDeclared,
    StagesUndeclared,
)
from tidemill.ledger.retention_settings import RetentionSettings
from tidemill.ledger.review import Review
from tidemill.ledger.rollout import RolloutStep
from tidemill.operations.shared_retention import RecordedSettings, SharedRetention
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
        EnvironmentCreated,
        EnvironmentDropped,
        RolloutStepped,
        ReviewOpened,
        ReviewPageStored,
        ReviewClosed,
        DataPinned,
        DataUnpinned,
        RetentionDeclared,
    )
)
# Whatever is recorded of these while a sweep plans may need what it is about to mark.
DECIDING = ("DataPinned", "ReviewOpened", "RolloutStepped", "Delivered", "RetentionDeclared")


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
    A review stays at the environment in which it was opened when another workflow continues that.
    """

    pins: dict[str, Pin] = field(default_factory=dict)
    reviews: dict[tuple[str, str], tuple[int, Review]] = field(default_factory=dict)
    closed: dict[tuple[str, str], float] = field(default_factory=dict)
    held_rows: list[tuple[tuple[str, str], int, str]] = field(default_factory=list)
    pages: dict[tuple[str, str], list[tuple[int, float, str]]] = field(default_factory=dict)
    rollouts: dict[tuple[str, str], RolloutStep] = field(default_factory=dict)
    deliveries: list[tuple[int, float, str, str, str]] = field(default_factory=list)
    parents: frozenset[str] = frozenset()
    declared: RecordedSettings = field(default_factory=RecordedSettings)
    _needed_versions: dict[str, str] | None = field(default=None, init=False, repr=False)

    def add(self, fact: RecordedEvent) -> None:
        """Take an event of `KINDS` into account; they must come in order."""
        event = fact.event
        self._needed_versions = None
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
            for name in self.declared.continued(event.environment):
                self.rollouts.pop((name, event.endpoint), None)
            self.rollouts[event.environment, event.endpoint] = event.step
        elif isinstance(event, EnvironmentDropped):
            self._drop(event.environment, fact.at)
        elif isinstance(event, RetentionDeclared | EnvironmentCreated):
            self.declared.add(event)
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
            place = self._place(event.environment, event.review)
            name = self.reviews[place][1].name if place in self.reviews else ""
            self.pages.setdefault(place, []).append((fact.seq, fact.at, name))
        else:
            assert isinstance(event, ReviewClosed)
            self._close(self._place(event.environment, event.review), fact.at)

    def _place(self, environment: str, review: str) -> tuple[str, str]:
        """Where a review was opened: in this environment, or in one that it continues."""
        places = [(name, review) for name in self.declared.continued(environment)]
        return next((place for place in places if place in self.reviews), places[0])

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
        if self._needed_versions is None:
            self._needed_versions = self._find_needed_versions()
        return self._needed_versions

    def _find_needed_versions(self) -> dict[str, str]:
        found = {
            review.artifact: f"open review {review.id}"
            for _, review in self.reviews.values()
            if review.artifact
        }
        for (_, endpoint), step in self.rollouts.items():
            if not step.is_end:
                for version in filter(None, (step.candidate, step.incumbent)):
                    found[version] = f"rollout at {endpoint}"
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """The policy of a home at a time: `keeper` says what keeps something, if anything does.

    `newest` has the ranks of superseded results that are among the last versions of their partition, by
    environment, stage and step key. `needed` says what needs an object that somebody was shown or pinned,
    `pinned` the same of the events that need such an object.
    """

    settings: SharedRetention
    now: float
    facts: RetentionFacts
    newest: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    needed: Mapping[str, str] = field(default_factory=dict)
    pinned: Mapping[int, str] = field(default_factory=dict)

    def keeper_of_result(self, result: SupersededResult) -> str:
        """Say what keeps a superseded result; "" if nothing does."""
        if result.key in self.facts.parents:
            return "a model that continues it"
        for keeper in (self._decided, partial(self._rank, result.key)):
            if kept := next(filter(None, map(keeper, result.uses)), ""):
                return kept
        return self._age_of_uses(result)

    def _rank(self, key: str, use: RecordedUse) -> str:
        """The number of versions that an environment keeps, if a result is one of them."""
        if use.environment not in self.settings.environments:
            return ""
        rank = self.newest.get((use.environment, use.stage, key), 0)
        for each in self.settings.of(use.environment):
            last = each.settings.last(use.stage)
            if 0 < rank <= last:
                return each.told(f"keep_last = {last}")
        return ""

    def _age_of_uses(self, result: SupersededResult) -> str:
        # The results of a key are often of one place.
        places = dict.fromkeys((use.environment, use.stage) for use in result.uses)
        for environment, stage in places:
            if kept := self._age(environment, result.since, _keep_for(stage), "keep_for"):
                return kept
        return ""

    def keeper_of_effect(self, effect: SupersededEffect) -> str:
        """Say what keeps the object of a delivery that was replaced; "" if nothing does."""
        return (
            self._decided(_use_of(effect))
            or self._restore(effect.environment, effect.stage)
            or self._age(effect.environment, effect.since, _restore_for, "restore_for")
        )

    def keeper_of_marked(self, marked: MarkedUse, name: str) -> str:
        """Say what keeps an object that is marked already; "" if nothing does.

        What people decided since counts. Spans of time don't, since the result can't be reused any more.
        """
        use = marked.use
        if kept := self.needed.get(name) or self._decided(use):
            return kept
        is_effect = marked.kind == EffectQueued.__name__
        return self._restore(use.environment, use.stage) if is_effect else ""

    def _restore(self, environment: str, stage: str) -> str:
        """A review that may bring earlier deliveries of a table back."""
        for (place, _), (_, review) in self.facts.reviews.items():
            if review.name == stage and review.as_of and environment == place:
                return f"open review {review.id}"
        return ""

    def _decided(self, use: RecordedUse) -> str:
        """What keeps an event whatever its age: a pin, a hold, a review, or a rollout."""
        places = ((use.stage, ""), (use.stage, use.partition))
        for pin in self.facts.pins.values():
            if pin.target == use.run or pin.place in places:
                return f"pin {pin.id}"
        if use.event in self.pinned:
            return self.pinned[use.event]
        for each in self.settings.of(use.environment):
            if held := each.hold(use.stage):
                return held
        return self.facts.needed_versions.get(use.artifact, "")

    def _age(
        self,
        environment: str,
        since: float,
        span_of: Callable[[RetentionSettings], float | None],
        name: str,
    ) -> str:
        for each in self.settings.of(environment):
            span = span_of(each.settings)
            if span is None:
                return each.told(f'{name} = "forever"')
            if since + span > self.now:
                return each.told(name)
            if since + each.settings.grace > self.now:
                return each.told("grace")
        return ""

    def garbage_results(self, results: Iterable[SupersededResult]) -> Iterator[Garbage]:
        """Yield the events of superseded results that nothing keeps; those of one key together."""
        for result in results:
            if not self.keeper_of_result(result):
                for use in result.uses:
                    yield Garbage(
                        event=use.event,
                        stage=use.stage,
                        partition=use.partition,
                        reason=SUPERSEDED,
                        since=result.since,
                        group=result.key,
                    )

    def garbage_effects(self, effects: Iterable[SupersededEffect]) -> Iterator[Garbage]:
        """Yield the events of replaced deliveries that nothing keeps."""
        for effect in effects:
            if not self.keeper_of_effect(effect):
                yield _garbage(effect, REPLACED_DELIVERY)

    def garbage_rulings(self, rulings: Iterable[SupersededEffect]) -> Iterator[Garbage]:
        """Yield the rulings that are in force nowhere, and that nothing keeps."""
        for ruling in rulings:
            span = _keep_for(ruling.stage)
            kept = self._decided(_use_of(ruling))
            if not (kept or self._age(ruling.environment, ruling.since, span, "keep_for")):
                yield _garbage(ruling, DROPPED_RULING)

    def garbage_deliveries(self, environments: Mapping[str, Environment]) -> Iterator[Garbage]:
        """Yield the deliveries of models that are neither live nor among the last ones before."""
        deliveries = self.facts.deliveries
        kept = kept_deliveries(deliveries, environments, self._models)
        for place, (seq, at, environment, name, artifact) in enumerate(deliveries):
            since = _next_time(deliveries, place, at)
            use = RecordedUse(
                event=seq, environment=environment, stage=name, partition="", artifact=artifact
            )
            if seq in kept or self._decided(use):
                continue
            if not self._age(environment, since, _keep_for(name), "keep_for"):
                yield Garbage(
                    event=seq, stage=name, partition="", reason=EARLIER_VERSION, since=since
                )

    def _models(self, environment: str) -> int:
        return max(each.settings.models for each in self.settings.of(environment))

    def garbage_reviews(self) -> Iterator[Garbage]:
        """Yield the pages of reviews that ended long ago, older pages, and rows that were held for them."""
        facts = self.facts
        for place, pages in facts.pages.items():
            for (seq, _, name), (_, since, _) in pairwise(pages):
                yield from self._closed(place, seq, name, since, _keep_for(name))
            seq, _, name = pages[-1]
            if place in facts.closed:
                yield from self._closed(place, seq, name, facts.closed[place], _reviews)
        for place, seq, name in facts.held_rows:
            if place in facts.closed:
                yield from self._closed(place, seq, name, facts.closed[place], _keep_for(name))

    def _closed(
        self,
        place: tuple[str, str],
        event: int,
        name: str,
        since: float,
        span: Callable[[RetentionSettings], float | None],
    ) -> Iterator[Garbage]:
        use = RecordedUse(event=event, environment=place[0], stage=name, partition="")
        if not (self._decided(use) or self._age(place[0], since, span, "reviews")):
            yield Garbage(event=event, stage=name, partition="", reason=CLOSED_REVIEW, since=since)


def _keep_for(stage: str) -> Callable[[RetentionSettings], float | None]:
    return lambda settings: settings.span(stage)


def _restore_for(settings: RetentionSettings) -> float | None:
    return settings.restore_for


def _reviews(settings: RetentionSettings) -> float | None:
    return settings.reviews


def _use_of(effect: SupersededEffect) -> RecordedUse:
    return RecordedUse(
        event=effect.event,
        environment=effect.environment,
        stage=effect.stage,
        partition=effect.partition,
    )


def _garbage(effect: SupersededEffect, reason: str) -> Garbage:
    return Garbage(
        event=effect.event,
        stage=effect.stage,
        partition=effect.partition,
        reason=reason,
        since=effect.since,
    )


def kept_deliveries(
    deliveries: Iterable[tuple[int, float, str, str, str]],
    environments: Mapping[str, Environment],
    count: Callable[[str], int],
) -> set[int]:
    """Return the events of live versions and of as many versions before as count for their environment.

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
        most = count(name) + 1
        for versions in ours.values():
            newest: dict[str, None] = {}
            for seq, artifact in reversed(versions):
                newest[artifact] = None
                if len(newest) > most:
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


def _next_time(deliveries: list[tuple[int, float, str, str, str]], place: int, at: float) -> float:
    """When the next version of the same model went live in the same environment."""
    own = deliveries[place][2:4]
    return next((each[1] for each in deliveries[place + 1 :] if each[2:4] == own), at)
