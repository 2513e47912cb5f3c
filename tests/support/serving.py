"""A project with a served model, and a server of it in a thread."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

import tidemill as tm
from tidemill.project.project import Project
from tidemill.project.serving import RunningServer
from tidemill.serving.serve_settings import ServeSettings
from tidemill.workflow.endpoint import Rollout
from tidemill.workflow.prediction_log import RequestLog

FIRST = date(2024, 1, 1)


class Sales(tm.Contract, version="1.2.0", key=("day", "shop")):
    """Sales of bakeries."""

    day = tm.Date(partition="1d")
    shop = tm.Int64(min=1)
    kind = tm.Enum(["rye", "wheat", "spelt"])
    price = tm.Float64(min=0, max=20)
    rain = tm.Float64(nullable=True)
    sold = tm.Float64(role="label", min=0, max=200)

    cheap_rye = tm.rule((pl.col("kind") != "rye") | (pl.col("price") < 15))


def write_sales(folder: Path, days: int = 12, shops: int = 40) -> None:
    """Files with a day of sales each."""
    folder.mkdir(parents=True)
    chance = random.Random(3)
    for number in range(days):
        rows = []
        for shop in range(1, shops + 1):
            kind, price = chance.choice(["rye", "wheat", "spelt"]), chance.random() * 10
            rain = chance.choice([None, chance.random()])
            sold = 50 - 3 * price + 5 * (kind == "rye") + chance.random()
            rows.append((FIRST + timedelta(number), shop, kind, price, rain, sold))
        names = ["day", "shop", "kind", "price", "rain", "sold"]
        frame = pl.DataFrame(rows, schema=names, orient="row")
        frame.write_parquet(folder / f"{number:02}.parquet")


def sales_flow(
    folder: Path,
    rounds: int = 5,
    *,
    scale: float = 1.0,
    rollout: Rollout | None = None,
    log: RequestLog | float | None = None,
) -> tm.Workflow:
    """A workflow that serves demand at the endpoint `demand`.

    Other `rounds` make other versions, and a `scale` makes them wrong.
    """
    flow = tm.Workflow("bakeries")

    @flow.ingest
    def sales() -> tm.Source[Sales]:
        return tm.files(str(folder / "*.parquet"))

    @flow.model(
        window=tm.last("8d", before=tm.last("3d")),
        params={"rounds": rounds, "scale": scale},
        seed=1,
        retrain=tm.every("365d"),
    )
    def demand(sales: tm.Frame[Sales], params: tm.Params, seed: int) -> tm.Fitted:
        import lightgbm as lgb

        table = sales.collect()
        encoder = tm.encoder(table, inputs=Sales.reads("kind", "price", "rain"))
        data = lgb.Dataset(encoder.transform(table), table["sold"].to_numpy() * params["scale"])
        options = {"objective": "l2", "seed": seed, "verbosity": -1, "num_threads": 1}
        booster = lgb.train(options, data, params["rounds"])
        return tm.fitted(booster, inputs=encoder, output="sold")

    @flow.evaluate(window=tm.last("3d"))
    def demand_scores(demand: tm.Predictor, sales: tm.Frame[Sales]) -> tm.Scores:
        scored = demand.predict(sales)
        error = (pl.col("prediction") - pl.col("sold")).abs().mean()
        return tm.scores(scored, mae=error, by="kind")

    live = flow.approve(demand, gates=[tm.no_slice_worse("mae", over="kind", by=1e6)])
    flow.endpoint("demand", model=live, rollout=rollout, log=log)
    return flow


def sales_project(
    folder: Path,
    rounds: int = 5,
    *,
    scale: float = 1.0,
    rollout: Rollout | None = None,
    log: RequestLog | float | None = None,
) -> Project:
    """A project that has run, with a live model."""
    if not (folder / "sales").exists():
        write_sales(folder / "sales")
    flow = sales_flow(folder / "sales", rounds, scale=scale, rollout=rollout, log=log)
    project = tm.open(folder, workflow=flow)
    project.run(inline=True, train=["demand"] if project.state().live else [])
    return project


def shared_project(folder: Path, rollout: Rollout | None = None) -> Project:
    """A project that has run, whose workflow commands and other processes can import."""
    sales_project(folder, rollout=rollout)
    module = f"served_{hashlib.sha256(bytes(folder)).hexdigest()[:12]}"
    (folder / f"{module}.py").write_text(
        "from pathlib import Path\n"
        "from tests.support.serving import sales_flow\n"
        "from tidemill.workflow.endpoint import Rollout\n"
        f"flow = sales_flow(Path(__file__).parent / 'sales', rollout={rollout!r}, log=1.0)\n"
    )
    (folder / "pyproject.toml").write_text(f'[tool.tidemill]\nworkflow = "{module}:flow"\n')
    return tm.open(folder)


ROW = {"kind": "rye", "price": 2.5, "rain": None}


class Reply:
    """A reply, with its body as JSON if it is."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


