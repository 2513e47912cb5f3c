"""A project whose objects are in an object store: an S3 server here, or a folder elsewhere."""

from __future__ import annotations

import shutil
import time
from itertools import count
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError
from obstore.store import MemoryStore

from tests.support.commands import process
from tests.support.tides import Tides, day, everything, flow_of, rebuilt
from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.adapters.objectstore import artifacts as store_artifacts
from tidemill.adapters.objectstore import opened
from tidemill.adapters.objectstore.artifacts import StoreArtifacts
from tidemill.core.errors import StorageError, UsageError
from tidemill.operations.health import HealthFinding, Level
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


def sent(folder: Path, url: str) -> StoreTides:
    """A project whose files are there."""
    found = StoreTides(folder)
    found.url = url
    for number in range(DAYS):
        found.send(number)
    return found


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores of this process in place of those of S3."""
    stores: dict[str, MemoryStore] = {}
    monkeypatch.setattr(opened, "from_url", lambda url, **_: stores.setdefault(url, MemoryStore()))


@pytest.fixture(params=["memory", "s3"])
def far(request: pytest.FixtureRequest, tmp_path: Path) -> StoreTides:
    """A project with an object store."""
    request.getfixturevalue(request.param)
    return sent(tmp_path / "project", f"s3://{object_store.BUCKET}/{tmp_path.name}")


@pytest.fixture(params=["folder", "memory", "s3"])
def tides(request: pytest.FixtureRequest, tmp_path: Path) -> StoreTides:
    """A project with objects elsewhere."""
    if request.param == "folder":
        return sent(tmp_path / "project", f"file://{tmp_path}/elsewhere")
    request.getfixturevalue(request.param)
    return sent(tmp_path / "project", f"s3://{object_store.BUCKET}/{tmp_path.name}")


def store_of(tides: StoreTides) -> StoreArtifacts | FileArtifacts:
    artifacts = tides.open().tools.artifacts
    assert isinstance(artifacts, StoreArtifacts | FileArtifacts)
    return artifacts


def test_it_works_as_with_files(tides: StoreTides, tmp_path: Path) -> None:
    assert tides.ok() == everything(range(DAYS))
    assert tides.ok() == {}
    assert not (tides.root / ".tidemill" / "objects").exists()
    # Without the copies of this machine nothing is computed again.
    shutil.rmtree(tides.root / ".tidemill" / "cache", ignore_errors=True)
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


def test_a_copy_that_was_damaged_is_fetched_again(far: StoreTides, tmp_path: Path) -> None:
    far.ok()
    for path in (far.root / ".tidemill" / "cache" / "objects").rglob("*.parquet"):
        found = path.read_bytes()
        path.write_bytes(found[:40] + bytes(byte ^ 1 for byte in found[40:]))
    far.edit("value * 2", "value * 3")
    assert "ok run doubled" in far.ok()
    assert far.ok() == {}
    assert far.contents() == rebuilt(far, tmp_path / "fresh")


def test_a_store_that_damages_an_object_is_noticed(far: StoreTides, tmp_path: Path) -> None:
    far.ok()
    with far.open() as project:
        [name] = project.state().heads["raw"].partitions[day(2)].product.objects
        artifacts = project.tools.artifacts
        assert isinstance(artifacts, StoreArtifacts)
        found = artifacts.get(name)
        damaged = found[:-1] + bytes([found[-1] ^ 1])
        obstore.put(artifacts._store, f"objects/{name[:2]}/{name}", damaged)
    shutil.rmtree(far.root / ".tidemill" / "cache")
    far.edit("value * 2", "value * 3")
    receipt = far.run()
    assert (receipt.exit_code, far.ran(receipt)["ok run raw"]) == (0, [day(2)])
    assert any("found 1 damaged object" in message for message in receipt.messages)
    assert far.ok() == {}
    assert far.contents() == rebuilt(far, tmp_path / "fresh")


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
    other = sent(tmp_path / "other", tides.url)
    with pytest.raises(StorageError, match="belong to another home"):
        other.run()
    assert tides.ok() == {}
    with tides.open() as project:
        project.retention.sweep()


@pytest.mark.parametrize("place", [".tidemill", ".tidemill/cache"])
def test_a_folder_in_the_home_is_refused(tmp_path: Path, place: str) -> None:
    inside = sent(tmp_path, f"file://{tmp_path}/{place}")
    with pytest.raises(UsageError, match="lies in the home"):
        inside.run()


def test_a_backup_says_where_the_objects_are(tides: StoreTides, tmp_path: Path) -> None:
    tides.ok()
    with tides.open() as project, pytest.raises(UsageError, match=f"are in {tides.url}"):
        HomeBackups(project.workspace).back_up(tmp_path / "backup")


def test_doctor_says_whether_a_store_can_be_used(tides: StoreTides, tmp_path: Path) -> None:
    def examined(folder: Path) -> HealthFinding:
        (folder / "pyproject.toml").write_text(
            f'[tool.tidemill]\nworkflow = "no:thing"\nartifacts = "{tides.url}"\n', encoding="utf-8"
        )
        [found] = [each for each in examine(folder, connect=True) if each.area == "objects"]
        return found

    expected = f"{tides.url} can be read and written"
    assert examined(tides.root).text == expected
    assert not (tides.root / ".tidemill").exists()
    tides.ok()
    assert examined(tides.root).text == expected
    other = sent(tmp_path / "other", "")
    other.ok()
    found = examined(other.root)
    assert found.level is Level.FAULT
    assert "belong to another home" in found.text


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


@pytest.mark.usefixtures("memory")
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
        tides.url = f"s3://bucket/{at}"
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


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_worker_processes_use_the_same_store(
    request: pytest.FixtureRequest, tmp_path: Path, where: str
) -> None:
    """They open the project themselves."""
    assert process("init", "bakery", cwd=tmp_path).returncode == 0
    folder, url = tmp_path / "bakery", f"file://{tmp_path}/elsewhere"
    if where == "s3":
        request.getfixturevalue("s3")
        url = f"s3://{object_store.BUCKET}/{tmp_path.name}"
    settings, workflow = folder / "pyproject.toml", folder / "bakery.py"
    text = settings.read_text(encoding="utf-8")
    head = "[tool.tidemill]\n"
    settings.write_text(text.replace(head, f'{head}artifacts = "{url}"\n', 1), encoding="utf-8")
    text = workflow.read_text(encoding="utf-8")
    assert "@flow.transform\n" in text
    elsewhere = '@flow.transform(resources=tm.resources(lane="process"))\n'
    workflow.write_text(text.replace("@flow.transform\n", elsewhere), encoding="utf-8")
    done = process("run", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (folder / ".tidemill" / "objects").exists()
    assert "nothing to do" in process("plan", cwd=folder).stdout
