"""Over HTTP: who may call a server, and what it counts, charges and logs of those who do."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import tidemill as tm
from tests.support.serving import ROW, Reply, Served, sales_flow, sales_project, served
from tests.support.waiting import until
from tidemill.core.errors import UsageError
from tidemill.project.project import Project

PATHS = ("/predict/demand", "/predict/other", "/nowhere", "/metrics", "/v2", "/v2/models/demand")
# What a refusal must not tell.
SECRETS = ("demand", "tidemill/", "uvicorn", "Traceback", ".py")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return sales_project(tmp_path_factory.mktemp("bakeries"))


@pytest.fixture(scope="module")
def log(project: Project) -> Path:
    return project.root / "log" / "access.jsonl"


@pytest.fixture(scope="module")
def text(project: Project) -> str:
    return project.tokens.create("checkout", endpoints=["demand"]).text


@pytest.fixture(scope="module")
def monitor(project: Project) -> str:
    return project.tokens.create("prometheus", scopes=["read"]).text


@pytest.fixture(scope="module")
def server(project: Project, text: str, monitor: str, log: Path) -> Iterator[Served]:
    with served(project, require_tokens=True, access_log="log/access.jsonl") as found:
        yield found


def asked(server: Served, path: str, text: str = "", **headers: str) -> Reply:
    sent = {**headers, **({"Authorization": f"Bearer {text}"} if text else {})}
    return server.ask(path, [ROW] if path.startswith("/predict") else None, headers=sent)


def test_a_token_opens_the_server(server: Served, text: str) -> None:
    assert asked(server, "/predict/demand", text).status == 200
    assert asked(server, "/metrics", text).status == 200
    assert asked(server, "/predict/other", text).status == 404
    assert asked(server, "/v2/health/ready").status == 200


def test_documents_describe_what_the_token_opens(
    server: Served, project: Project, text: str
) -> None:
    # Another workflow in the same environment.
    flow = sales_flow(project.root / "sales")
    flow.endpoints = [replace(flow.endpoints[0], name="other")]
    with tm.open(project.root, workflow=flow) as beside:
        other = beside.tokens.create("elsewhere", endpoints=["other"]).text
    until(lambda: asked(server, "/docs", other).status == 200)
    for path in ("/docs", "/openapi.json"):
        assert b"/predict/demand" in asked(server, path, text).body
        assert b"demand" not in asked(server, path, other).body
    assert "there is 'demand'" in asked(server, "/predict/nowhere", text).json["error"]
    assert "there is none" in asked(server, "/predict/nowhere", other).json["error"]


def test_metrics_and_status_are_about_what_the_token_opens(
    server: Served, project: Project, text: str, monitor: str
) -> None:
    assert asked(server, "/predict/demand", text).status == 200
    flow = sales_flow(project.root / "sales")
    flow.endpoints = [replace(flow.endpoints[0], name="returns")]
    with tm.open(project.root, workflow=flow) as beside:
        other = beside.tokens.create("elsewhere", endpoints=["returns"]).text
    whole = project.tokens.create("all endpoints").text
    until(lambda: asked(server, "/docs", whole).status == 200)

    of_demand = asked(server, "/metrics", text).body
    assert b'tidemill_requests_total{endpoint="demand"' in of_demand
    assert b"process_" not in of_demand
    assert b"tidemill_refusals_total" not in of_demand
    assert asked(server, "/metrics", other).body == b""
    shown = {key: asked(server, "/status", key).json for key in (text, other, monitor, whole)}
    assert [each["name"] for each in shown[text]["endpoints"]] == ["demand"]
    assert set(shown[text]) == {"schema", "endpoints"}
    assert shown[other]["endpoints"] == []
    for key in (monitor, whole):
        assert {"processes", "faults"} < set(shown[key])
        assert b"process_cpu_seconds_total" in asked(server, "/metrics", key).body
    # Who reads about the server may ask nothing of it.
    for path in ("/predict/demand", "/v2", "/docs"):
        assert asked(server, path, monitor).status == 403


@pytest.mark.parametrize("path", PATHS)
def test_nobody_else_learns_anything(server: Served, path: str, text: str) -> None:
    for reply, status in (
        (asked(server, path), 401),
        (asked(server, path, text[:-1] + "x" * (text[-1] != "x") + "y"), 401),
        (asked(server, path, text, Host="evil.example"), 421),
        (asked(server, path, text, Origin="https://evil.example"), 403),
    ):
        assert reply.status == status
        assert set(reply.json) == {"error"}
        shown = reply.body.decode() + str(reply.headers)
        assert not [word for word in SECRETS if word in shown.replace("tidemill tokens", "")]


def test_smuggled_headers_are_refused(server: Served, text: str) -> None:
    body = json.dumps([ROW]).encode()
    head = (
        "POST /predict/demand HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n"
        f"Authorization: Bearer {text}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.encode() + body)
        reply = b"".join(iter(lambda: connection.recv(65536), b""))
    assert reply.startswith(b"HTTP/1.1 400 ")


def test_a_revoked_token_is_refused_by_a_running_server(server: Served, project: Project) -> None:
    made = project.tokens.create("laptop")
    until(lambda: asked(server, "/v2", made.text).status == 200)
    project.tokens.revoke(made.issued.token.id, reason="lost")
    until(lambda: asked(server, "/v2", made.text).status == 401)
    assert "revoked" in asked(server, "/v2", made.text).json["error"]


def test_a_rate_is_kept(server: Served, project: Project) -> None:
    made = project.tokens.create("batch job", rate=0.01)
    until(lambda: asked(server, "/v2", made.text).status != 401)
    reply = asked(server, "/v2", made.text)
    assert (reply.status, 90 <= int(reply.headers["retry-after"]) <= 100) == (429, True)


def test_requests_are_counted_charged_and_logged(
    server: Served, text: str, monitor: str, log: Path, project: Project
) -> None:
    version = project.state().live["demand"].artifact.id
    reply = server.ask(
        "/predict/demand",
        [ROW, ROW, ROW],
        headers={"Authorization": f"Bearer {text}", "X-Request-Id": "mine-7"},
    )
    assert reply.status == 200
    bad = server.ask("/predict/demand", [{}], headers={"Authorization": f"Bearer {text}"})
    assert bad.status == 422
    metrics = asked(server, "/metrics", monitor).body.decode()
    found = {
        (sample.name, sample.labels.get("status", "")): sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.labels.get("version", version) == version
    }
    assert found["tidemill_requests_total", "200"] >= 1
    assert found["tidemill_requests_total", "422"] >= 1
    assert found["tidemill_rows_total", ""] >= 3
    assert found["tidemill_refusals_total", "401"] >= 1

    def logged() -> list[dict[str, object]]:
        lines = [json.loads(each) for each in log.read_text().splitlines()]
        return [each for each in lines if each["request"] == "mine-7"]

    until(logged)
    (line,) = logged()
    id = text.split("_")[1]
    assert (line["token"], line["endpoint"], line["version"]) == (id, "demand", version)
    assert (line["status"], line["rows"], line["bytes_out"]) == (200, 3, len(reply.body))
    assert text not in log.read_text()
    assert str(ROW["price"]) not in json.dumps({**line, "ms": 0, "cpu_us": 0, "time": ""})


def test_answers_are_cached_by_version(tmp_path: Path) -> None:
    project = sales_project(tmp_path)
    with served(project, cached_answers=100) as server:
        first = server.predict([ROW])
        assert server.predict([ROW]).json == first.json
        assert counted(server, "tidemill_cache_hits_total") == 1
        sales_project(tmp_path, rounds=7)
        until(lambda: server.predict([ROW]).json["version"] != first.json["version"])
        assert server.predict([ROW]).json["predictions"] != first.json["predictions"]
        assert server.ask("/status").json["endpoints"][0]["versions"][0]["cached"]


def counted(server: Served, name: str) -> float:
    families = text_string_to_metric_families(server.ask("/metrics").body.decode())
    return sum(each.value for family in families for each in family.samples if each.name == name)


def test_a_server_that_others_reach_needs_a_token(tmp_path: Path) -> None:
    project = sales_project(tmp_path)
    # A token that opens no endpoint lets nobody in.
    project.tokens.create("ana", scopes=["admin"])
    for settings in (
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"host": "::ffff:10.0.0.1"},
        {"allowed_hosts": ("ml.example.com",)},
    ):
        with pytest.raises(UsageError, match="no token is valid"), served(project, **settings):
            pass
