"""A version of a registry is read as it was planned, and nothing of it is fetched in vain."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.tides import Tides
from tests.support.tracking_servers import MemoryServer
from tidemill.core.errors import SendError, SourceError
from tidemill.sources.io.mlflow_table import MlflowTable
from tidemill.workflow.mlflow_source import mlflow_model
from tidemill.workflow.source import SourceFile
from tidemill.workflow.stage import Stage

FLOW = """
import tidemill as tm


class File(tm.Contract, key=("path",)):
    path = tm.String()
    payload = tm.Binary()
    {more}


flow = tm.Workflow("tides")


@flow.ingest
def champion() -> tm.Source[File]:
    return tm.mlflow_model("models:/theirs@champion", files="{files}", server="{server}")
"""


def text(more: str = "", files: str = "*", server: str = "http://registry") -> str:
    return FLOW.format(more=more, files=files, server=server)


class Registry(MemoryServer):
    """A server with versions of the model `theirs`, by their files."""

    def __init__(self, *versions: dict[str, bytes]) -> None:
        super().__init__()
        self.models["theirs"] = {"name": "theirs", "tags": [], "aliases": []}
        for files in versions:
            self.register(files)
        self.move("1")

    def register(self, files: dict[str, bytes], uri: str = "mlflow-artifacts:/1/m{}") -> None:
        place = uri.format(len(self.versions) + 1)
        for path, payload in files.items():
            self.files[f"{place}/{path}"] = payload
        fields = {"name": "theirs", "source": place, "run_id": "r", "tags": ()}
        self.call("POST", "model-versions/create", fields)

    def move(self, version: str) -> None:
        fields = {"name": "theirs", "alias": "champion", "version": version}
        self.call("POST", "registered-models/alias", fields)


def stage_of(root: Path, flow: str) -> Stage:
    return Tides(root, flow).open().workspace.declared["champion"]


def table(
    root: Path, server: Any, known: dict[str, SourceFile] | None = None, **declared: str
) -> MlflowTable:
    source = mlflow_model("models:/theirs@champion", files=declared.get("files", "*"))
    return MlflowTable(source, stage_of(root, text(**declared)), server, known or {})


def test_rows_are_the_files_of_a_version(tmp_path: Path) -> None:
    registry = Registry({"MLmodel": b"flavors", "data/deep/model.lgb": b"\x00tree"})
    more = "version = tm.Int64()\n    sha256 = tm.String()\n    run = tm.String()"
    found = table(tmp_path, registry, more=more)
    files = found.list_files()
    rows = found.read("all", files).sort("path")
    assert rows.to_dict(as_series=False) == {
        "path": ["MLmodel", "data/deep/model.lgb"],
        "payload": [b"flavors", b"\x00tree"],
        "version": [1, 1],
        "sha256": [hashlib.sha256(each).hexdigest() for each in (b"flavors", b"\x00tree")],
        "run": ["r", "r"],
    }
    assert rows.schema["payload"] == pl.Binary
    assert [*table(tmp_path, registry, files="*.lgb").list_files()] == ["data/deep/model.lgb"]


def test_only_what_may_have_changed_is_fetched(tmp_path: Path) -> None:
    registry = Registry({"a": b"1", "b": b"22"}, {"a": b"1", "b": b"33"})
    known = table(tmp_path, registry).list_files()
    registry.calls.clear()
    assert table(tmp_path, registry, known).list_files() == known
    assert "read" not in registry.calls
    # Another version is another content, even of equal files, and another size of a file is, too.
    registry.move("2")
    moved = table(tmp_path, registry, known).list_files()
    assert {path for path in known if moved[path].digest != known[path].digest} == {"a", "b"}
    registry.move("1")
    registry.files["mlflow-artifacts:/1/m1/b"] = b"4444"
    grown = table(tmp_path, registry, known).list_files()
    assert [path for path in known if grown[path].digest != known[path].digest] == ["b"]


def test_a_version_that_moves_during_a_run_is_refused(tmp_path: Path) -> None:
    registry = Registry({"a": b"1"}, {"a": b"2"})
    planned = table(tmp_path, registry).list_files()
    registry.move("2")
    with pytest.raises(SourceError, match="champion changed during this run; run again"):
        table(tmp_path, registry).read("all", planned)


def test_what_cant_be_read_removes_nothing(tmp_path: Path) -> None:
    class Away(Registry):
        def list_files(self, uri: str) -> Any:
            raise SendError("it is away")

    registry = Registry({"a": b"1"})
    for found, message in [
        (table(tmp_path, registry, files="*.lgb"), r"has no file '\*.lgb'; nothing was removed"),
        (table(tmp_path, registry, more="size = tm.Int64()"), "has no column 'size' of contract"),
        (table(tmp_path, Away({"a": b"1"})), "can't be read: it is away"),
    ]:
        with pytest.raises(SourceError, match=message):
            found.list_files()
    registry.register({}, "s3://bucket/m")
    registry.move("2")
    with pytest.raises(SourceError, match="doesn't pass on what is at s3://bucket/m"):
        table(tmp_path, registry).list_files()
    registry.models.clear()
    with pytest.raises(SourceError, match="alias not found; nothing was removed"):
        table(tmp_path, registry).list_files()


def test_a_version_whose_files_are_those_of_a_run(tmp_path: Path) -> None:
    registry = Registry()
    run = registry.call("POST", "runs/create", {"tags": ()})["run"]["info"]
    registry.files[f"{run['artifact_uri']}/model/a"] = b"1"
    registry.register({}, f"runs:/{run['run_id']}/model")
    registry.move("1")
    assert [*table(tmp_path, registry).list_files()] == ["a"]


def test_a_moved_alias_runs_what_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry({"a": b"1"}, {"a": b"1"}, {"a": b"2"})
    monkeypatch.setattr("tidemill.project.mlflow_server.RestClient", lambda *_, **__: registry)
    project = Tides(tmp_path, text())
    assert project.ok() == {"ok run champion": ["all"]}
    contents = project.contents()
    assert project.ok() == {}
    # The same files in another version are the same rows.
    registry.move("2")
    project.ok()
    assert project.contents() == contents
    registry.move("3")
    assert project.ok() == {"ok run champion": ["all"]}
    assert project.read("champion")["payload"].to_list() == [b"2"]
    registry.models.clear()
    receipt = project.run()
    assert (receipt.exit_code, project.read("champion").height) == (1, 1)


def test_a_server_must_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    project = Tides(tmp_path, text(server="")).open()
    [why] = project.plan().broken["champion"].values()
    assert "the variable of env:MLFLOW_TRACKING_URI isn't set" in why
