"""Output is published in order, each once; `settle` doesn't wait for more steps to gather."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.adapters.search.optuna_sampler import OptunaSampler
from tidemill.core.errors import ConflictError, StorageError
from tidemill.core.payload import Payload
from tidemill.ledger.delivery import Effect
from tidemill.ledger.event import EffectDone, EffectQueued, Event, Published
from tidemill.ledger.governance_events import PolicyDecided, ReviewOpened, RulesLoaded
from tidemill.memos.io.in_memory import InMemoryMemos
from tidemill.ports.formats import EffectResult
from tidemill.ports.ledger import Lease
from tidemill.ports.runtime import Runtime
from tidemill.project.external_sources import OpenedSources
from tidemill.project.settings import Settings
from tidemill.runs.io import publisher as publish
from tidemill.runs.io.publisher import AtomicPublisher, Publication, Publisher
from tidemill.testing import records as samples
from tidemill.testing.doubles import (
    MemoryArtifacts,
    MemoryClaims,
    MemoryLedger,
    MemoryModelProbe,
    MemoryProbes,
)
from tidemill.testing.records import HOLDER, PROD

# No test waits for so long: what is published before was asked for, or enough had gathered.
NEVER = 3600.0


class Watched:
    """A ledger, a store, a sink and claims in memory, and the calls that they got, in order."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.artifacts = MemoryArtifacts()
        self.calls: list[str] = []
        self.batch = 8
        self.failures: dict[str, StorageError] = {}
        self.before_append: Callable[[], None] = lambda: None
        self.lease = self.ledger.acquire("run", HOLDER, now=0.0, ttl=9.0, dead=lambda _: False)

    def append(self, events: Sequence[Event], **more: Any) -> int:
        self.before_append()
        last = self.ledger.append(events, **more)
        self.calls.append(" ".join(type(event).__name__ for event in events))
        return last

    def put_all(self, objects: Sequence[tuple[Payload, str]]) -> Sequence[str]:
        self.calls.append(f"{len(objects)} objects")
        return self.artifacts.put_all(objects)

    def find_missing(self, names: Sequence[str]) -> Sequence[str]:
        return list(self.artifacts.find_missing(names))

    def deliver_all(
        self, effects: Sequence[Effect], root: Path, artifacts: object
    ) -> Iterator[tuple[Effect, EffectResult]]:
        for effect in effects:
            self.calls.append("delivered")
            yield effect, self.failures.get(effect.key, {})

    def find_obstacle(self, effect: Effect, root: Path) -> str:
        return ""

    def find_fault(self, effect: Effect, detail: object, root: Path, artifacts: object) -> None:
        return None

    def tools(self) -> Runtime:
        return Runtime(
            root=Path(),
            logs=Path("logs"),
            ledger=self,  # type: ignore[arg-type]
            artifacts=self,  # type: ignore[arg-type]
            claims=MemoryClaims(),
            probes=MemoryProbes(),
            memos=InMemoryMemos(),
            formats=(),
            model_probe=MemoryModelProbe(),
            sinks={"parquet": self},
            external_sources=OpenedSources(Settings(root=Path(), workflow="")),
            sampler=OptunaSampler(),
            clock=lambda: 1.0,
        )

    def publisher(self, lease: Lease | None = None) -> Publisher:
        give = self.calls.append
        return Publisher(
            self.tools(), PROD, lease or self.lease, {}, lambda key: give(f"gave {key}")
        )

    def published(self) -> list[str]:
        facts = [fact.event for fact in self.ledger.events(kinds=["Published"])]
        return [event.partition for event in facts if isinstance(event, Published)]


def parcel(name: str, claim: str = "") -> Publication:
    """A step's object and the event that binds it."""
    made = samples.product(name)
    event = samples.published_event(name, bound=samples.binding(name, made))
    return Publication(events=(event,), objects=((name.encode(), ".parquet"),), claim=claim)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(publish, "_PAUSE_S", NEVER)
    return Watched()


@pytest.mark.parametrize("wait", [Publisher.settle, Publisher.close, Publisher.stop])
def test_what_gathered_is_published_at_once_when_somebody_waits(
    watched: Watched, wait: Callable[[Publisher], None]
) -> None:
    publisher = watched.publisher()
    for name in "abc":
        publisher.send(parcel(name, claim=f"key {name}"))
    wait(publisher)
    # Durable objects, then one commit, then the claims.
    assert watched.calls == [
        "3 objects",
        "Published Published Published",
        "gave key a",
        "gave key b",
        "gave key c",
    ]
    assert publisher.heads == {"features": 1}
    publisher.close()
    publisher.stop()


def test_enough_is_published_without_anybody_waiting(watched: Watched) -> None:
    publisher, appended = watched.publisher(), threading.Event()
    watched.before_append = appended.set
    for number in range(publish._MOST_WAITING):
        assert not appended.is_set()
        publisher.send(parcel(str(number)))
    assert appended.wait(60)
    publisher.send(parcel("last"))
    publisher.close()
    assert watched.calls[::2] == [f"{publish._MOST_WAITING} objects", "1 objects"]
    assert watched.published() == [*map(str, range(publish._MOST_WAITING)), "last"]


def test_a_step_by_itself_is_published_soon(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "_PAUSE_S", 0.001)
    publisher, appended = watched.publisher(), threading.Event()
    watched.before_append = appended.set
    publisher.send(parcel("a"))
    assert appended.wait(60)
    publisher.close()


