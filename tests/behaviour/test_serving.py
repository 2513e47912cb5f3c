"""A server answers with what is live, follows what goes live, and refuses what breaks the contract."""

from __future__ import annotations

import asyncio
import gzip
import html
import json
import re
import shlex
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from polars.exceptions import PanicException

import tidemill as tm
from tests.support.serving import ROW, Reply, Served, sales_flow, sales_project, served
from tests.support.waiting import until
from tidemill.core.errors import UsageError
from tidemill.ledger.event import Served as ServedEvent
from tidemill.project.project import Project
from tidemill.serving.io.lightgbm_runner import LightGBMRunner
from tidemill.serving.serve_settings import ServeSettings


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return sales_project(tmp_path_factory.mktemp("bakeries"))


@pytest.fixture(scope="module")
def server(project: Project) -> Iterator[Served]:
    with served(project) as found:
        yield found


def expected(project: Project, *rows: dict[str, object]) -> list[float]:
    frame = pl.DataFrame(rows, schema={"kind": pl.String, "price": pl.Float64, "rain": pl.Float64})
    predicted = project.models["demand"].load().predict(frame)
    return predicted["prediction"].to_list()


def test_named_rows_are_predicted_as_in_batches(project: Project, server: Served) -> None:
    rows = [ROW, {"kind": "spelt", "price": 9.0, "rain": 0.5}]
    reply = server.predict(rows)
    assert reply.status == 200
    assert reply.json == {
        "model": "demand",
        "version": project.state().live["demand"].artifact.id,
        "contract": "Sales 1.2.0",
        "watermark": "2024-01-09",
        "predictions": [{"prediction": value} for value in expected(project, *rows)],
    }


def test_the_inference_protocol_answers_the_same(project: Project, server: Served) -> None:
    body = {
        "id": "7",
        "inputs": [
            {"name": "kind", "shape": [2], "datatype": "BYTES", "data": ["rye", "wheat"]},
            {"name": "price", "shape": [2], "datatype": "FP64", "data": [2.5, 3]},
            {"name": "rain", "shape": [2], "datatype": "FP64", "data": [None, 0.25]},
        ],
    }
    found = server.ask("/v2/models/demand/infer", body).json
    assert found["id"] == "7"
    assert found["outputs"] == [
        {
            "name": "prediction",
            "datatype": "FP64",
            "shape": [2],
            "data": expected(project, ROW, {"kind": "wheat", "price": 3.0, "rain": 0.25}),
        }
    ]


def test_rows_that_break_the_contract_name_row_field_rule_and_value(server: Served) -> None:
    reply = server.predict([ROW, {**ROW, "price": -1.0}, {**ROW, "price": 16.0}])
    assert reply.status == 422
    assert [(each["row"], each["field"], each["rule"]) for each in reply.json["findings"]] == [
        (1, "price", "price.min"),
        (2, None, "cheap_rye"),
    ]
    assert reply.json["findings"][0]["value"] == -1.0


def test_partial_answers_the_good_rows(project: Project, server: Served) -> None:
    reply = server.predict([{**ROW, "kind": "corn"}, ROW], query="?partial=true")
    assert reply.status == 200
    assert reply.json["predictions"] == [{"row": 1, "prediction": expected(project, ROW)[0]}]
    assert reply.json["rejected"]["findings"][0]["value"] == "corn"


def test_contributions_add_up_to_the_prediction(server: Served) -> None:
    reply = server.predict(
        [ROW, {"kind": "spelt", "price": 9.0, "rain": 0.5}], query="?explain=true"
    )
    assert reply.status == 200
    for row in reply.json["predictions"]:
        assert set(row["contributions"]) == {"kind", "price", "rain", "baseline"}
        assert sum(row["contributions"].values()) == pytest.approx(row["prediction"])
    refused = server.ask("/v2/models/demand/infer?explain=true", {})
    assert refused.status == 400


