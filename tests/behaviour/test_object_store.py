"""A project whose objects are in an object store: an S3 server here, or a folder elsewhere."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError

from tests.support.object_stores import s3_environment
from tests.support.tides import Tides, day, everything, flow_of, rebuilt
from tidemill.adapters.objectstore import artifacts as store_artifacts
from tidemill.adapters.objectstore.artifacts import StoreArtifacts
from tidemill.core.errors import StorageError, UsageError
from tidemill.operations.health import Level
from tidemill.project.doctor import examine
from tidemill.project.home_backup import HomeBackups
from tidemill.project.project import Project
from tidemill.project.settings import Settings
from tools import object_store

DAYS, YEARS_S = 4, 1e8


class StoreTides(Tides):
    """The project, with objects at a URL."""

    url = ""

    def open(self) -> Project:
        settings = Settings(root=self.root, workflow="tides", artifacts=self.url)
        project = Project(settings, flow_of(self.root, self.text), "prod")
        project.workspace.tools = self.change(project.tools)
        return project


@pytest.fixture(scope="module")
def s3() -> Iterator[None]:
    with s3_environment():
        yield


@pytest.fixture(params=["file", "s3"])
def tides(request: pytest.FixtureRequest, tmp_path: Path) -> StoreTides:
    found = StoreTides(tmp_path / "project")
    if request.param == "s3":
        request.getfixturevalue("s3")
        found.url = f"s3://{object_store.BUCKET}/{tmp_path.name}"
    else:
        found.url = f"file://{tmp_path}/elsewhere"
    for number in range(DAYS):
        found.send(number)
    return found


def store_of(tides: StoreTides) -> StoreArtifacts:
    artifacts = tides.open().tools.artifacts
    assert isinstance(artifacts, StoreArtifacts)
    return artifacts


def test_it_works_as_with_files(tides: StoreTides, tmp_path: Path) -> None:
    assert tides.ok() == everything(range(DAYS))
    assert tides.ok() == {}
    assert not (tides.root / ".tidemill" / "objects").exists()
    # Without the copies of this machine nothing is computed again.
    shutil.rmtree(tides.root / ".tidemill" / "cache")
    assert tides.ok() == {}
    tides.send(1, (5.0, 6.0))
    tides.edit("value * 2", "value * 3")
    tides.ok()
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


def test_an_object_that_is_gone_is_found_and_computed_again(tides: StoreTides) -> None:
    tides.ok()
    project = tides.open()
    bound = project.state().heads["doubled"].partitions[day(2)]
    [name] = bound.product.objects
    project.close()
    store_of(tides).remove([name])
    with tides.open() as project:
        found = project.stored_state.verify()
    assert [name in str(problem) for problem in found.problems] == [True]
    assert tides.ok() == {"ok run doubled": [day(2)]}
    with tides.open() as project:
        assert project.stored_state.verify().problems == ()


def test_a_copy_that_was_damaged_is_fetched_again(tides: StoreTides, tmp_path: Path) -> None:
    tides.ok()
    for path in (tides.root / ".tidemill" / "cache" / "objects").rglob("*.parquet"):
        found = path.read_bytes()
        path.write_bytes(found[:40] + bytes(byte ^ 1 for byte in found[40:]))
    tides.edit("value * 2", "value * 3")
    assert "ok run doubled" in tides.ok()
    assert tides.ok() == {}
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


def test_a_store_that_damages_an_object_is_noticed(tides: StoreTides, tmp_path: Path) -> None:
    tides.ok()
    with tides.open() as project:
        [name] = project.state().heads["raw"].partitions[day(2)].product.objects
        artifacts = project.tools.artifacts
        assert isinstance(artifacts, StoreArtifacts)
        found = artifacts.get(name)
        damaged = found[:-1] + bytes([found[-1] ^ 1])
        obstore.put(artifacts._store, f"objects/{name[:2]}/{name}", damaged)
    shutil.rmtree(tides.root / ".tidemill" / "cache")
    tides.edit("value * 2", "value * 3")
    receipt = tides.run()
    assert (receipt.exit_code, tides.ran(receipt)["ok run raw"]) == (0, [day(2)])
    assert any("found 1 damaged object" in message for message in receipt.messages)
    assert tides.ok() == {}
    assert tides.contents() == rebuilt(tides, tmp_path / "fresh")


def test_a_sweep_deletes_what_nothing_needs(tides: StoreTides) -> None:
    tides.ok()
    before = {*store_of(tides).names()}
    tides.edit("value * 2", "value * 3")
    tides.ok()
    with tides.open() as project:
        heads = project.state().heads.values()
        bound = [each for head in heads for each in head.partitions.values()]
        needed = {name for each in bound for name in each.product.all_objects}
    assert before - needed
    tides.use(clock=lambda: time.time() + YEARS_S)
    with tides.open() as project:
        project.retention.sweep()
    assert {*store_of(tides).names()} == needed
    assert tides.ok() == {}


def test_another_home_cannot_use_the_same_place(tides: StoreTides, tmp_path: Path) -> None:
    tides.ok()
    other = StoreTides(tmp_path / "other")
    other.url = tides.url
    other.send(0)
    with pytest.raises(StorageError, match="belong to another home"):
        other.run()
    assert tides.ok() == {}


def test_a_backup_says_where_the_objects_are(tides: StoreTides, tmp_path: Path) -> None:
    tides.ok()
    with tides.open() as project, pytest.raises(UsageError, match=f"are in {tides.url}"):
        HomeBackups(project.workspace).back_up(tmp_path / "backup")


def test_doctor_says_whether_a_store_can_be_used(tides: StoreTides) -> None:
    tides.root.joinpath("pyproject.toml").write_text(
        f'[tool.tidemill]\nworkflow = "nothing:here"\nartifacts = "{tides.url}"\n', encoding="utf-8"
    )
    [found] = [each for each in examine(tides.root, connect=True) if each.area == "objects"]
    how = "refuses" if tides.url.startswith("file:") else "doesn't refuse"
    expected = f"{tides.url} can be read and written; it {how} to replace an object"
    assert (found.level, found.text) == (Level.OK, expected)


@pytest.mark.usefixtures("s3")
def test_doctor_says_why_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.tidemill]\nworkflow = "nothing:here"\nartifacts = "s3://nothing/here"\n',
        encoding="utf-8",
    )
    [found] = [each for each in examine(tmp_path, connect=True) if each.area == "objects"]
    assert found.level is Level.FAULT
    assert "s3://nothing/here can't be used" in found.text


class Failing:
    """The functions of obstore, of which the call numbered `at` and all later ones fail."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __getattr__(self, name: str) -> Any:
        real = getattr(obstore, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise GenericError("Generic S3 error: the network is down\n\nDebug source: ...")
            return real(*arguments, **options)

        return call


def test_a_store_that_goes_away_at_any_request_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Tides(tmp_path / "files")
    for number in range(DAYS):
        files.send(number)
    files.ok()
    tried = 0
    for at in count(0, 3):
        tides = StoreTides(tmp_path / f"{at}")
        tides.url = f"file://{tmp_path}/store-{at}"
        shutil.copytree(files.root / "data", tides.root / "data", dirs_exist_ok=True)
        asked = Failing(at)
        with monkeypatch.context() as patched:
            patched.setattr(store_artifacts, "obstore", asked)
            why = fault_of(tides)
        if not why:
            break
        assert "the network is down; check its address" in why
        assert asked.left < 0
        tides.run(inline=True)
        assert tides.ok(inline=True) == {}
        assert tides.contents() == files.contents()
        tried += 1
    assert tried > 10


def fault_of(tides: StoreTides) -> str:
    """Why a run fails; "" if it doesn't."""
    try:
        receipt = tides.run(inline=True)
    except StorageError as error:
        return str(error)
    return "\n".join([*(each.why for each in receipt.failures), *receipt.messages])
