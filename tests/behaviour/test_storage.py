"""A full disk, objects that are gone or damaged: said clearly, and the next run makes it good."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.behaviour.test_models import WINDOW, Sea
from tests.support.tides import CHAIN, STAGES, Tides, day, everything, rebuilt
from tidemill.adapters.files import artifacts as files
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.core.errors import ConflictError, StorageError
from tidemill.ledger.io.lease_holder import is_dead, this_process
from tidemill.ledger.run import Status
from tidemill.planning.plan import Plan
from tidemill.planning.planner import make_plan
from tidemill.ports.ledger import Lease


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    tides = Tides(tmp_path / "project")
    for number in range(4):
        tides.send(number, (1.0, float(number)))
    return tides


def sound(tides: Tides) -> None:
    """Everything that is bound exists."""
    project = tides.open()
    for head in project.state().heads.values():
        for binding in head.partitions.values():
            assert not project.tools.artifacts.find_missing(binding.product.all_objects)


def objects(tides: Tides, stage: str, number: int) -> list[Path]:
    """The files of a partition's objects."""
    project = tides.open()
    product = project.state().heads[stage].partitions[day(number)].product
    return [Path(project.tools.artifacts.uri(name)) for name in product.objects]


def at(nth: int, then: Callable[[], None]) -> Callable[[], None]:
    """Do something at the n-th call."""
    calls = 0

    def called() -> None:
        nonlocal calls
        calls += 1
        if calls == nth:
            then()

    return called


@pytest.mark.parametrize("nth", [1, 2, 7, 12])
def test_a_full_disk_is_said_and_the_next_run_goes_on(
    tides: Tides, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nth: int
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before, count = files._write_all, at(nth, full)

    def fill(file: Any, payload: bytes) -> None:
        count()
        before(file, payload)

    with monkeypatch.context() as patch:
        patch.setattr(files, "_write_all", fill)
        with pytest.raises(StorageError, match=r"no space left for .*objects.*free some space"):
            tides.run()
    sound(tides)
    [info] = tides.open().runs()
    assert info.status == Status.FAILED
    assert info.receipt is not None
    done = sum(map(len, tides.published().values()))
    assert done < nth
    # What wasn't stored has failed, by the ledger as by the receipt.
    tried = tides.ran(info.receipt)
    ended = [(stage.ran, stage.failed) for stage in info.receipt.stages]
    assert sum(len(days) for name, days in tried.items() if name.startswith("ok")) == done
    assert sum(ran for ran, _ in ended) == done
    assert sum(failed for _, failed in ended) == sum(
        len(days) for name, days in tried.items() if name.startswith("failed")
    )
    assert "its output wasn't stored: no space left" in info.receipt.failures[0].why
    ran = tides.ok()
    assert sum(map(len, ran.values())) == 12 - done
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


# The appends of a run: it started, ..., it ended. The last is found out below.
@pytest.mark.parametrize("nth", [1, 2, 3, -1])
def test_a_ledger_that_cannot_be_written_is_said_and_nothing_is_half_published(
    tides: Tides, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nth: int
) -> None:
    def full() -> None:
        raise StorageError("no space left for the ledger")

    before = SqliteLedger.append
    count = at(nth, full)

    def append(self: SqliteLedger, events: Any, **more: Any) -> int:
        last = any(type(event).__name__ == "RunEnded" for event in events)
        if nth > 0:
            count()
        elif last:
            full()
        return before(self, events, **more)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteLedger, "append", append)
        with pytest.raises(StorageError, match="no space left for the ledger"):
            tides.run()
    sound(tides)
    receipt = tides.run()
    assert receipt.exit_code == 0
    assert all(run.status != Status.RUNNING for run in tides.open().runs())
    assert tides.ok() == {}
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A folder on a disk of its own, as far as this user may mount one."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this user can't mount a small disk")

    def resize(size: str) -> None:
        subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)

    try:
        yield resize
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_really_full(tides: Tides, tmp_path: Path) -> None:
    rng = Random(1)
    for number in range(12):
        tides.send(number, [rng.randrange(2**20) / 2**20 for _ in range(10_000)])
    with small_disk(tides.root / ".tidemill", "1200k") as resize:
        with pytest.raises(StorageError, match="no space left for"):
            tides.run()
        resize("64m")
        sound(tides)
        assert tides.run().exit_code == 0
        assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
        assert all(run.status != Status.RUNNING for run in tides.open().runs())


def test_a_lease_that_cannot_be_released_does_not_stop_the_next_run(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(ledger: SqliteLedger, lease: Lease) -> None:
        raise StorageError("no space left for the ledger")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteLedger, "release", full)
        assert tides.run().exit_code == 0
        assert tides.run().exit_code == 0
        # Another process can't know that it has ended; for it the lease expires.
        with pytest.raises(ConflictError, match="'run:prod' is held by"):
            elsewhere(tides)
    assert tides.run().exit_code == 0
    elsewhere(tides)


