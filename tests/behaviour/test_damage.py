"""Stored objects that were damaged: no wrong value is ever published, and the next run repairs them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.behaviour.test_models import WINDOW, Sea
from tests.support.damage import DAMAGES, copy_home, flip, object_files, swap
from tests.support.tides import Tides, day, rebuilt
from tidemill.analysis.hashing import parquet_seal
from tidemill.core.errors import DamagedObjectError
from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Status
from tidemill.store import frames as store_frames

DAYS = 3


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Tides:
    """A project that was built once; tests damage copies of it."""
    tides = Tides(tmp_path_factory.mktemp("built") / "project")
    for number in range(DAYS):
        tides.send(number, [float(number), 2.0, 5000.0, *map(float, range(40))])
    tides.run()
    return tides


@pytest.fixture
def tides(built: Tides, tmp_path: Path) -> Tides:
    return copy_home(built, tmp_path / "copy")


def damaged(tides: Tides) -> list[str]:
    project = tides.open()
    try:
        return list(project.tools.artifacts.names(damaged=True))
    finally:
        project.close()


def require_repaired(tides: Tides, fresh: Path) -> None:
    """Everything is as if it had never been damaged."""
    assert damaged(tides) == []
    assert tides.contents() == rebuilt(tides, fresh)
    assert tides.ok() == {}
    project = tides.open()
    try:
        for stage in tides.published():
            project.read(stage).collect()
            names = [
                name
                for bound in project.state().heads[stage].partitions.values()
                for name in bound.product.all_objects
            ]
            for name in names:
                project.tools.artifacts.get(name)
    finally:
        project.close()


@pytest.mark.parametrize("kind", ["as written", "sealed"])
@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_input_is_computed_again_and_then_read(
    tides: Tides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, kind: str
) -> None:
    if kind == "sealed":
        monkeypatch.setattr(parquet_seal, "SMALL_BYTES", 0)
        tides.ok("raw", again=True)
    path = object_files(tides, "raw", day(1))[0]
    DAMAGES[how](path)
    tides.edit("value * 2", "value * 3")
    receipt = tides.run()
    assert (receipt.exit_code, receipt.status) == (0, Status.OK)
    assert any("found 1 damaged object" in message for message in receipt.messages)
    assert tides.ran(receipt)["ok run raw"] == [day(1)]
    first = tides.open().runs()[1]
    assert first.status is Status.FAILED
    require_repaired(tides, tmp_path / "fresh")


def test_the_plan_says_what_is_damaged_and_what_reads_it_runs_after_it(tides: Tides) -> None:
    [path, _] = object_files(tides, "raw", day(1))
    flip(path, 60)
    with pytest.raises(DamagedObjectError, match=r"raw|is damaged"):
        tides.read("raw")
    # Now it is known; although nothing else changed, it is computed again.
    plan = tides.open().plan()
    assert [(s.stage, s.partition, s.reasons) for s in plan.steps if not s.unlikely][:1] == [
        ("raw", day(1), ("stored object damaged",))
    ]
    assert tides.ok() == {"ok run raw": [day(1)]}
    assert tides.ok() == {}


def test_two_objects_that_were_swapped_are_noticed(tides: Tides, tmp_path: Path) -> None:
    one, other = (object_files(tides, "raw", day(number))[0] for number in (0, 1))
    swap(one, other)
    tides.edit("value * 2", "value * 3")
    receipt = tides.run()
    assert receipt.exit_code == 0
    assert tides.ran(receipt)["ok run raw"] == [day(0), day(1)]
    require_repaired(tides, tmp_path / "fresh")


def test_an_object_of_the_same_place_from_before_is_noticed(tides: Tides, tmp_path: Path) -> None:
    old = object_files(tides, "raw", day(0))[0].read_bytes()
    tides.send(0, [7.0, 8.0])
    tides.ok()
    object_files(tides, "raw", day(0))[0].write_bytes(old)
    tides.edit("value * 2", "value * 3")
    assert tides.run().exit_code == 0
    require_repaired(tides, tmp_path / "fresh")


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_quarantined_rows_are_named_and_computed_again(
    tides: Tides, tmp_path: Path, how: str
) -> None:
    DAMAGES[how](object_files(tides, "raw", day(1))[1])
    with pytest.raises(DamagedObjectError, match="is damaged"):
        tides.quarantined("raw")
    assert tides.ok() == {"ok run raw": [day(1)]}
    assert tides.quarantined("raw")["value"].to_list() == [5000.0] * DAYS
    require_repaired(tides, tmp_path / "fresh")


def test_running_again_replaces_a_damaged_object_that_nobody_noticed(
    tides: Tides, tmp_path: Path
) -> None:
    [path, _] = object_files(tides, "raw", day(1))
    good = path.read_bytes()
    flip(path, 60)
    tides.ok("raw", again=True)
    assert path.read_bytes() == good
    require_repaired(tides, tmp_path / "fresh")


def test_a_reused_result_that_is_damaged_is_computed(tides: Tides, tmp_path: Path) -> None:
    [path] = object_files(tides, "doubled", day(1))
    tides.edit("value * 2", "value * 3")
    tides.ok()
    flip(path, 60)
    tides.edit("value * 3", "value * 2")
    # It is bound without being read, and noticed by the first reader.
    tides.ok()
    with pytest.raises(DamagedObjectError):
        tides.read("doubled")
    assert tides.ok() == {"ok run doubled": [day(1)]}
    require_repaired(tides, tmp_path / "fresh")


def test_a_column_that_is_not_read_costs_nothing_and_may_be_damaged(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_seal, "SMALL_BYTES", 0)
    tides.ok("raw", again=True)
    [path, _] = object_files(tides, "raw", day(1))
    project = tides.open()
    names = [*pl.read_parquet_schema(path)]
    flip(path, 8)
    rest = names[1:]
    assert project.read("raw", day(1)).select(rest).collect().height == 42
    with pytest.raises(DamagedObjectError):
        project.read("raw", day(1)).select(names[0]).collect()
    project.close()


def test_a_profile_is_verified_before_it_is_read(
    tides: Tides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.store.profiles.SMALL", 0)
    tides.ok("raw", again=True)
    [path, _] = object_files(tides, "raw", day(1))
    payload = path.read_bytes()
    at = payload.index(b"tidemill.profile")
    flip(path, at + 40, 1)
    project = tides.open()
    with pytest.raises(DamagedObjectError):
        project.profile("raw")
    project.close()
    assert tides.ok() == {"ok run raw": [day(1)]}
    assert tides.open().profile("raw").rows == DAYS * 42


def test_what_changes_while_it_is_read_is_not_published(
    tides: Tides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (object_files(tides, "raw", day(number))[0] for number in (0, 1))
    before, calls = pl.scan_parquet, list[object]()

    def swap_first(source: object, **options: object) -> pl.LazyFrame:
        if not calls:
            # After they were verified. Both are sound files with the same columns.
            swap(one, other)
        calls.append(source)
        return before(source, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pl, "scan_parquet", swap_first)
    tides.edit("value * 2", "value * 3")
    assert tides.run().exit_code == 0
    require_repaired(tides, tmp_path / "fresh")


def test_an_object_without_checksums_is_verified_by_its_name(
    tides: Tides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(store_frames, "_sealed", lambda buffer: (buffer.getvalue(), ".parquet"))
        tides.ok("raw", again=True)
    [path, _] = object_files(tides, "raw", day(1))
    assert len(path.name) == 64 + len(".parquet")
    tides.edit("value * 2", "value * 3")
    tides.ok()
    flip(path, 60)
    tides.edit("value * 3", "value * 4")
    assert tides.run().exit_code == 0
    # It is stored under a name with a checksum now.
    assert object_files(tides, "raw", day(1))[0] != path
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")
    assert tides.ok() == {}


def sea(root: Path) -> Sea:
    sea = Sea(root)
    for number in range(WINDOW):
        sea.flood(number)
    sea.ok()
    return sea


@pytest.mark.parametrize("how", ["data", "cut"])
def test_a_damaged_model_is_trained_again(tmp_path: Path, how: str) -> None:
    tides = sea(tmp_path)
    path, _golden_rows = object_files(tides, "model", WHOLE)
    good = path.read_bytes()
    flip(path, 0) if how == "data" else path.write_bytes(good[:1])
    tides.flood(WINDOW)
    receipt = tides.run()
    assert receipt.exit_code == 0
    assert path.read_bytes() == good
    assert tides.delivered()[day(WINDOW)] == 9.0
    assert damaged(tides) == []
    # The live model couldn't be evaluated while it was damaged.
    assert tides.ok() == {"bound bind scores": ["live"]}
    assert tides.ok() == {}


@pytest.mark.parametrize("number", [0, 1], ids=["model", "golden rows"])
def test_a_damaged_object_of_a_model_is_repaired_without_new_data(
    tmp_path: Path, number: int
) -> None:
    tides = sea(tmp_path)
    path = object_files(tides, "model", WHOLE)[number]
    good = path.read_bytes()
    flip(path, 0)
    project = tides.open()
    [fault] = project.stored_state.verify().problems
    assert (fault.object, fault.place, fault.repaired) == (path.name, "model all", False)
    [fault] = project.stored_state.verify(repair=True).problems
    assert (fault.object, fault.repaired) == (path.name, True)
    assert path.read_bytes() == good
    assert project.stored_state.verify().problems == ()
    project.close()


def test_golden_rows_of_a_live_model_that_is_not_the_newest_are_verified(tmp_path: Path) -> None:
    tides = sea(tmp_path)
    path = object_files(tides, "model", WHOLE)[1]
    # The next training has other rows, and is worse, so that its gates refuse it.
    tides.flood(WINDOW, 3.0)
    tides.edit("9.0", "99.0")
    assert tides.run(train=["model"]).exit_code == 4
    assert path not in object_files(tides, "model", WHOLE)
    flip(path, 0)
    project = tides.open()
    [fault] = project.stored_state.verify(repair=True).problems
    assert (fault.object, fault.place) == (path.name, "live model model")
    # Nothing trains that version: its training isn't declared any more.
    assert not fault.repaired
    project.close()


def test_damaged_features_of_a_model_are_computed_before_it_is_trained(tmp_path: Path) -> None:
    tides = sea(tmp_path)
    [path] = object_files(tides, "features", day(1))
    flip(path, 60)
    receipt = tides.run(train=["model"])
    assert receipt.exit_code == 0
    assert tides.ran(receipt)["ok run features"] == [day(1)]
    assert damaged(tides) == []


def test_a_damaged_delivery_is_made_again(tmp_path: Path) -> None:
    tides = sea(tmp_path)
    [path] = object_files(tides, "out", day(1))
    flip(path, 60)
    project = tides.open()
    with pytest.raises(DamagedObjectError):
        project.tools.artifacts.get(path.name)
    project.close()
    assert tides.ok() == {"ok deliver out": [day(1)]}
    assert damaged(tides) == []
