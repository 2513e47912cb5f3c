"""What may go to a cluster, and which workers are refused; none of it needs Ray."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tidemill as tm
from tidemill.adapters.clusters.host import machine_id, versions
from tidemill.adapters.clusters.worker_shape import WorkerShape
from tidemill.core.errors import UsageError
from tidemill.operations.health import Level
from tidemill.project import cluster_engine
from tidemill.project.doctor import examine
from tidemill.project.home_ledger import home_id
from tidemill.project.object_stores import open_artifacts
from tidemill.project.ray_settings import parse_ray_settings
from tidemill.project.settings import Settings
from tidemill.workflow.seal import seal


class Row(tm.Contract, version="1.0.0", key=("n",)):
    n = tm.Int64()


OWN = {"tidemill": "1.0", "python": "3.11.7", "polars": "2.1"}


def facts(settings: Settings, **others: Any) -> dict[str, Any]:
    """The facts of a worker on this machine, but for others."""
    found = {name: _read(name) for name in cluster_engine._markers(settings)}
    known = {"versions": versions(), "machine": machine_id(), "address": "node-7", "markers": found}
    return {**known, **others}


def _read(name: str) -> str | None:
    return Path(name).read_text() if Path(name).exists() else None


def admit(settings: Settings, found: dict[str, Any]) -> tuple[dict[str, str], str, list[str]]:
    """What a worker gets, and the archives that were sent."""
    sent: list[str] = []

    def unpack(digest: str, data: bytes | None) -> str:
        if data is None:
            return f"/known/{digest}" if digest in sent else ""
        sent.append(digest)
        return f"/new/{digest}"

    environment, output = cluster_engine._Admission(settings, "run-1")(found, unpack)
    return dict(environment), output, sent


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "shop.py").touch()
    made = Settings(root=tmp_path, workflow="shop:flow", executor="ray://head:10001")
    cluster_engine._markers(made)
    home_id(made)
    return made


@pytest.mark.skipif(not machine_id(), reason="this system doesn't tell machines apart")
def test_a_worker_of_this_machine_uses_this_folder(settings: Settings) -> None:
    environment, output, sent = admit(settings, facts(settings))
    assert (environment, sent) == ({}, [])
    assert output == str(settings.root / ".tidemill" / "logs" / "run-1")


@pytest.mark.parametrize(
    "others",
    [
        # Another machine, perhaps with the same folder by a network.
        {"machine": "other"},
        {"machine": ""},
        # A container of this machine, with other files.
        {"markers": {}},
    ],
)
def test_another_machine_needs_objects_that_it_can_read(
    settings: Settings, others: dict[str, Any]
) -> None:
    if others.get("markers") == {}:
        others = {"markers": dict.fromkeys(cluster_engine._markers(settings))}
    with pytest.raises(
        UsageError, match=r"node-7 .* is another machine and can't read the objects"
    ):
        admit(settings, facts(settings, **others))


def test_a_folder_with_objects_must_be_mounted_there(settings: Settings, tmp_path: Path) -> None:
    shared = tmp_path / "objects"
    far = Settings(
        root=settings.root,
        workflow=settings.workflow,
        executor=settings.executor,
        artifacts=f"file://{shared}",
    )
    open_artifacts(far)
    found = facts(far, machine="other")
    assert None not in found["markers"].values()
    _copy_of_nothing(far)
    environment, output, sent = admit(far, found)
    assert len(sent) == 2
    assert output == ""
    assert set(environment) == {"TIDEMILL_NODE_CODE", "TIDEMILL_NODE_HOME"}
    found["markers"] = {name: None for name in found["markers"]}
    with pytest.raises(UsageError, match="mount the folder there"):
        admit(far, found)


def test_another_machine_opens_a_shared_home_itself(settings: Settings, tmp_path: Path) -> None:
    """It gets only the id: there is no ledger here that could be packed."""
    far = replace(
        settings, home_url="postgresql://db.example/team", artifacts=f"file://{tmp_path}/objects"
    )
    open_artifacts(far)
    packed = {}

    def unpack(digest: str, data: bytes | None) -> str:
        if data is not None:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                packed[digest] = archive.getnames()
        return digest if digest in packed else ""

    found = facts(far, machine="other")
    environment, _ = cluster_engine._Admission(far, "run-1")(found, unpack)
    assert packed[environment["TIDEMILL_NODE_HOME"]] == ["home-id"]
    assert "shop.py" in packed[environment["TIDEMILL_NODE_CODE"]]


def _copy_of_nothing(settings: Settings) -> None:
    from tidemill.adapters.sqlite.ledger import SqliteLedger

    SqliteLedger(settings.root / ".tidemill" / "ledger.db").state("prod")


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        ({"tidemill": "0.9"}, "node-7 of the cluster has Tidemill 0.9 instead of 1.0"),
        ({"polars": ""}, "Polars missing instead of 2.1"),
        ({"python": "3.12.1", "polars": "2.2"}, "Python 3.12.1 instead of 3.11.7, Polars 2.2"),
    ],
)
def test_workers_with_other_versions_are_refused(theirs: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        cluster_engine.refuse_other_versions(
            {"address": "node-7", "versions": {**OWN, **theirs}}, OWN
        )


def test_workers_with_the_same_versions_are_used() -> None:
    cluster_engine.refuse_other_versions({"address": "node-7", "versions": OWN}, OWN)


class Connection:
    """A cluster that is asked what it has, in place of a connection."""

    def __init__(self, settings: Settings) -> None:
        if settings.executor == "gone:6379":
            raise UsageError("nothing answers")

    def describe(self, shape: WorkerShape) -> str:
        return f"2 nodes, of which 1 can hold a worker of {shape}"

    def close(self) -> None:
        pass


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_engine, "_connect", Connection)


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("executor", "level", "says"),
    [
        ("head:6379", Level.OK, "head:6379: 2 nodes, of which 1 can hold a worker of 2 CPUs"),
        ("slurm", Level.OK, "slurm: 2 nodes, of which 1 can hold a worker of 3 CPUs"),
        ("gone:6379", Level.FAULT, "nothing answers"),
    ],
)
def test_doctor_tells_how_many_nodes_can_hold_a_worker(
    tmp_path: Path, executor: str, level: Level, says: str
) -> None:
    (tmp_path / "shop.py").write_text("import tidemill as tm\nflow = tm.Workflow('shop')\n")
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.tidemill]\nworkflow = "shop:flow"\nexecutor = "{executor}"\n'
        "[tool.tidemill.ray]\ncpus = 2\n[tool.tidemill.slurm]\ncpus = 3\n"
    )
    [finding] = [each for each in examine(tmp_path, connect=True) if each.area == "executor"]
    assert (finding.level, finding.text) == (level, says)


@pytest.mark.usefixtures("connections")
def test_an_address_that_doesnt_answer_is_asked_once(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, workflow="shop:flow", executor="gone:6379")
    opened = cluster_engine.cluster_engine(settings, classes={}, meter=None, run="1")
    for _ in range(2):
        with pytest.raises(UsageError, match="nothing answers"):
            opened({})


def test_ray_is_installed_by_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'ray'", name="ray")

    monkeypatch.setattr(cluster_engine, "import_module", missing)
    settings = Settings(root=tmp_path, workflow="shop:flow", executor="head:6379")
    with pytest.raises(UsageError, match=r"executor needs ray: pip install 'tidemill\[ray\]'"):
        cluster_engine.cluster_engine(settings, classes={}, meter=None, run="1")({})


def test_workers_follow_the_settings_of_their_class(tmp_path: Path) -> None:
    flow = seal(bakery_like())
    table = {"workers": 3, "cpus": 2, "classes": {"training": {"cpus": 8}}}
    settings = Settings(
        root=tmp_path, workflow="shop:flow", tables={"ray": parse_ray_settings(table, "here")}
    )
    found = cluster_engine.remote_workers(settings, flow)
    assert found.cpus == {"default": 2.0, "training": 8.0, "deferrable": 2.0}
    assert (found.most, found.here) == (3, {"raw"})


def bakery_like() -> tm.Workflow:
    """An ingest, which stays, and a transform, which may leave."""
    flow = tm.Workflow("shop")

    @flow.ingest
    def raw() -> tm.Source[Row]:
        return tm.files("*.csv")

    @flow.transform
    def kept(raw: tm.Frame[Row]) -> tm.Frame[Row]:
        return raw

    return flow