def test_other_formats(project: Project, server: Served) -> None:
    [wanted] = expected(project, ROW)
    headers = {"Content-Type": "text/csv"}
    reply = server.ask("/predict/demand", b"kind,price,rain\nrye,2.5,\n", headers=headers)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert reply.body == f"prediction\n{wanted}\n".encode()
    stream = BytesIO()
    pl.DataFrame([ROW], schema_overrides={"rain": pl.Float64}).write_ipc_stream(stream)
    headers = {
        "Content-Type": "application/vnd.apache.arrow.stream",
        "Content-Encoding": "gzip",
        "Accept": "application/json",
    }
    reply = server.ask("/predict/demand", gzip.compress(stream.getvalue()), headers=headers)
    assert reply.json["predictions"] == [{"prediction": wanted}]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/predict/demand", {"Content-Type": "text/html"}, 415),
        ("/predict/demand", {"Content-Encoding": "br"}, 415),
        ("/predict/demand", {"Content-Encoding": "gzip"}, 400),
        ("/predict/demand", {"Accept": "image/png"}, 406),
        ("/v2/models/demand/infer", {"Content-Type": "text/csv"}, 415),
        ("/v2/models/demand/infer", {"Inference-Header-Content-Length": "x"}, 400),
        ("/v2/models/demand/infer", {"Inference-Header-Content-Length": "9" * 5000}, 400),
        ("/predict/demand", {"X-Request-Timeout-Ms": "1_000"}, 400),
    ],
)
def test_headers_that_fit_nothing(
    server: Served, path: str, headers: dict[str, str], status: int
) -> None:
    reply = server.ask(path, [ROW], headers=headers)
    assert reply.status == status
    assert reply.json["error"]


def test_the_parameter_timeout_is_a_number(server: Served) -> None:
    inputs = [
        {"name": name, "shape": [1], "datatype": kind, "data": [ROW[name]]}
        for name, kind in (("kind", "BYTES"), ("price", "FP64"), ("rain", "FP64"))
    ]
    for timeout in ("x", -1, 10**400, 60_000_000):
        body = {"inputs": inputs, "parameters": {"timeout": timeout}}
        reply = server.ask("/v2/models/demand/infer", body)
        assert reply.status == (200 if timeout == 60_000_000 else 400)


def test_a_fault_while_a_request_is_read_is_none_of_the_model(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise ValueError("a secret")

    monkeypatch.setattr("tidemill.serving.io.app.decode_request", broken)
    reply = server.predict([ROW])
    assert (reply.status, reply.json) == (
        500, {"error": "the server failed to read the request"}
    )  # fmt: skip


OF_HTTP = {"content-type", "content-length", "date", "content-security-policy"}


def assert_described(reply: Reply, operation: dict[str, Any], document: dict[str, Any]) -> None:
    """A reply has the status, the headers and the body that the document says."""
    described = operation["responses"][str(reply.status)]
    if "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
    schema = described["content"][reply.headers["content-type"].partition(";")[0]]["schema"]
    content = reply.json if reply.headers["content-type"] == "application/json" else "text"
    whole = {**schema, "components": document["components"]}
    assert [str(each) for each in Draft202012Validator(whole).iter_errors(content)] == []
    if reply.status == 200:
        headers = {*reply.headers} - OF_HTTP
        assert headers <= {name.lower() for name in described["headers"]}


def test_every_reply_is_what_openapi_says(project: Project, server: Served) -> None:
    version = project.state().live["demand"].artifact.id
    document = server.ask("/openapi.json").json
    asked = []
    for path, methods in document["paths"].items():
        path = path.replace("{version}", version)
        for method, operation in methods.items():
            if method == "get":
                asked.append((server.ask(path), 200, operation))
                continue
            example = operation["requestBody"]["content"]["application/json"]["example"]
            bad = json.loads(re.sub("rye|wheat|spelt", "oat", json.dumps(example)))
            asked += [
                (server.ask(path, example), 200, operation),
                (server.ask(f"{path}?partial=true", example), 200, operation),
                (server.ask(path, bad), 422, operation),
                (server.ask(path, b"{"), 400, operation),
                (server.ask(path, b"{", headers={"content-type": "text/html"}), 415, operation),
                (server.ask(path.replace("demand", "x"), example), 404, operation),
            ]
            if path.startswith("/predict"):
                asked += [
                    (server.ask(f"{path}?explain=true", example), 200, operation),
                    (server.ask(f"{path}?partial=true", [*example, *bad]), 200, operation),
                    (server.ask(path, example, headers={"accept": "text/csv"}), 200, operation),
                    (server.ask(path, example, headers={"accept": "image/png"}), 406, operation),
                ]
    assert len(asked) > 30
    for reply, status, operation in asked:
        assert (operation["operationId"], reply.status) == (operation["operationId"], status)
        assert_described(reply, operation, document)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2", 200),
        ("/v2/health/live", 200),
        ("/v2/health/ready", 200),
        ("/v2/models/demand", 200),
        ("/v2/models/demand/ready", 200),
        ("/metrics", 200),
        ("/status", 200),
        ("/openapi.json", 200),
        ("/", 200),
        ("/docs", 200),
        ("/v2/models/other", 404),
        ("/v2/models/demand/versions/none", 404),
        ("/v2/repository/index", 404),
        ("/predict/demand", 405),
        ("/%00", 404),
    ],
)
def test_routes(server: Served, path: str, status: int) -> None:
    reply = server.ask(path)
    assert reply.status == status
    if status != 200:
        assert set(reply.json) == {"error"}


