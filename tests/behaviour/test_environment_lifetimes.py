"""Environments that end: when their time is over, under a run, and when somebody else was quicker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.environments.io.test_environments import DEV, did, heads, opened, promoted, ran
from tests.support.tides import Before, Tides
from tidemill.core.errors import ConflictError, TidemillError, UsageError
from tidemill.project.project import Project
from tidemill.runs.io.lease import take_lease
from tidemill.workflow.environment import PRODUCTION

HOUR = 3600.0


class Clock:
    """A clock that is set forward."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tides(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Tides:
    monkeypatch.setattr("tidemill.project.clock.time.time", clock)
    made = Tides(tmp_path)
    for number in range(3):
        made.send(number)
    made.ok()
    return made


def names(tides: Tides) -> list[str]:
    with opened(tides) as project:
        return [found.name for found in project.environments.list()]


def create(tides: Tides, name: str = DEV, ttl: str = "2d", parent: str = PRODUCTION) -> None:
    with opened(tides) as project:
        project.environments.create(name, ttl=ttl, parent=parent)


def test_it_is_told_before_and_then_it_is_gone(tides: Tides, clock: Clock) -> None:
    create(tides)
    assert ran(tides, DEV).messages == ()
    clock.now += 43 * HOUR
    [told] = ran(tides, DEV).messages
    assert told == (
        "dev-ana expires in 5 h; to continue longer, create a branch of it: "
        "tidemill env create NAME --from dev-ana"
    )
    assert ran(tides).messages == ()
    clock.now += 5 * HOUR
    assert ran(tides).messages == ("dev-ana expired and was dropped",)
    assert names(tides) == [PRODUCTION]
    assert ran(tides).messages == ()
    assert ran(tides, DEV).messages == ("dev-ana is a new branch of prod",)


def test_nothing_is_done_in_what_expired(tides: Tides, clock: Clock) -> None:
    create(tides)
    tides.edit("value * 2", "value * 3")
    ran(tides, DEV)
    clock.now += 52 * HOUR
    before = heads(tides, DEV)
    for env, act in (
        (DEV, Project.run),
        (DEV, Project.plan),
        (PRODUCTION, lambda p: p.promote(DEV)),
    ):
        with (
            opened(tides, env) as project,
            pytest.raises(UsageError, match="'dev-ana' expired 4 h ago"),
        ):
            act(project)
    # It can still be looked at, and go on as a branch of it, for which it stays.
    assert heads(tides, DEV) == before
    new, tides.text = tides.text, tides.text.replace("value * 3", "value * 2")
    with opened(tides, DEV) as project, pytest.raises(UsageError, match="'dev-ana' expired"):
        project.promote(PRODUCTION)
    tides.text = new
    create(tides, "on", parent=DEV)
    assert did(promoted(tides, "on")) == {"raw": (0, 0), "doubled": (0, 3), "daily": (0, 3)}
    assert names(tides) == [PRODUCTION, DEV, "on"]
    with opened(tides) as project:
        assert project.environments.drop(["on"], expired=True).dropped == ("on", DEV)


def test_a_run_at_work_outlives_the_time(tides: Tides, clock: Clock) -> None:
    """Another run drops nothing under it; the next one does."""
    create(tides, ttl="20s")
    tides.send(3)
    told: list[tuple[str, ...]] = []

    def late(done: int, step: object) -> None:
        if not done:
            clock.now += 25
            told.append(ran(tides).messages)

    with opened(tides, DEV) as project:
        assert project.run(progress=Before(late), inline=True).exit_code == 0
        assert project.environments.drop(expired=True).dropped == (DEV,)
    assert told == [()]


def test_what_is_in_use_keeps_nothing_else_from_being_dropped(tides: Tides, clock: Clock) -> None:
    create(tides)
    create(tides, "other")
    clock.now += 60 * HOUR
    with opened(tides) as project:
        lease = take_lease(project.tools, DEV, {"host": "tern"}, 0.0)
        done = project.environments.drop(expired=True)
        assert (done.dropped, done.kept) == (("other",), {DEV: ()})
        with pytest.raises(ConflictError, match=f"active in {DEV}: a process on tern; try again"):
            project.environments.drop([DEV], expired=True)
        lease.close()


def meanwhile(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen once between the look at what there is and the drop."""
    place = "tidemill.environments.io.environments.take_lease"

    def slow(*arguments: Any) -> object:
        monkeypatch.setattr(place, take_lease)
        act()
        return take_lease(*arguments)

    monkeypatch.setattr(place, slow)


def test_who_begins_anew_under_a_name_loses_nothing(
    tides: Tides, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tides)
    clock.now += 60 * HOUR

    def anew() -> None:
        with opened(tides) as project:
            project.environments.drop([DEV])
            project.environments.create(DEV)

    for named in ((), (DEV,)):
        meanwhile(monkeypatch, anew)
        with opened(tides) as project:
            known = project.environments
            if named:
                with pytest.raises(ConflictError, match="another process dropped the environment"):
                    known.drop(named)
            else:
                assert known.drop(expired=True).dropped == ()
        assert names(tides) == [PRODUCTION, DEV]


def test_a_branch_that_begins_meanwhile_keeps_its_parent(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(tides)
    meanwhile(monkeypatch, lambda: create(tides, "deep", parent=DEV))
    with opened(tides) as project, pytest.raises(ConflictError, match="'deep' branched off"):
        project.environments.drop([DEV])
    assert names(tides) == [PRODUCTION, DEV, "deep"]


def test_a_branch_that_is_dropped_while_it_is_promoted(tides: Tides) -> None:
    """What it computed stays known, so the promotion goes on."""
    tides.edit("value * 2", "value * 3")
    ran(tides, DEV)
    tides.send(3)

    def drop(done: int, step: object) -> None:
        if not done:
            with opened(tides) as other:
                other.environments.drop([DEV])

    with opened(tides) as project:
        receipt = project.promote(DEV, progress=Before(drop))
    assert receipt.exit_code == 0
    assert did(receipt) == {"raw": (1, 0), "doubled": (1, 3), "daily": (1, 3)}


def test_of_two_promotions_at_once_one_is_told_what_to_do(tides: Tides) -> None:
    tides.edit("value * 2", "value * 3")
    ran(tides, DEV)
    said: list[TidemillError] = []

    def second() -> None:
        with opened(tides) as project:
            try:
                project.promote(DEV)
            except TidemillError as error:
                said.append(error)

    def another(done: int, step: object) -> None:
        if not done:
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()

    with opened(tides) as project:
        assert project.promote(DEV, progress=Before(another)).exit_code == 0
    [error] = said
    assert (error.exit_code, "use --wait 5m to run after it" in str(error)) == (6, True)
    assert did(promoted(tides)) == dict.fromkeys(("raw", "doubled", "daily"), (0, 0))
