"""Beside a real tracking server of MLflow: what is mirrored to it, and what is read from it."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import lightgbm as lgb
import polars as pl
import pytest

from tests.support.mirrored_models import mirrored_model, model_version
from tests.support.neighbours import python_beside
from tests.support.tides import flow_of
from tests.support.tracking_servers import DyingServer
from tests.support.waiting import until
from tidemill.adapters.mlflow.rest_client import RestClient
from tidemill.core.errors import RefusedError, SendError
from tidemill.ledger.model_version import VersionState
from tidemill.models.io.mlflow_mirror import MirrorReport, MlflowMirror
from tidemill.models.mlflow.mirrored_version import MirroredModel
from tidemill.project.project import Project
from tidemill.project.settings import Settings, find_settings

# Nothing of MLflow reports its use, and nothing of this process's path is in its way.
QUIET = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
QUIET.pop("PYTHONPATH", None)

SHOP = """
import polars as pl
import tidemill as tm


class Rows(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64(min=0)
    x = tm.Float64()
    customer = tm.String()
    y = tm.Float64()


class File(tm.Contract, version="1.0.0", key=("path",)):
    path = tm.String()
    payload = tm.Binary()


flow = tm.Workflow("shop")


@flow.ingest
def rows() -> tm.Source[Rows]:
    return tm.files("rows/*.csv")


@flow.model(params={"rounds": 5}, seed=1, retrain=tm.new_data())
def delay(rows: tm.Frame[Rows], params: tm.Params, seed: int) -> tm.Fitted:
    import lightgbm as lgb

    table = rows.collect()
    data = lgb.Dataset(table.select("x").to_numpy(), table["y"].to_numpy())
    options = {"verbosity": -1, "seed": seed, "min_data_in_leaf": 1, "num_threads": 1}
    return tm.fitted(lgb.train(options, data, params["rounds"]), inputs=Rows.reads("x"), output="y")


@flow.evaluate
def scores(delay: tm.Predictor, rows: tm.Frame[Rows]) -> tm.Scores:
    scored = delay.predict(rows)
    mae = (pl.col("prediction") - pl.col("y")).abs().mean()
    return tm.scores(scored, mae=mae, undefined=mae * float("nan"), by="customer")


flow.approve(delay, gates=[tm.beats_baseline("mae", by=-1000)])
"""
# The same with a model that somebody else trains, and registers at the server.
THEIRS = SHOP.replace(
    """@flow.model(params={"rounds": 5}, seed=1, retrain=tm.new_data())
def delay(rows: tm.Frame[Rows], params: tm.Params, seed: int) -> tm.Fitted:
    import lightgbm as lgb
""",
    """@flow.ingest
def champion() -> tm.Source[File]:
    return tm.mlflow_model("models:/theirs@champion", files="*.lgb")


@flow.model(retrain=tm.new_data())
def delay(rows: tm.Frame[Rows], champion: tm.Frame[File]) -> tm.Fitted:
    import lightgbm as lgb

    [text] = champion.collect()["payload"]
    booster = lgb.Booster(model_str=text.decode())
    return tm.fitted(booster, inputs=Rows.reads("x"), output="y")


def unused(rows, params, seed):
    import lightgbm as lgb
""",
)
LOG = """
import sys
import lightgbm as lgb, mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("theirs")
x = np.arange(40.0).reshape(-1, 1)
for slope in (1, 2):
    options = {"verbosity": -1, "min_data_in_leaf": 1, "num_threads": 1}
    booster = lgb.train(options, lgb.Dataset(x, slope * x[:, 0]), 5)
    with mlflow.start_run():
        # To find out what it requires takes long, and nobody asks.
        needs = {"registered_model_name": "theirs", "pip_requirements": ["lightgbm"]}
        mlflow.lightgbm.log_model(booster, name="model", **needs)
mlflow.MlflowClient().set_registered_model_alias("theirs", "champion", "1")
"""
LOAD = """
import json, sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/shop.delay@prod")
print(json.dumps([float(y) for y in model.predict(pd.DataFrame({"x": json.loads(sys.argv[2])}))]))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a registry and files, on a free port of this machine."""
    python, folder = python_beside("mlflow"), tmp_path_factory.mktemp("mlflow")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "files")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, env=QUIET, start_new_session=True
        )
    try:
        until(lambda: _answers(url), process)
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    with suppress(URLError, OSError), urlopen(f"{url}/health", timeout=10) as reply:
        return bool(reply.status == 200)
    return False


@pytest.fixture
def client(server: str) -> Iterator[RestClient]:
    with closing(RestClient(server, timeout_s=60)) as found:
        yield found


def run_beside(script: str, *arguments: str) -> str:
    command = [str(python_beside("mlflow")), "-c", script, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=QUIET).stdout


class Shop:
    """A project whose models are mirrored to a server."""

    def __init__(self, root: Path, text: str, uri: str, **settings: object) -> None:
        self.root, self.text = root, text
        self.configure(uri, **settings)
        (root / "rows").mkdir()
        self.send(0)

    def configure(self, uri: str, **settings: object) -> None:
        table = {"tracking_uri": uri, "timeout": 60, "within": 300, **settings}
        lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        head = '[tool.tidemill]\nworkflow = "shop:flow"\n[tool.tidemill.mlflow]\n'
        (self.root / "pyproject.toml").write_text(head + "\n".join(lines))

    def send(self, number: int) -> None:
        start = 20 * number
        lines = [f"{n},{n}.5,Mrs Smith,{2 * n}" for n in range(start, start + 20)]
        (self.root / "rows" / f"{number}.csv").write_text("\n".join(["id,x,customer,y", *lines]))

    def open(self) -> Project:
        settings: Settings = find_settings(self.root)
        return Project(settings, flow_of(self.root, self.text, "shop"), "prod")

    def run(self, *train: str) -> tuple[str, ...]:
        """Run, and return what is said of MLflow."""
        receipt = self.open().run(train=train)
        return tuple(line for line in receipt.messages if line.startswith("MLflow"))


def registered(client: RestClient, name: str) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The versions by alias, and all versions of a model, oldest first."""
    model = client.call("GET", "registered-models/get", {"name": name})["registered_model"]
    found = client.call(
        "GET", "model-versions/search", {"filter": f"name='{name}'", "max_results": 1000}
    )
    versions = sorted(found.get("model_versions", ()), key=lambda one: int(one["version"]))
    return {each["alias"]: each["version"] for each in model.get("aliases", ())}, versions


def runs(client: RestClient, experiment: str) -> list[dict[str, Any]]:
    found = client.call("GET", "experiments/get-by-name", {"experiment_name": experiment})
    fields = {"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": 1000}
    return list(client.call("POST", "runs/search", fields).get("runs", ()))


def tags(found: Any) -> dict[str, str]:
    return {each["key"]: each["value"] for each in found["tags"]}


def mirror(server: Any, model: MirroredModel, experiment: str) -> MirrorReport:
    found = MlflowMirror(server, experiment)
    found.mirror([model])
    return found.report


def test_a_workflow_and_its_moves_are_mirrored(
    server: str, client: RestClient, tmp_path: Path
) -> None:
    shop = Shop(tmp_path, SHOP, server, upload=True)
    assert shop.run() == ()
    first = shop.open().models["delay"].version()
    aliases, [version] = registered(client, "shop.delay")
    assert (aliases, tags(version)["tidemill.version"]) == ({"prod": "1"}, first.id)
    assert tags(version)["tidemill.prod.gates"] == "passed beats_baseline(mae)"
    [run] = runs(client, "shop")
    figures = {each["key"]: each["value"] for each in run["data"]["metrics"]}
    assert figures["mae"] == pytest.approx(first.figures["mae"])
    assert figures["undefined"] == "NaN"
    params = {each["key"]: each["value"] for each in run["data"]["params"]}
    assert (params["rounds"], params["seed"]) == ("5", "1")
    assert "Smith" not in json.dumps([run, version])

    shop.send(1)
    assert shop.run() == ()
    assert shop.open().mlflow.mirror() == MirrorReport()
    assert len(runs(client, "shop")) == 2
    assert registered(client, "shop.delay")[0] == {"prod": "2"}
    project = shop.open()
    project.models.moves.rollback("delay", reason="because of Mrs Smith")
    assert project.mlflow.catch_up() == ()
    aliases, versions = registered(client, "shop.delay")
    assert aliases == {"prod": "1"}
    assert [tags(one)["tidemill.prod.state"] for one in versions] == ["live", "withdrawn"]

    # MLflow loads the booster that was uploaded, and predicts the same.
    model = project.models["delay"]
    rows = pl.DataFrame({"x": [0.0, 3.5, 19.5, 40.0]})
    [line] = run_beside(LOAD, server, json.dumps(rows["x"].to_list())).splitlines()[-1:]
    assert json.loads(line) == pytest.approx(model.predict(rows)["prediction"].to_list())


def test_a_server_that_is_away_is_caught_up(
    server: str, client: RestClient, tmp_path: Path
) -> None:
    away = "http://127.0.0.1:9"
    shop = Shop(tmp_path, SHOP, away, experiment="away", prefix="away.")
    [message] = shop.run()
    assert "MLflow: what changed waits" in message
    assert "can't be reached" in message
    assert "`tidemill models mirror`" in message
    shop.send(1)
    assert len(shop.run()) == 1
    shop.configure(server, experiment="away", prefix="away.")
    # Nothing is trained: the run only catches up.
    assert shop.run() == ()
    aliases, versions = registered(client, "away.delay")
    assert (len(versions), aliases) == (2, {"prod": "2"})


@pytest.mark.parametrize("after", [False, True])
def test_a_mirror_that_is_killed_is_finished_by_the_next(client: RestClient, after: bool) -> None:
    version = model_version()
    for requests in range(1, 20):
        name = f"killed.{after}.{requests}"
        model = mirrored_model(version, name=name)
        try:
            mirror(DyingServer(client, requests, after=after), model, name)
        except SendError:
            mirror(client, model, name)
            assert mirror(client, model, name) == MirrorReport()
            aliases, [found] = registered(client, name)
            [run] = runs(client, name)
            assert (aliases, run["info"]["status"]) == ({"prod": "1"}, "FINISHED")
            assert found["run_id"] == run["info"]["run_id"]
        else:
            assert requests > 8
            return
    pytest.fail("it never came to its end")


def test_what_the_server_limits_is_within_its_limits(client: RestClient) -> None:
    metrics = {
        "f1 (macro)": 0.5,
        "größe": math.nan,
        "a/../b": math.inf,
        ".": -math.inf,
        "x" * 300: 1e308,
        **{f"m{number}": 1.0 for number in range(1_100)},
    }
    params = {f"p:{number}": "ä" * 7_000 for number in range(40)}
    version = model_version(metrics=metrics, params={**params, "x" * 300: "", "deep": {"a": [1]}})
    for name in ("odd.delay", "odd 'quoted'.delay"):
        model = mirrored_model(version, name="odd.delay")
        assert mirror(client, replace(model, environment="v1", alias="env-v1"), name).made == 1
    assert mirror(client, replace(model, environment="v1", alias="env-v1"), name) == MirrorReport()
    history = {"run_id": runs(client, name)[0]["info"]["run_id"], "metric_key": "m7"}
    assert len(client.call("GET", "metrics/get-history", history)["metrics"]) == 1
    [run] = runs(client, name)
    assert len(run["data"]["metrics"]) == len(metrics) + 2
    assert len(run["data"]["params"]) == len(version_params(model))


def version_params(model: MirroredModel) -> dict[str, str]:
    [version] = model.versions
    return dict(version.parameters)


def test_what_people_change_there_stays(client: RestClient) -> None:
    first, second = model_version("v1"), model_version("v2", at=1_700_000_100.0)
    one = mirrored_model(first, name="people.delay")
    mirror(client, one, "people")
    names = {"name": "people.delay", "new_name": "renamed.delay"}
    client.call("POST", "registered-models/rename", names)
    both = mirrored_model(first, second, name="people.delay", live="v2")
    assert mirror(client, both, "people").made == 1
    aliases, versions = registered(client, "renamed.delay")
    assert (aliases, len(versions)) == ({"prod": "2"}, 2)
    with pytest.raises(RefusedError, match="not found"):
        registered(client, "people.delay")
    mine = {"name": "renamed.delay", "alias": "mine", "version": "1"}
    client.call("POST", "registered-models/alias", mine)
    client.call("DELETE", "model-versions/delete", {"name": "renamed.delay", "version": "2"})
    withdrawn = replace(second, state=VersionState.WITHDRAWN)
    back = mirrored_model(first, withdrawn, name="people.delay", live="v1")
    mirror(client, back, "people")
    aliases, versions = registered(client, "renamed.delay")
    assert (aliases, len(versions)) == ({"prod": "1", "mine": "1"}, 1)

    found = client.call("GET", "experiments/get-by-name", {"experiment_name": "people"})
    number = {"experiment_id": found["experiment"]["experiment_id"]}
    client.call("POST", "experiments/delete", number)
    with pytest.raises(RefusedError, match="'people' was deleted: restore it"):
        mirror(client, one, "people")
    client.call("POST", "experiments/restore", number)
    assert mirror(client, one, "people").faults == ()
    assert len(runs(client, "people")) == 2


def test_a_model_of_the_registry_is_a_source(
    server: str, client: RestClient, tmp_path: Path
) -> None:
    run_beside(LOG, server)
    shop = Shop(tmp_path, THEIRS, server, experiment="theirs here", prefix="ours.")
    shop.run()
    first = shop.open().models["delay"].version()
    assert [step.stage for step in shop.open().plan().steps] == []

    def files() -> list[bytes]:
        return list(shop.open().read("champion").collect()["payload"])

    [text] = files()
    assert lgb.Booster(model_str=text.decode()).num_trees() == 5
    client.call(
        "POST",
        "registered-models/alias",
        {"name": "theirs", "alias": "champion", "version": "2"},
    )
    assert "champion" in {step.stage for step in shop.open().plan().steps}
    shop.run()
    assert files() != [text]
    second = shop.open().models["delay"].version("newest")
    assert second.id != first.id
    # Nothing moved: nothing is fetched or trained.
    assert [step.stage for step in shop.open().plan().steps] == []

    gone = {"name": "theirs", "alias": "champion"}
    client.call("DELETE", "registered-models/alias", gone)
    plan = shop.open().plan()
    [why] = plan.broken["champion"].values()
    assert "models:/theirs@champion" in why
    assert "nothing was removed" in why
    assert len(files()) == 1