class Served:
    """A server that runs in a thread, at a port or, with a `path`, at a Unix socket."""

    path = ""

    def __init__(self, running: RunningServer, thread: threading.Thread) -> None:
        self.url = running.url
        self.take_place()
        self.running = running
        self.thread = thread

    def take_place(self) -> None:
        """Take the path or the port from the URL."""
        _, _, self.path = self.url.removesuffix(":").partition("http://unix:")
        self.port = 0 if self.path else int(self.url.rpartition(":")[2])

    def ask(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request on a connection of its own; a body that isn't bytes is sent as JSON."""
        payload = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = (
            _UnixConnection(self.path)
            if self.path
            else http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        )
        try:
            connection.request(
                method or ("GET" if body is None else "POST"), path, payload, dict(headers or {})
            )
            found = connection.getresponse()
            return Reply(found.status, dict(found.getheaders()), found.read())
        finally:
            connection.close()

    def predict(self, rows: Any, endpoint: str = "demand", query: str = "") -> Reply:
        """Ask for predictions of named rows."""
        return self.ask(f"/predict/{endpoint}{query}", rows)


def served_at(url: str) -> Served:
    """A server in another process."""
    found = Served.__new__(Served)
    found.url = url
    found.take_place()
    return found


@contextmanager
def server_process(
    project: Project, *options: str, first: str = "", place: Sequence[str] = ("--port", "0")
) -> Iterator[tuple[Served, subprocess.Popen[str]]]:
    """A server in a process of its own, which is killed at the end; it runs the code `first` before.

    `place` are the options that say where it listens.
    """
    code = f"{first}\nfrom tidemill.cli import main; main()"
    found = ["-C", str(project.workspace.root), "-w", project.settings.workflow]
    command = [sys.executable, "-c", code, *found, "serve", *place, *options]
    # The current folder isn't on the path of the processes that a server starts.
    path = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        try:
            line = ""
            while "Ctrl-C" not in line:
                line = process.stdout.readline()
                assert line, "the server ended"
            yield served_at(line.split()[0]), process
        finally:
            process.kill()


@contextmanager
def served(project: Project, **settings: Any) -> Iterator[Served]:
    """Serve a project on a free port until the end of the block."""
    started, found, errors = threading.Event(), [], []
    chosen = replace(ServeSettings(port=0, drain=10.0), **settings)

    def note(server: RunningServer) -> None:
        found.append(server)
        started.set()

    def run() -> None:
        try:
            project.serving.serve(chosen, note)
        except BaseException as error:  # noqa: BLE001 - raised in the thread of the test
            errors.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="server")
    thread.start()
    started.wait(120)
    if errors:
        raise errors[0]
    try:
        yield Served(found[0], thread)
    finally:
        found[0].stop()
        thread.join(60)
        assert not thread.is_alive(), "the server doesn't stop"
        if errors:
            raise errors[0]