def elsewhere(tides: Tides) -> None:
    """Take the lease of a run as another process does."""
    project = tides.open()
    try:
        ledger, now = project.tools.ledger, project.tools.clock()
        ledger.release(
            ledger.acquire("run:prod", this_process("elsewhere"), now=now, ttl=30.0, dead=is_dead)
        )
    finally:
        project.close()


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    tides = Tides(tmp_path)
    (tmp_path / ".tidemill").write_text("in the way")
    with pytest.raises(StorageError, match=r"\.tidemill can't be written"):
        tides.run()


def test_an_object_that_is_gone_is_made_anew_once_it_is_needed(tides: Tides) -> None:
    tides.ok()
    before = tides.read("raw", day(1))
    [path] = objects(tides, "raw", 1)
    path.unlink()
    # Nothing reads it, so nothing is missed; a reader is told.
    assert tides.ok() == {}
    with pytest.raises(
        StorageError, match=r"1 object of raw is missing .*tidemill run raw --again"
    ):
        tides.read("raw", day(1))
    tides.edit("value * 2", "value * 3")
    [step] = [step for step in tides.open().plan().steps if step.stage == "raw"]
    assert (step.partition, step.reasons) == (day(1), ("its stored object is missing",))
    ran = tides.ok()
    assert ran["ok run raw"] == [day(1)]
    assert ran["ok run doubled"] == [day(n) for n in range(4)]
    assert_frame_equal(tides.read("raw", day(1)), before)
    assert tides.ok() == {}


def test_a_long_chain_whose_objects_are_gone_is_not_planned_stage_by_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["doubled", *(f"more_{n}" for n in range(8))]
    added = [
        f"\n\n@flow.transform\ndef {name}({before}: tm.Frame[Doubled]) -> tm.Frame[Doubled]:\n"
        f'    return {before}.with_columns(double=pl.col("double") + {n})\n'
        for n, (before, name) in enumerate(pairwise(names), start=1)
    ]
    tides = Tides(tmp_path / "long", CHAIN + "".join(added))
    for number in range(3):
        tides.send(number)
    tides.ok()
    for name in ("raw", *names[:-1]):
        for path in objects(tides, name, 1):
            path.unlink()
    tides.edit("+ 8", "+ 9")
    made = list[Plan]()

    def noted(*args: Any, **options: Any) -> Plan:
        made.append(make_plan(*args, **options))
        return made[-1]

    monkeypatch.setattr("tidemill.project.plans.make_plan", noted)
    planned = {(step.stage, step.partition) for step in tides.open().plan().steps}
    assert planned == {(names[-1], day(n)) for n in range(3)} | {
        (name, day(1)) for name in ("raw", *names, "daily")
    }
    assert len(made) == 2
    tides.ok()
    sound(tides)


def test_an_object_of_a_trace_that_is_gone_is_made_anew(tides: Tides) -> None:
    tides.ok()
    gone = objects(tides, "doubled", 1)
    tides.edit("value * 2", "value * 3")
    tides.ok()
    gone[0].unlink()
    tides.edit("value * 3", "value * 2")
    ran = tides.ok()
    assert ran["bound bind doubled"] == [day(n) for n in (0, 2, 3)]
    # It was planned to be bound, and had to be computed.
    assert ran["ok bind doubled"] == [day(1)]
    sound(tides)


def test_a_model_that_is_gone_is_trained_again_once_it_is_needed(tmp_path: Path) -> None:
    sea = Sea(tmp_path)
    for number in range(WINDOW):
        sea.flood(number)
    sea.ok()
    project = sea.open()
    artifact = project.state().live["model"].artifact
    Path(project.tools.artifacts.uri(artifact.object)).unlink()
    assert sea.ok() == {}
    sea.flood(WINDOW)
    [step] = [step for step in sea.open().plan().steps if step.action == "train"]
    assert step.reasons == ("its stored object is missing",)
    assert sea.run().exit_code == 0
    assert sea.delivered()[day(WINDOW)] == 9.0


def test_features_that_are_gone_are_made_anew_to_be_delivered(tmp_path: Path) -> None:
    sea = Sea(tmp_path)
    for number in range(WINDOW):
        sea.flood(number)
    sea.ok("model")
    [path] = objects(sea, "features", 0)
    path.unlink()
    ran = sea.ok()
    assert ran["ok run features"] == [day(0)]
    assert ran["ok deliver out"] == [day(n) for n in range(WINDOW)]


def test_quarantined_rows_that_are_gone(tides: Tides) -> None:
    tides.send(0, (1.0, 5000.0))
    tides.ok()
    project = tides.open()
    product = project.state().heads["raw"].partitions[day(0)].product
    assert product.quarantine is not None
    Path(project.tools.artifacts.uri(product.quarantine)).unlink()
    with pytest.raises(StorageError, match="object of raw is missing"):
        tides.quarantined("raw")
    tides.ok("raw", again=True)
    assert tides.quarantined("raw")["value"].to_list() == [5000.0]


def test_many_partitions_pass_through_memory_of_a_bounded_size(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What no longer fits is read back from the store.
    monkeypatch.setattr("tidemill.store.frames._KEEP_BYTES", 60)
    assert tides.ok() == everything(range(4))
    assert tides.read("daily")["total"].to_list() == [2.0, 4.0, 6.0, 8.0]
    assert set(tides.published()) == set(STAGES)
    assert isinstance(pl.read_parquet(objects(tides, "raw", 0)[0]), pl.DataFrame)
