"""Checkpoints of a ledger that grows, of one that was changed, and of two processes at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tidemill.core.errors import StorageError
from tidemill.governance.checkpoint import Checkpoint, CheckpointSource, CheckpointTerms
from tidemill.governance.io import checkpoints as module
from tidemill.governance.io.checkpoint_places import CheckpointFile, CheckpointPlace
from tidemill.governance.io.checkpoints import CheckpointMaker, HomeCheckpoints, MadeCheckpoint
from tidemill.governance.io.signing_keys import SigningKey, create_key, load_signing_key
from tidemill.governance.merkle_tree import leaf_hash, tree_root
from tidemill.ledger.event_digest import FIRST_LINK, ChainedEvent, EventPlace, next_link


@dataclass(slots=True)
class Events:
    """A ledger of so many events; `changed` are the numbers of those that somebody changed."""

    count: int = 0
    changed: set[int] = field(default_factory=set)

    def leaves(self) -> list[bytes]:
        return [
            leaf_hash(f"{n}{' changed' * (n in self.changed)}".encode())
            for n in range(1, self.count + 1)
        ]

    def read(self, after: int, link: bytes | None) -> Iterable[ChainedEvent | str]:
        stored = FIRST_LINK
        computed = link or FIRST_LINK
        for seq, leaf in enumerate(self.leaves(), 1):
            stored = next_link(stored, leaf)
            if seq > after:
                computed = next_link(computed, leaf)
                place = EventPlace(seq=seq, batch=seq, at=0.0, kind="Ticked")
                yield ChainedEvent(
                    place=place, body="", leaf=leaf, link=computed, stored_link=stored
                )


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    create_key(tmp_path / "key.pem", tmp_path / "home")
    return load_signing_key(tmp_path / "key.pem", tmp_path / "home")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "checkpoints.jsonl"


class Made:
    """Makes checkpoints of `events` in a home, by default for a file outside."""

    def __init__(self, home: Path, key: SigningKey, *places: CheckpointPlace) -> None:
        self.events = Events()
        self.outside = CheckpointFile(home.parent.parent / "outside.jsonl")
        self.kept = HomeCheckpoints(home)
        self.maker = CheckpointMaker(
            kept=self.kept,
            places=places or (self.outside,),
            load_key=lambda: key,
            read=self.events.read,
        )

    def make(
        self,
        *,
        now: float = 0.0,
        terms: CheckpointTerms | None = None,
        new_ledger: bool = False,
    ) -> MadeCheckpoint | None:
        return self.maker.make(
            now=now, terms=terms, count=lambda: self.events.count, new_ledger=new_ledger
        )

    def made(self, now: float = 0.0) -> Checkpoint:
        found = self.make(now=now)
        assert found is not None
        assert found.is_new
        assert found.problems == ()
        return found.checkpoint


@pytest.fixture
def project(home: Path, key: SigningKey) -> Made:
    return Made(home, key)


def test_checkpoints_grow_with_the_ledger(project: Made, key: SigningKey, home: Path) -> None:
    assert project.make() is None
    points = []
    for count in (1, 2, 7, 20):
        project.events.count = count
        point = project.made(now=float(count))
        assert (point.size, point.at, point.key) == (count, float(count), key.public.id)
        assert point.root == tree_root(project.events.leaves()).hex()
        assert key.public.verifies(point.signature, point.message)
        points.append(point)
    assert project.outside.read().lines == tuple(point.line for point in points)
    assert project.kept.source().lines == project.outside.read().lines
    assert home.stat().st_mode & 0o777 == 0o600


def test_nothing_is_made_before_it_is_due(project: Made) -> None:
    project.events.count = 3
    assert project.make(terms=CheckpointTerms()) is not None
    project.events.count = 4
    assert project.make(now=5.0, terms=CheckpointTerms()) is None
    assert project.make(now=4000.0, terms=CheckpointTerms()) is not None


def test_without_new_events_the_last_one_is_written_where_it_is_missing(project: Made) -> None:
    project.events.count = 3
    point = project.made()
    Path(project.outside.read().reader).unlink()
    again = project.make()
    assert again == MadeCheckpoint(checkpoint=point, is_new=False)
    assert project.outside.read().lines == (point.line,)


@dataclass(slots=True)
class Broken:
    """A place that fails as long as it has a `fault`."""

    fault: str = "no network"
    name: str = "network"
    written: list[Checkpoint] = field(default_factory=list)

    def write(self, checkpoints: Sequence[Checkpoint]) -> None:
        if self.fault:
            raise StorageError(self.fault)
        self.written = [*checkpoints]

    def read(self) -> CheckpointSource | None:
        if self.fault:
            raise StorageError(self.fault)
        return None


def test_a_place_that_fails_is_shown_and_gets_all_later(home: Path, key: SigningKey) -> None:
    place = Broken()
    project = Made(home, key, place)
    project.events.count = 3
    found = project.make()
    assert found is not None
    assert (found.is_new, found.problems) == (
        True,
        ("the checkpoint wasn't written outside: no network",),
    )
    place.fault = ""
    project.events.count = 5
    project.made()
    assert [each.size for each in place.written] == [3, 5]


def test_a_place_that_failed_is_tried_again_before_the_next_one_is_due(
    home: Path, key: SigningKey
) -> None:
    place, other = Broken(), Broken(fault="", name="other")
    project = Made(home, key, place, other)
    project.events.count = 3
    assert project.make(terms=CheckpointTerms()) is not None
    other.written.clear()
    project.events.count = 4
    # As long as it fails, that is said.
    for _ in range(2):
        again = project.make(now=5.0, terms=CheckpointTerms())
        assert again is not None
        assert (again.is_new, again.problems) == (
            False,
            ("the checkpoint wasn't written outside: no network",),
        )
    place.fault = ""
    again = project.make(now=6.0, terms=CheckpointTerms())
    assert again is not None
    assert (again.is_new, again.problems) == (False, ())
    assert [each.size for each in place.written] == [3]
    assert other.written == []
    assert project.make(now=7.0, terms=CheckpointTerms()) is None


def test_a_place_with_another_ledger_gets_nothing_when_it_is_back(
    project: Made, home: Path
) -> None:
    project.events.count = 5
    project.made()
    kept = project.outside.read()
    outside = home.parent.parent / "outside.jsonl"
    outside.rename(outside.with_suffix(".away"))
    outside.mkdir()
    home.unlink()
    home.with_name("checkpoints.written").unlink()
    project.events.changed = {1}
    made = project.make(terms=CheckpointTerms())
    assert made is not None
    assert made.problems
    outside.rmdir()
    outside.with_suffix(".away").rename(outside)
    with pytest.raises(StorageError, match="has 1 checkpoint by this key, and none of this ledger"):
        project.make(now=1.0, terms=CheckpointTerms())
    assert project.outside.read() == kept


def test_a_checkpoint_is_made_although_it_can_not_be_noted_where_it_is(
    project: Made, home: Path
) -> None:
    project.events.count = 3
    home.with_name("checkpoints.tmp").mkdir()
    made = project.make()
    assert made is not None
    assert made.is_new
    [problem] = made.problems
    assert problem.startswith("it isn't noted where the checkpoint was written: ")
    assert [each.checkpoint.size for each in project.kept.read()] == [3]
    assert len(project.outside.read().lines) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda events: events.changed.add(2), "the hash chain is broken at event 4"),
        (lambda events: setattr(events, "count", 2), "fewer events than its last checkpoint"),
    ],
)
def test_a_ledger_that_does_not_continue_the_last_one_gets_none(
    project: Made, change: Callable[[Events], None], message: str
) -> None:
    project.events.count = 3
    project.made()
    project.events.count = 5
    change(project.events)
    with pytest.raises(StorageError, match=f"{message}.*audit verify"):
        project.make(now=4000.0, terms=CheckpointTerms())
    assert len(project.outside.read().lines) == 1


def test_events_that_cannot_be_read_or_are_missing_get_none(project: Made) -> None:
    project.events.count = 3
    unreadable = replace(project.maker, read=lambda _, __: ["event 1 is damaged"])
    with pytest.raises(StorageError, match="event 1 is damaged: no checkpoint is made"):
        unreadable.make(now=0.0, terms=None, count=lambda: 3)
    later = [event for event in project.events.read(0, None) if not isinstance(event, str)][1:]
    gap = replace(project.maker, read=lambda _, __: later)
    with pytest.raises(StorageError, match="event 1 is missing: no checkpoint is made"):
        gap.make(now=0.0, terms=None, count=lambda: 3)


def test_a_home_that_was_rolled_back_with_its_copy_gets_none(project: Made, home: Path) -> None:
    project.events.count = 3
    project.made()
    before = home.read_bytes()
    project.events.count = 9
    project.made()
    home.write_bytes(before)
    for count in (5, 12):
        project.events.count = count
        project.events.changed = {4}
        with pytest.raises(StorageError, match=f"of 9 events that the ledger of {count} doesn't"):
            project.make()


def test_a_ledger_that_was_replaced_as_a_whole_gets_none(project: Made, home: Path) -> None:
    project.events.count = 5
    project.made()
    kept = project.outside.read()
    home.unlink()
    # Also its first event is another one, so that nothing outside is about it.
    project.events.changed = {1}
    with pytest.raises(StorageError, match="has 1 checkpoint by this key, and none of this ledger"):
        project.make()
    assert project.outside.read() == kept
    # Who began a new one says so, once.
    made = project.make(new_ledger=True)
    assert made is not None
    assert made.is_new
    project.events.count = 7
    assert project.made().size == 7


def test_of_two_at_once_one_makes_the_checkpoint(project: Made) -> None:
    project.events.count = 3
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda _: project.make(terms=CheckpointTerms()), range(4))]
    assert sum(each is not None for each in found) == 1
    assert len(project.kept.read()) == 1


def test_a_line_that_a_crash_cut_off_is_replaced(project: Made, home: Path) -> None:
    project.events.count = 3
    project.made()
    whole = home.read_bytes()
    home.write_bytes(whole + whole[:50])
    project.events.count = 4
    project.made()
    assert [each.checkpoint.size for each in project.kept.read()] == [3, 4]


def test_a_changed_copy_is_refused(project: Made, home: Path) -> None:
    project.events.count = 3
    project.made()
    home.write_bytes(home.read_bytes().replace(b'"size":3', b'"size":4'))
    project.events.count = 5
    with pytest.raises(StorageError, match=r"line 1: .*audit verify"):
        project.make()


def test_a_home_that_cannot_be_written_says_so(project: Made, home: Path) -> None:
    project.events.count = 3
    home.mkdir()
    with pytest.raises(StorageError, match="can't be read: Is a directory"):
        project.make()
    with pytest.raises(StorageError, match="can't be written: Is a directory"):
        project.kept.add(None)  # type: ignore[arg-type]
    home.rmdir()
    home.with_name(f"{home.name}.lock").unlink()
    home.parent.rmdir()
    with pytest.raises(StorageError, match="lock can't be written"):
        project.make()


def test_without_locks_it_works_as_well(project: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HAS_LOCKS", False)
    project.events.count = 3
    project.made()


def test_what_was_written_is_kept(home: Path) -> None:
    kept = HomeCheckpoints(home)
    assert kept.written == {}
    kept.set_written({"a file": 3})
    assert HomeCheckpoints(home).written == {"a file": 3}
    for text in ("", "[]", '{"a file": "x"}'):
        home.with_name("checkpoints.written").write_text(text)
        assert kept.written == {}
    missing = HomeCheckpoints(home.parent / "none" / "checkpoints.jsonl")
    with pytest.raises(StorageError, match="can't be written"):
        missing.set_written({})
    # Who may only read a home reads without the lock.
    with missing.reading():
        assert missing.source().lines == ()
