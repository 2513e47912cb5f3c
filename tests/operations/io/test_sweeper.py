"""Sweeps of a small home: what somebody decided keeps also what a step recorded again, or what is marked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.support.swept_home import DAY, HOUR, LONG, OTHER, SETTINGS, SHOP, SweptHome
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import StorageError
from tidemill.ledger.event import Published
from tidemill.ledger.governance_events import ReviewOpened
from tidemill.ledger.policy import SubjectKind
from tidemill.ledger.retention_events import SweepMarked
from tidemill.ledger.retention_settings import RetentionSettings, StageRetention
from tidemill.ports.upkeep import StoredObject
from tidemill.testing import records as samples


@pytest.fixture
def home(tmp_path: Path) -> SweptHome:
    return SweptHome(tmp_path)


def record(home: SweptHome, run: str, rows: int, stage: str = "a") -> str:
    """Record other rows of one step in a run; return the object with them."""
    bound = home._compute(f"{stage} p 4", run, rows)
    event = Published(environment="shop/prod", stage=stage, partition="p", binding=bound)
    home.ledger.append([event], now=home.now)
    return bound.product.objects[0]


def supersede(home: SweptHome) -> None:
    """Bind something else in place of what is recorded, long ago."""
    home.publish("shop/prod", "a", "p", 0)
    home.now += LONG


def is_stored(home: SweptHome, name: str) -> bool:
    return name in home.stored()


def test_a_pinned_run_keeps_its_rows_when_another_one_recorded_the_step_again(
    home: SweptHome,
) -> None:
    first, second = record(home, "run-1", 1), record(home, "run-2", 2)
    supersede(home)
    home.pin("run-1", pinned=True)
    assert home.sweep() is not None
    assert is_stored(home, first)
    home.pin("run-1", pinned=False)
    assert home.sweep() is not None
    assert not is_stored(home, first)
    assert not is_stored(home, second)


def test_a_pinned_run_keeps_rows_that_were_swept_and_recorded_again(home: SweptHome) -> None:
    first = record(home, "run-1", 1)
    supersede(home)
    assert home.sweep() is not None
    assert not is_stored(home, first)
    assert record(home, "run-2", 1) == first
    home.pin("run-1", pinned=True)
    supersede(home)
    assert home.sweep() is not None
    assert is_stored(home, first)


def test_an_open_review_keeps_its_rows_when_another_run_recorded_them_again(
    home: SweptHome,
) -> None:
    first = record(home, "run-1", 1)
    review = replace(samples.review("r1"), kind=SubjectKind.TABLE, name="a", artifact="")
    home.ledger.append([ReviewOpened(environment="shop/prod", review=review)], now=home.now)
    record(home, "run-2", 2)
    supersede(home)
    assert home.sweep() is not None
    assert is_stored(home, first)


@pytest.mark.parametrize("target", ["a", "a@p", "run-1", "object"])
def test_a_pin_keeps_what_is_marked_already(home: SweptHome, target: str) -> None:
    """The objects wait for a run that is active."""
    name = record(home, "run-1", 1)
    supersede(home)
    lease = home.begin_run("shop/dev")
    assert lease is not None
    found = home.sweep()
    assert found is not None
    assert found.waits
    home.pin(name if target == "object" else target, pinned=True)
    home.ledger.release(lease)
    found = home.sweep()
    assert found is not None
    assert is_stored(home, name)
    assert [note.partition(":")[0] for note in found.notes] == ["1 marked object kept"]
    home.pin(name if target == "object" else target, pinned=False)
    assert home.sweep() is not None
    assert not is_stored(home, name)


def test_a_hold_of_a_stage_keeps_what_is_marked_already(home: SweptHome) -> None:
    name = record(home, "run-1", 1)
    supersede(home)
    lease = home.begin_run("shop/dev")
    assert lease is not None
    home.sweep()
    home.ledger.release(lease)
    home.settings[SHOP] = replace(SETTINGS, stages={"a": StageRetention(hold=True)})
    home.sweep()
    assert is_stored(home, name)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_is_pinned_between_mark_and_deletion_stays(home: SweptHome, moment: str) -> None:
    name, told = record(home, "run-1", 1), list[str]()
    supersede(home)

    def pin() -> None:
        marked = [*home.ledger.events(kinds=(SweepMarked.__name__,))]
        if not told and bool(marked) == (moment == "after"):
            told.append(moment)
            home.pin("run-1", pinned=True)

    home.moments.between = pin
    home.sweep()
    assert told == [moment]
    assert is_stored(home, name)


def test_an_orphan_that_is_pinned_before_it_is_deleted_stays(
    home: SweptHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.orphan(0)
    home.orphan(1)
    home.now += DAY
    orphans = {*home.stored()} - {*home.needed()}
    pinned, list_stored = min(orphans), home.objects.stored

    def stored() -> Iterator[StoredObject]:
        yield from list_stored()
        home.pin(pinned, pinned=True)

    monkeypatch.setattr(home.objects, "stored", stored)
    home.sweep()
    assert is_stored(home, pinned)
    assert not is_stored(home, max(orphans))


@pytest.mark.parametrize(
    "settings", [replace(SETTINGS, hold=True), replace(SETTINGS, grace=10 * DAY)]
)
def test_an_orphan_stays_if_a_workflow_wants_that_before_it_is_deleted(
    home: SweptHome, monkeypatch: pytest.MonkeyPatch, settings: RetentionSettings
) -> None:
    home.orphan(0)
    home.now += DAY
    orphans, list_stored = {*home.stored()} - {*home.needed()}, home.objects.stored

    def stored() -> Iterator[StoredObject]:
        yield from list_stored()
        home.declare(OTHER, settings)

    monkeypatch.setattr(home.objects, "stored", stored)
    report = home.sweep()
    assert report is not None
    assert report.orphans == 0
    assert all(is_stored(home, name) for name in orphans)


def test_superseded_results_of_one_place(home: SweptHome) -> None:
    for stage, partition, version in product("ab", "pq", range(2)):
        home.publish("shop/prod", stage, partition, version)
    garbage = home.ledger.garbage

    def keys(*place: str) -> list[str]:
        return [each.key for each in garbage.superseded_results(home.now, *place)]

    assert keys() == ["a p 0", "a q 0", "b p 0", "b q 0"]
    assert keys("a") == ["a p 0", "a q 0"]
    assert keys("a", "q") == ["a q 0"]
    assert keys("c") == []


def test_a_ledger_that_cannot_be_written_loses_nothing(
    home: SweptHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, append = record(home, "run-1", 1), SqliteLedger.append
    supersede(home)

    def full(*given: Any, **more: Any) -> int:
        raise StorageError("no space left for the ledger")

    monkeypatch.setattr(SqliteLedger, "append", full)
    with pytest.raises(StorageError, match="no space left"):
        home.sweep()
    assert is_stored(home, name)
    monkeypatch.setattr(SqliteLedger, "append", append)
    assert home.sweep() is not None
    assert not is_stored(home, name)


def test_what_people_put_among_the_objects_stays(home: SweptHome, tmp_path: Path) -> None:
    name, objects = record(home, "run-1", 1), tmp_path / "objects"
    supersede(home)
    mine = tmp_path / "mine" / f"{'ab' * 32}.parquet"
    mine.parent.mkdir()
    mine.write_text("precious")
    foreign = [
        objects / "README",
        objects / "cd" / "notes.txt",
        objects / "ab" / "folder" / "deep.txt",
        # A file of an object's name in a folder of other ones, and a folder of such a name.
        objects / "ee" / f"{'ab' * 32}.parquet",
        objects / "ab" / f"{'ab' * 32}.w1.parquet" / "deep.txt",
    ]
    for each in foreign:
        each.parent.mkdir(exist_ok=True, parents=True)
        each.write_text("x")
    links = [objects / "zz", objects / "ab" / mine.name]
    links[0].symlink_to(mine.parent)
    links[1].symlink_to(mine)
    path = Path(home.objects.uri(name))
    path.unlink()
    path.mkdir()
    os.utime(path, (0, 0))
    found = home.sweep()
    assert found is not None
    assert [*found.failed] == [name]
    assert "it isn't a file" in found.failed[name]
    assert all(each.exists() for each in (*foreign, *links, mine, path))
    path.rmdir()
    found = home.sweep()
    assert found is not None
    assert found.failed == {}
    assert home.missing() == {}


def rebind(home: SweptHome, environment: str, versions: int) -> list[str]:
    """Publish several versions of a partition one after the other; return the keys."""
    for version in range(versions):
        home.publish(environment, "b", "p", version)
        home.now += HOUR
    return [f"b p {version}" for version in range(versions)]


def test_the_last_versions_count_in_each_environment(home: SweptHome) -> None:
    """A busy environment doesn't push those of another one out."""
    home.settings[SHOP] = replace(SETTINGS, keep_last=1)
    for name in ("shop/prod", "shop/dev"):
        home.publish(name, "b", "q", 0)
    home.publish("shop/prod", "b", "p", 3)
    home.now += HOUR
    home.publish("shop/prod", "b", "p", 4)
    home.now += HOUR
    rebind(home, "shop/dev", 3)
    home.now += LONG
    assert home.sweep() is not None
    every = [f"b p {version}" for version in range(5)]
    assert {*home.ledger.traces(every)} == {"b p 1", "b p 2", "b p 3", "b p 4"}
    home.drop("shop/dev")
    home.now += LONG
    assert home.sweep() is not None
    assert {*home.ledger.traces(every)} == {"b p 3", "b p 4"}


@pytest.mark.parametrize("prefix", [SHOP, OTHER])
def test_whoever_sweeps_each_workflow_keeps_what_it_says(home: SweptHome, prefix: str) -> None:
    home.declare(OTHER, replace(SETTINGS, keep_for=10 * DAY))
    mine, theirs = rebind(home, "shop/prod", 2), ["b q 0", "b q 1"]
    for version in range(2):
        home.publish("b/prod", "b", "q", version)
    home.now += 3 * DAY
    assert home.sweep(prefix) is not None
    assert {*home.ledger.traces([*mine, *theirs])} == {mine[1], *theirs}


def test_a_workflow_that_declared_nothing_keeps_all(home: SweptHome) -> None:
    bound = home._compute("a p 3")
    for key in ("a p 3", "a p 2"):
        event = Published(
            environment="c/prod", stage="a", partition="q", binding=replace(bound, key=key)
        )
        home.ledger.append([event], now=home.now)
    home.now += LONG
    assert home.sweep() is not None
    assert {*home.ledger.traces(["a p 3", "a p 2"])} == {"a p 3", "a p 2"}