def test_the_page_shows_commands_for_the_host_of_the_caller(server: Served) -> None:
    pattern = re.compile(r"<pre>(.*?)</pre>", re.DOTALL)
    for headers, url in (
        ({}, server.url),
        ({"Host": f"localhost:{server.port}"}, f"http://localhost:{server.port}"),
        ({"X-Forwarded-Proto": "https"}, server.url.replace("http", "https")),
    ):
        page = server.ask("/docs", headers=headers).body.decode()
        for command in pattern.findall(page):
            words = shlex.split(html.unescape(command).replace("\\\n", " "))
            assert words[1].startswith(f"{url}/")
            path = words[1].removeprefix(url)
            assert server.ask(path, words[-1].encode()).status == 200


def test_a_request_id_is_returned(server: Served) -> None:
    assert server.ask("/v2", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert server.ask("/v2").headers["x-request-id"]


def test_an_unknown_host_is_refused(server: Served) -> None:
    assert server.ask("/v2", headers={"Host": "evil.example"}).status == 421


def test_a_deadline_that_cannot_be_read_is_refused(server: Served) -> None:
    reply = server.ask("/predict/demand", [ROW], headers={"X-Request-Timeout-Ms": "soon"})
    assert reply.status == 400


def test_a_body_over_the_limit_is_refused(server: Served) -> None:
    assert server.ask("/predict/demand", b" " * 8_000_001).status == 413


def test_what_was_served_is_recorded(tmp_path: Path, project: Project) -> None:
    with served(project) as server:
        server.predict([ROW, ROW])
    recorded = [fact.event for fact in project.tools.ledger.events(kinds=(ServedEvent.__name__,))]
    last = recorded[-1]
    assert isinstance(last, ServedEvent)
    [usage] = last.usages
    assert (usage.endpoint, usage.requests, usage.rows) == ("demand", 1, 2)
    assert usage.cpu_s > 0


def test_a_workflow_without_endpoints_has_nothing_to_serve(tmp_path: Path) -> None:
    flow = sales_flow(tmp_path)
    flow.endpoints.clear()
    with pytest.raises(UsageError, match="has no endpoints"):
        tm.open(tmp_path, workflow=flow).serving.serve(ServeSettings(port=0))


def test_without_a_live_version_requests_wait_for_one(tmp_path: Path) -> None:
    project = tm.open(tmp_path, workflow=sales_flow(tmp_path / "sales"))
    with served(project) as server:
        reply = server.predict([ROW])
        assert (reply.status, reply.headers["retry-after"]) == (503, "5")
        assert server.ask("/v2/health/ready").status == 503
        assert server.ask("/v2/models/demand/ready").status == 503
        assert b"<code>demand</code> can't answer now" in server.ask("/docs").body
        sales_project(tmp_path)
        until(lambda: server.predict([ROW]).status == 200)
    [model] = tmp_path.rglob("*.lightgbm")
    model.unlink()
    with served(project) as server:
        reply, status = server.predict([ROW]), server.ask("/status")
        # Whoever runs the server learns which file is missing, and callers don't.
        assert (reply.status, str(model) in status.body.decode()) == (503, True)
        assert str(tmp_path) not in reply.body.decode()


def test_a_new_version_and_a_rollback_lose_no_request(tmp_path: Path) -> None:
    first = sales_project(tmp_path).state().live["demand"].artifact.id
    statuses: list[int] = []
    versions: list[str] = []
    stop = threading.Event()
    project = sales_project(tmp_path, rounds=5)
    with served(project) as server:

        def ask() -> None:
            while not stop.is_set():
                reply = server.predict([ROW])
                statuses.append(reply.status)
                versions.append(reply.json.get("version", ""))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        second = sales_project(tmp_path, rounds=6).state().live["demand"].artifact.id
        until(lambda: versions[-1:] == [second])
        project.models.moves.rollback("demand")
        until(lambda: versions[-1:] == [first])
        stop.set()
        for thread in threads:
            thread.join()
        status = server.ask("/status").json
    assert set(statuses) == {200}
    assert set(versions) == {first, second}
    assert [each["version"] for each in status["endpoints"][0]["versions"]] == [first, second]


def test_a_version_that_cannot_be_loaded_replaces_nothing(tmp_path: Path) -> None:
    project = sales_project(tmp_path)
    first = project.state().live["demand"].artifact.id
    with served(project) as server:
        second = sales_project(tmp_path, rounds=6).state().live["demand"].artifact
        until(lambda: server.predict([ROW]).json["version"] == second.id)
        stored = Path(project.tools.artifacts.uri(second.object))
        project.models.moves.rollback("demand")
        until(lambda: server.predict([ROW]).json["version"] == first)
    stored.chmod(0o600)
    stored.write_bytes(stored.read_bytes()[:-20] + b"x" * 20)
    with served(project) as server:
        with pytest.raises(tm.TidemillError):
            project.models.moves.deliver("demand", second.id)
        assert server.predict([ROW]).json["version"] == first


@pytest.mark.parametrize(
    "error", [ValueError("odd"), TimeoutError("slow"), SystemExit(3), PanicException("boom")]
)
def test_a_model_that_fails_is_an_error_of_the_server(
    error: BaseException, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(runner: LightGBMRunner, values: list[float]) -> float:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(LightGBMRunner, "predict_row", fail)
        reply = server.predict([ROW])
    assert (reply.status, reply.json) == (500, {"error": "the model of demand failed"})
    assert server.predict([ROW]).status == 200


def test_rows_are_predicted_where_an_event_loop_runs(project: Project) -> None:
    async def notebook() -> bytes:
        return project.serving.predict("demand", json.dumps([ROW]).encode())

    predictions = json.loads(asyncio.run(notebook()))["predictions"]
    assert predictions == [{"prediction": value} for value in expected(project, ROW)]


@pytest.mark.parametrize(
    ("content", "why"), [("no certificate", "PEM lib"), (None, "No such file or directory")]
)
def test_a_server_does_not_start_without_its_certificate(
    project: Project, content: str | None, why: str
) -> None:
    name = "absent.pem"
    if content is not None:
        name = "broken.pem"
        (project.root / name).write_text(content)
    with (
        pytest.raises(UsageError, match=f"TLS can't use certificate = '{name}'.*{why}"),
        served(project, certificate=name, key=name),
    ):
        pass
