"""The examples of deployment in examples/serving work: each is executed as far as one machine can."""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tests.support.nginx import Proxy, program, proxied
from tests.support.serving import Served, served
from tests.support.waiting import until
from tidemill.governance.roles import Grant, Grants, Role
from tidemill.ledger.io.lease_holder import this_user
from tidemill.project.project import Project
from tidemill.serving.io.http_connection import HttpLimits
from tidemill.serving.proxy_settings import ProxySettings
from tidemill.serving.serve_settings import ServeSettings, parse_serve_settings
from tools import programs

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "serving"
SHOP = """
import polars as pl
import tidemill as tm


class Sales(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64()
    price = tm.Float64(min=0)
    sold = tm.Float64(min=0)


flow = tm.Workflow("shop", owner="shop-team")


@flow.ingest
def sales() -> tm.Source[Sales]:
    return tm.files("sales.csv")


@flow.model
def demand(sales: tm.Frame[Sales]) -> tm.Fitted:
    import lightgbm as lgb

    table = sales.collect()
    data = lgb.Dataset(table.select("price").to_numpy(), table["sold"].to_numpy())
    booster = lgb.train({"verbosity": -1, "num_threads": 1}, data, 5)
    return tm.fitted(booster, inputs=Sales.reads("price"), output="sold")


@flow.evaluate
def error(demand: tm.Predictor, sales: tm.Frame[Sales]) -> tm.Scores:
    return tm.scores(demand.predict(sales), mae=(pl.col("prediction") - pl.col("sold")).abs().mean())


live = flow.approve(demand, gates=[tm.beats_baseline("mae")])
flow.endpoint("demand", model=live)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop_served.py").write_text(SHOP)
    settings = (EXAMPLES / "serve.toml").read_text()
    (folder / "pyproject.toml").write_text(
        f'[tool.tidemill]\nworkflow = "shop_served:flow"\n\n{settings}'
    )
    rows = [{"id": n, "price": n / 10, "sold": 50.0 - n / 4} for n in range(200)]
    pl.DataFrame(rows).write_csv(folder / "sales.csv")
    with tm.open(folder) as found:
        found.run(inline=True)
        assert "demand" in found.state().live
        yield found
    sys.modules.pop("shop_served", None)


@pytest.fixture(scope="module")
def token(project: Project) -> str:
    return project.tokens.create("tests", ttl="1h").text


@pytest.fixture
def settings(project: Project) -> ServeSettings:
    return project.serving.settings


def run(called: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Call a program of the system."""
    return subprocess.run(
        [called, *arguments],
        env=programs.environment(called),
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def serving(project: Project) -> Iterator[Served]:
    given = project.serving.settings
    with served(project, allowed_hosts=given.allowed_hosts) as server:
        yield server


def test_the_batch_client_reports_parts_without_a_good_row(
    project: Project,
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source, target = tmp_path / "rows.parquet", tmp_path / "predictions.parquet"
    # The first of two requests has bad rows only.
    prices = [-1.0] * 1_000 + [2.0]
    pl.DataFrame({"price": prices}).write_parquet(source)
    monkeypatch.setenv("ENDPOINT_TOKEN", token)
    with serving(project) as server:
        monkeypatch.setattr(sys, "argv", ["client", server.url, "demand", str(source), str(target)])
        runpy.run_path(str(EXAMPLES / "batch_client.py"), run_name="__main__")
    found = pl.read_parquet(target)
    assert found["price"].to_list() == prices
    assert found["prediction"].is_null().to_list() == [True] * 1_000 + [False]
    printed = capsys.readouterr().out
    assert "row 19: values are below min=0" in printed
    assert "and 980 more" in printed


def test_the_batch_client_writes_rows_with_predictions(
    project: Project,
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = pl.DataFrame(
        {"order": range(2_500), "price": [-1.0 if n == 1_200 else n / 100 for n in range(2_500)]}
    )
    source, target = tmp_path / "rows.parquet", tmp_path / "predictions.parquet"
    rows.write_parquet(source)
    monkeypatch.setenv("ENDPOINT_TOKEN", token)
    with serving(project) as server:
        monkeypatch.setattr(sys, "argv", ["client", server.url, "demand", str(source), str(target)])
        runpy.run_path(str(EXAMPLES / "batch_client.py"), run_name="__main__")
    found = pl.read_parquet(target)
    assert found.select(rows.columns).equals(rows)
    expected = project.model("demand").predict(rows.select("price"))["prediction"]
    wanted = pl.Series([None if n == 1_200 else value for n, value in enumerate(expected)])
    assert found["prediction"].to_list() == wanted.to_list()
    printed = capsys.readouterr().out
    assert "row 1200: " in printed
    assert f"2500 rows, predicted by {project.state().live['demand'].artifact.id}" in printed


@pytest.fixture(scope="module")
def manifests() -> Mapping[str, Any]:
    yaml: Any = import_module("yaml")
    text = (EXAMPLES / "kubernetes.yaml").read_text()
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


class TestKubernetes:
    @pytest.mark.parametrize("version", ["1.31", "1.37"])
    def test_manifests_are_valid(self, manifests: Mapping[str, Any], version: str) -> None:
        checker: Any = import_module("kubernetes_validate")
        assert set(manifests) == {"Deployment", "Service", "PodDisruptionBudget"}
        for manifest in manifests.values():
            checker.validate(manifest, version, strict=True)
        with pytest.raises(checker.ValidationError):
            checker.validate({**manifests["Deployment"], "spec": {"replica": 2}}, version, True)

    def test_they_belong_together(self, manifests: Mapping[str, Any]) -> None:
        spec = manifests["Deployment"]["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"] == labels
        assert manifests["Service"]["spec"]["selector"] == labels
        budget = manifests["PodDisruptionBudget"]["spec"]
        assert budget["selector"]["matchLabels"] == labels
        # Or no node could be drained.
        assert budget["minAvailable"] < spec["replicas"]

    def test_a_pod_has_time_to_drain(
        self, manifests: Mapping[str, Any], settings: ServeSettings
    ) -> None:
        pod = manifests["Deployment"]["spec"]["template"]["spec"]
        pause = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
        needed = pause + HttpLimits().drain_s + settings.drain
        assert pod["terminationGracePeriodSeconds"] > needed

    def test_probes_are_answered(self, manifests: Mapping[str, Any], project: Project) -> None:
        container = manifests["Deployment"]["spec"]["template"]["spec"]["containers"][0]
        probes = [
            container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")
        ]
        with serving(project) as server:
            for probe in probes:
                headers = {each["name"]: each["value"] for each in probe["httpHeaders"]}
                assert server.ask(probe["path"], headers=headers).status == 200
            assert server.ask(probes[0]["path"], headers={"Host": "10.0.0.7:8000"}).status == 421


class TestSystemd:
    UNIT = EXAMPLES / "tidemill.service"

    def test_a_stop_has_time_to_drain(self, settings: ServeSettings) -> None:
        [stop] = re.findall(r"^TimeoutStopSec=(\d+)$", self.UNIT.read_text(), re.MULTILINE)
        assert int(stop) > HttpLimits().drain_s + settings.drain

    def test_logs_can_be_written(self) -> None:
        [state, logs] = re.findall(r"^ReadWritePaths=(.+)$", self.UNIT.read_text(), re.MULTILINE)
        folder = state.removesuffix("/.tidemill")
        # A path with a hyphen may be missing: most servers have neither log.
        assert logs.split() == [f"-{folder}/{tm.log().folder}", f"-{folder}/log"]

    @pytest.mark.slow
    def test_the_unit_is_valid_and_hardened(self, tmp_path: Path) -> None:
        analyze = program("systemd-analyze")
        [command] = re.findall(r"^ExecStart=(\S+)", self.UNIT.read_text(), re.MULTILINE)
        unit = tmp_path / self.UNIT.name
        # The program has to be there; the unit is otherwise as it is.
        unit.write_text(self.UNIT.read_text().replace(command, "/bin/true"))
        for arguments in (
            ("verify", "--man=no", unit),
            ("security", "--offline=true", "--threshold=20", "--no-pager", unit),
        ):
            done = run(analyze, *arguments)
            assert done.returncode == 0, done.stdout + done.stderr
        unit.write_text(unit.read_text().replace("Restart=on-failure", "Restart=perhaps"))
        done = run(analyze, "verify", unit)
        assert "perhaps" in done.stderr


@pytest.fixture(scope="module")
def proxy(
    project: Project, token: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("nginx")
    with serving(project) as server:
        place = {"127.0.0.1:8000": f"127.0.0.1:{server.port}"}
        with proxied(Proxy(folder, "nginx.conf", place)) as proxy:
            yield proxy


class TestNginxOfReplicas:
    TEXT = (EXAMPLES / "nginx-replicas.conf").read_text()

    def test_it_is_valid(self, tmp_path: Path) -> None:
        nginx = program("nginx")
        Proxy(tmp_path, "nginx-replicas.conf", {})
        command = ("-p", tmp_path, "-e", "stderr", "-c", tmp_path / "nginx.conf", "-t")
        done = run(nginx, *command)
        assert done.returncode == 0, done.stderr
        site = tmp_path / "site.conf"
        site.write_text(site.read_text().replace("proxy_next_upstream error", "proxy_next error"))
        assert "proxy_next" in run(nginx, *command).stderr

    def test_the_page_shows_its_lines(self) -> None:
        page = (ROOT / "docs" / "how-to" / "replicas.md").read_text()
        [shown] = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
        known = {line.strip() for line in self.TEXT.splitlines()}
        missing = [line for line in map(str.strip, shown.splitlines()) if line not in known]
        assert missing == []

    def test_the_settings_of_the_page_are_known(self, settings: ServeSettings) -> None:
        page = (ROOT / "docs" / "how-to" / "replicas.md").read_text()
        [shown] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
        table = tomllib.loads(shown)["tool"]["tidemill"]["serve"]
        assert parse_serve_settings(table, "here").drain_delay == 5
        # Idle connections of the proxy end before those of the server.
        [idle] = re.findall(r"keepalive_timeout (\d+)s;\n}", self.TEXT)
        assert int(idle) < settings.keep_alive


@pytest.mark.slow
class TestNginx:
    def test_predictions_pass(self, proxy: Proxy, token: str) -> None:
        reply = proxy.ask([{"price": 2.5}], token)
        assert reply.status == 200
        assert reply.json["predictions"][0]["prediction"] > 0

    def test_request_ids_pass_or_are_given(self, proxy: Proxy, token: str) -> None:
        given = proxy.ask([{"price": 2.5}], token, {"X-Request-Id": "order-17"})
        assert given.headers["x-request-id"] == "order-17"
        new = proxy.ask([{"price": 2.5}], token)
        assert re.fullmatch(r"[0-9a-f]{32}", new.headers["x-request-id"])

    def test_refusals_of_the_server_pass(self, proxy: Proxy, token: str) -> None:
        assert proxy.ask([{"price": 2.5}]).status == 401
        assert proxy.ask([{"price": -1}], token).json["findings"][0]["rule"] == "price.min"
        # nginx passes the Host on, and the server knows its names.
        assert proxy.ask([{"price": 1}], token, {"Host": "evil.example"}).status == 421
        assert proxy.ask([{"price": 1}], token, {"Host": "localhost"}).status == 200

    def test_large_bodies_end_at_the_proxy(self, proxy: Proxy, token: str) -> None:
        assert proxy.ask(b" " * 9_000_000, token).status == 413

    def test_metrics_are_for_this_machine(self, proxy: Proxy, token: str) -> None:
        reply = proxy.ask(None, token, path="/metrics")
        assert reply.status == 200
        assert b"tidemill_requests_total" in reply.body


@pytest.fixture(scope="module")
def users(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("nginx-users")
    (folder / "users").write_text("ana@example.com:{PLAIN}sesame\neve:{PLAIN}open\n")
    socket = project.root / "serve.sock"
    place = {
        "/srv/project/run/serve.sock": str(socket),
        "/etc/nginx/users": str(folder / "users"),
    }
    given = project.serving.settings
    grants = Grants(
        grants=(
            Grant(who=this_user(), role=Role.OPERATOR),
            Grant(who="ana@example.com", role=Role.VIEWER),
        )
    )
    before = project.workspace.settings
    project.workspace.settings = replace(before, grants=grants)
    log = {"access_log": "log/users.jsonl", "allowed_hosts": given.allowed_hosts}
    try:
        with (
            served(project, socket=socket.name, proxy=ProxySettings(), **log),
            proxied(Proxy(folder, "nginx-users.conf", place)) as proxy,
        ):
            yield proxy
    finally:
        project.workspace.settings = before


@pytest.mark.slow
class TestNginxNamesUsers:
    @staticmethod
    def basic(login: str) -> dict[str, str]:
        return {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}

    def test_users_of_nginx_are_those_of_the_server(self, users: Proxy, project: Project) -> None:
        ana = {**self.basic("ana@example.com:sesame"), "X-Request-Id": "by-ana"}
        assert users.ask([{"price": 2.5}], headers=ana).status == 200
        log = project.root / "log" / "users.jsonl"
        until(lambda: "by-ana" in log.read_text())
        [line] = [line for line in log.read_text().splitlines() if "by-ana" in line]
        assert json.loads(line)["user"] == "ana@example.com"
        assert json.loads(line)["auth"] == "proxy"
        assert users.ask(None, path="/docs", headers=ana).status == 200

    def test_what_clients_send_is_replaced(self, users: Proxy) -> None:
        eve = self.basic("eve:open")
        assert users.ask([{"price": 2.5}], headers=eve).status == 403
        for name in ("X-Forwarded-User", "x-forwarded-user", "X_Forwarded_User"):
            claim = {**eve, name: "ana@example.com"}
            assert users.ask([{"price": 2.5}], headers=claim).status == 403
        assert users.ask([{"price": 2.5}], headers=self.basic("ana@example.com:x")).status == 401
        assert users.ask([{"price": 2.5}]).status == 401


class Dockerfile:
    """The instructions of a Dockerfile, by their words."""

    def __init__(self, text: str) -> None:
        joined = re.sub(r"\\\n", " ", text)
        lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
        self.steps = [line.split(maxsplit=1) for line in lines]

    def all(self, word: str) -> list[str]:
        """What follows a word."""
        return [rest for first, rest in self.steps if first == word]


class TestDockerfile:
    FILE = Dockerfile((EXAMPLES / "Dockerfile").read_text())

    def test_it_runs_as_nobody_who_may_write(self) -> None:
        [user] = self.FILE.all("USER")
        assert user.split(":")[0] != "0"
        assert "root" not in user
        steps = [first for first, _ in self.FILE.steps]
        assert steps.index("USER") < steps.index("CMD")
        assert not self.FILE.all("ARG"), "a build argument stays in the image"
        assert not any("TOKEN" in each or "PASSWORD" in each for each in self.FILE.all("ENV"))

    @pytest.mark.slow
    def test_its_steps_run_in_an_empty_folder(self, project: Project, tmp_path: Path) -> None:
        build, image = tmp_path / "build", tmp_path / "image"
        build.mkdir()
        write_requirements(build)
        shown = run_steps(self.FILE, build, image)
        assert len(shown) >= 2
        work = image / "srv" / "project"
        work.mkdir(parents=True)
        [code] = [each for each in self.FILE.all("COPY") if "*.py" in each]
        for pattern in code.split()[:-1]:
            for file in project.root.glob(pattern):
                shutil.copy(file, work)
        # Docker leaves out sockets, too, such as those of servers that run.
        sockets = shutil.ignore_patterns("*.sock")
        shutil.copytree(project.root / ".tidemill", work / ".tidemill", ignore=sockets)
        check_server(self.FILE, work, image / "opt" / "venv" / "bin")


def write_requirements(folder: Path) -> None:
    """Pins with hashes, of Tidemill's wheel as well."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = folder.glob("*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    pins = (ROOT / "requirements" / "wheel.txt").read_text()
    (folder / "requirements.txt").write_text(f"{wheel} --hash=sha256:{digest}\n{pins}")


def run_steps(file: Dockerfile, build: Path, image: Path) -> list[str]:
    """Run the RUN steps that need no image of Debian, with /opt in a folder; return them."""
    done = []
    python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for step in file.all("RUN"):
        if step.startswith(("apt-get ", "useradd ")):
            # It changes the system.
            continue
        command = step.replace("/opt/", f"{shlex.quote(str(image))}/opt/")
        # What this machine fetched before isn't fetched again.
        command = command.replace("--no-cache-dir ", "")
        ended = subprocess.run(
            ["sh", "-c", command],
            cwd=build,
            env={**os.environ, "PATH": python, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode and re.search("connection|resolution|timed out", ended.stderr, re.I):
            pytest.skip(f"PyPI can't be reached: {ended.stderr[-300:]}")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        done.append(step)
    return done


def check_server(file: Dockerfile, folder: Path, programs_folder: Path) -> None:
    """Start the server by CMD, but on loopback and a free port, and check it by HEALTHCHECK."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    [command], [health] = file.all("CMD"), file.all("HEALTHCHECK")
    given = [{"0.0.0.0": "127.0.0.1", "8000": port}.get(each, each) for each in json.loads(command)]
    env = {**os.environ, "PATH": f"{programs_folder}{os.pathsep}{os.environ['PATH']}"}
    env.pop("PYTHONPATH", None)
    given[0] = str(programs_folder / given[0])
    checked = json.loads(health.partition("CMD ")[2].replace(":8000", f":{port}"))
    checked[0] = str(programs_folder / checked[0])
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(given, cwd=folder, env=env, stdout=log, stderr=log)
    try:

        def is_healthy() -> bool:
            return (
                subprocess.run(checked, env=env, capture_output=True, check=False).returncode == 0
            )

        until(is_healthy, running)
        with urllib.request.urlopen(f"http://localhost:{port}/v2/health/live") as reply:
            assert reply.status == 200
    finally:
        running.terminate()
        assert running.wait(60) == 0, (folder / "log").read_text()