def test_a_sender_waits_while_too_much_is_on_its_way(watched: Watched) -> None:
    begun, free = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert free.wait(60)

    watched.before_append = hold
    publisher = watched.publisher()
    for number in range(publish._MOST_WAITING):
        publisher.send(parcel(str(number)))
    assert begun.wait(60)
    for number in range(publish._MOST_WAITING):
        publisher.send(parcel(f"more {number}"))
    sender = threading.Thread(target=publisher.send, args=(parcel("last"),))
    sender.start()
    sender.join(0.05)
    assert sender.is_alive()
    free.set()
    sender.join(60)
    publisher.close()
    assert len(watched.published()) == 2 * publish._MOST_WAITING + 1


def test_effects_are_carried_out_after_their_commit(watched: Watched) -> None:
    publisher = watched.publisher()
    publisher.send(Publication(events=(samples.effect_queued_event("one"),)))
    publisher.send(Publication(events=(samples.effect_queued_event("two"),)))
    publisher.close()
    assert watched.calls == [
        "EffectQueued EffectQueued",
        "delivered",
        "delivered",
        "EffectDone EffectDone",
    ]
    kinds = [type(fact.event) for fact in watched.ledger.events()]
    assert kinds == [EffectQueued] * 2 + [EffectDone] * 2


@pytest.mark.parametrize("wait", [Publisher.settle, Publisher.close])
def test_a_failure_is_raised_and_ends_it(
    watched: Watched, wait: Callable[[Publisher], None]
) -> None:
    def full() -> None:
        raise StorageError("no space left")

    watched.before_append = full
    publisher = watched.publisher()
    publisher.send(parcel("a", claim="key"))
    with pytest.raises(StorageError, match="no space left"):
        wait(publisher)
    watched.before_append = lambda: None
    with pytest.raises(StorageError, match="no space left"):
        publisher.send(parcel("b"))
    publisher.stop()
    assert (watched.calls, watched.published(), publisher.heads) == (["1 objects"], [], {})


def test_what_was_sent_before_a_failure_was_known_is_given_up(watched: Watched) -> None:
    begun, free = threading.Event(), threading.Event()

    def lost() -> None:
        begun.set()
        assert free.wait(60)
        watched.ledger.release(watched.lease)

    watched.before_append = lost
    publisher = watched.publisher()
    for number in range(publish._MOST_WAITING):
        publisher.send(parcel(str(number)))
    assert begun.wait(60)
    publisher.send(parcel("late"))
    free.set()
    with pytest.raises(ConflictError, match="no longer ours"):
        publisher.settle()
    publisher.stop()
    assert watched.published() == []


def test_an_interrupt_while_it_waits_is_heard_and_nothing_is_lost(watched: Watched) -> None:
    # Whether it cuts the waiting short or is raised at its end is up to the system.
    watched.before_append = lambda: os.kill(os.getpid(), signal.SIGINT)
    publisher = watched.publisher()
    publisher.send(parcel("a"))
    with pytest.raises(KeyboardInterrupt):
        publisher.settle()
    watched.before_append = lambda: None
    publisher.send(parcel("b"))
    publisher.close()
    assert watched.published() == ["a", "b"]


@given(
    acts=st.lists(st.sampled_from(["send", "send", "send", "settle"]), max_size=60),
    pause=st.sampled_from([0.0, 0.0005, NEVER]),
    room=st.integers(1, 4),
    fails=st.none() | st.integers(0, 8),
)
def test_everything_is_published_once_in_its_order(
    acts: list[str], pause: float, room: int, fails: int | None
) -> None:
    watched, sent, left = Watched(), list[str](), [fails]

    def fail() -> None:
        if left[0] is not None:
            left[0] -= 1
            if left[0] < 0:
                raise StorageError("no space left")

    watched.before_append = fail
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(publish, "_PAUSE_S", pause)
        patched.setattr(publish, "_MOST_WAITING", room)
        publisher = watched.publisher()
        try:
            for act in acts:
                if act == "send":
                    publisher.send(parcel(str(len(sent))))
                    sent.append(str(len(sent)))
                else:
                    publisher.settle()
                    assert watched.published() == sent
            publisher.close()
            assert watched.published() == sent
        except StorageError:
            # What was published is a beginning of what was sent.
            publisher.stop()
            assert watched.published() == sent[: len(watched.published())]
            assert left[0] is not None


def test_what_people_are_asked_in_a_promotion_is_recorded_before_it_is_published(
    watched: Watched,
) -> None:
    rules = RulesLoaded(environment=PROD, rules="digest", text="[[rule]]")
    decided = PolicyDecided(environment=PROD, decision=samples.policy_decision())
    asked = ReviewOpened(environment=PROD, review=samples.review())
    publisher = AtomicPublisher(
        watched.tools(),
        PROD,
        watched.lease,
        {},
        lambda _: None,
        Publication(events=(rules, decided)),
    )
    publisher.send(parcel("a"))
    publisher.send(Publication(events=(decided, asked), kept=True))
    publisher.close()
    assert watched.calls == ["1 objects", "RulesLoaded Computed PolicyDecided ReviewOpened"]
    publisher.commit()
    assert watched.calls[2:] == ["PolicyDecided Published"]
