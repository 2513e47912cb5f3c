"""The mirror follows the ledger, asks no server in vain, and fails no run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.test_models import MODEL, WINDOW, Sea
from tests.support.tracking_servers import DyingServer, MemoryServer
from tidemill.core.errors import ConflictError, UsageError
from tidemill.ledger.io.lease_holder import this_process
from tidemill.models.io.mlflow_mirror import MirrorReport
from tidemill.project.mlflow_settings import parse_mlflow
from tidemill.project.project import Project

Opened = Callable[[], Any]


class MirroredSea(Sea):
    """A project whose models are mirrored."""

    def __init__(self, root: Path, text: str = MODEL, **settings: Any) -> None:
        super().__init__(root, text)
        self.mlflow = {"tracking_uri": "http://memory", **settings}
        for number in range(WINDOW):
            self.flood(number)

    def open(self, env: str = "prod") -> Project:
        project = super().open()
        if env != "prod":
            flow = project.workspace.declared
            project = Project(project.settings, flow, env)
            project.workspace.tools = self.change(project.tools)
        space = project.workspace
        space.settings = replace(
            space.settings,
            tables={**space.settings.tables, "mlflow": parse_mlflow(self.mlflow, "settings")},
        )
        return project

    def train(self, value: float) -> tuple[str, ...]:
        """Train a version that predicts a value; what is said of MLflow."""
        head, _, rest = self.text.partition('params={"value": ')
        self.text = f'{head}params={{"value": {value}}}{rest[rest.index("}") + 1 :]}'
        receipt = self.run(train=["model"])
        return tuple(line for line in receipt.messages if line.startswith("MLflow"))


class Servers:
    """Opens servers, and counts them; `opened` makes the next ones."""

    def __init__(self) -> None:
        self.memory = MemoryServer()
        self.opened: Opened = lambda: self.memory
        self.count = 0

    def __call__(self, *_: Any, **__: Any) -> Any:
        self.count += 1
        return self.opened()

    def aliases(self, name: str = "tides.model") -> dict[str, str]:
        return {each["alias"]: each["version"] for each in self.memory.models[name]["aliases"]}


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    found = Servers()
    monkeypatch.setattr("tidemill.project.mlflow.open_server", found)
    return found


def test_only_what_changed_asks_a_server(servers: Servers, tmp_path: Path) -> None:
    sea = MirroredSea(tmp_path)
    assert sea.train(9.0) == ()
    assert (servers.count, servers.aliases()) == (1, {"prod": "1"})
    # Nothing changed, or only data that no model was trained on.
    sea.run()
    sea.flood(WINDOW)
    sea.run("raw")
    assert servers.count == 1
    sea.train(9.5)
    assert (servers.count, servers.aliases()) == (2, {"prod": "2"})
    project = sea.open()
    project.models.moves.rollback("model")
    assert project.mlflow.catch_up() == ()
    assert servers.aliases() == {"prod": "1"}
    assert project.mlflow.mirror() == MirrorReport()


def test_a_server_that_is_away_loses_nothing(servers: Servers, tmp_path: Path) -> None:
    sea = MirroredSea(tmp_path)
    for requests in (1, 4, 9):
        servers.opened = lambda requests=requests: DyingServer(  # type: ignore[misc]
            servers.memory, requests, after=True
        )
        [message] = sea.train(9.0 + requests / 100)
        assert message.startswith("MLflow: what changed waits (killed); the next run sends it")
    servers.opened = lambda: servers.memory
    assert sea.run().messages == ()
    assert servers.aliases() == {"prod": "3"}
    assert len(servers.memory.runs) == len(servers.memory.versions) == 3


def test_what_is_refused_is_said_until_it_isnt(servers: Servers, tmp_path: Path) -> None:
    sea = MirroredSea(tmp_path)
    servers.memory.refused = {"tidemill.recipe"}
    said = [line for value in (9.0, 9.1, 9.2, 9.3) for line in sea.train(value)]
    assert said[-4].startswith("MLflow: model ")
    assert said[-1] == "MLflow: 1 more"
    servers.memory.refused = set()
    assert [line for line in sea.run().messages if "MLflow" in line] == []
    assert servers.aliases() == {"prod": "4"}


def test_a_bug_fails_no_run(servers: Servers, tmp_path: Path) -> None:
    def broken() -> Any:
        raise ZeroDivisionError

    sea = MirroredSea(tmp_path)
    servers.opened = broken
    assert sea.train(9.0) == ("MLflow: what changed waits (ZeroDivisionError)",)


def test_environments(servers: Servers, tmp_path: Path) -> None:
    sea = MirroredSea(tmp_path)
    sea.train(9.0)
    sea.text = sea.text.replace('"value": 9.0', '"value": 9.5')
    dev = sea.open("dev")
    dev.run(train=["model"], raise_on_failure=False)
    assert servers.aliases() == {"prod": "1", "dev": "2"}
    sea.open().environments.drop(["dev"])
    assert sea.open().mlflow.catch_up() == ()
    assert servers.aliases() == {"prod": "1"}
    sea.mlflow["environments"] = ["other"]
    assert sea.open().mlflow.catch_up() == ()
    with pytest.raises(UsageError, match="models of prod aren't mirrored"):
        sea.open().mlflow.mirror()


def test_a_model_without_gates_has_its_last_version(servers: Servers, tmp_path: Path) -> None:
    text = MODEL.replace('live = flow.approve(model, gates=[tm.beats_live("mae")])\n', "").replace(
        "model=live", "model=model"
    )
    head, _, _ = text.partition("flow.table(")
    sea = MirroredSea(tmp_path, head, prefix="")
    sea.train(9.0)
    sea.train(1.0)
    assert servers.aliases("model") == {"prod": "2"}


def test_two_processes_dont_mirror_at_once(servers: Servers, tmp_path: Path) -> None:
    sea = MirroredSea(tmp_path)
    sea.run("raw")
    project = sea.open()
    tools = project.tools
    asked = servers.count
    lease = tools.ledger.acquire(
        "mlflow", this_process("other"), now=tools.clock(), ttl=60.0, dead=lambda _: False
    )
    # It may mirror another environment: nobody else says that this one isn't.
    [said] = sea.train(9.0)
    assert "what changed waits (another process mirrors just now); the next run sends it" in said
    with pytest.raises(ConflictError):
        project.mlflow.mirror()
    assert servers.count == asked
    tools.ledger.release(lease)
    assert project.mlflow.mirror() == MirrorReport(made=1, moved=1)


def test_without_settings_nothing_is_mirrored(tmp_path: Path) -> None:
    sea = Sea(tmp_path)
    sea.flood(0)
    sea.run("raw")
    project = sea.open()
    assert project.mlflow.catch_up() == ()
    with pytest.raises(UsageError, match="set tracking_uri"):
        project.mlflow.mirror()
