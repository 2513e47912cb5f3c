"""The Open Inference Protocol: clients that others wrote work unchanged, and every rule of it holds."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton  # type: ignore[import-untyped]
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.core.api_error import ApiError
from open_inference.openapi.types import InferenceRequest

from bench.protocol_checks import Server, failures
from tests.support.protocol_description import protocol_description
from tests.support.serving import Reply, Served, sales_project, served
from tidemill.project.project import Project

MODEL = "/v2/models/demand"
KINDS, PRICES, RAIN = ["rye", "wheat"], [1.0, 2.5], [0.5, 0.5]
TENSORS = (("kind", "BYTES", KINDS), ("price", "FP64", PRICES), ("rain", "FP64", RAIN))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return sales_project(tmp_path_factory.mktemp("bakeries"))


@pytest.fixture(scope="module")
def server(project: Project) -> Iterator[Served]:
    with served(project) as found:
        yield found


@pytest.fixture(scope="module")
def version(project: Project) -> str:
    return project.state().live["demand"].artifact.id


@pytest.fixture(scope="module")
def expected(server: Served) -> list[float]:
    rows = [{"kind": k, "price": p, "rain": r} for k, p, r in zip(KINDS, PRICES, RAIN, strict=True)]
    return [row["prediction"] for row in server.predict(rows).json["predictions"]]


def request(**changes: Any) -> dict[str, Any]:
    inputs = [
        {"name": name, "shape": [2], "datatype": kind, "data": data} for name, kind, data in TENSORS
    ]
    return {"inputs": inputs, **changes}


def infer(server: Served, body: Any, path: str = f"{MODEL}/infer", **headers: str) -> Reply:
    return server.ask(path, body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def test_server_routes(server: Served) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", f"{MODEL}/ready"):
        assert server.ask(path).status == 200
    for path in ("/v2", "/v2/"):
        metadata = server.ask(path).json
        assert set(metadata) == {"name", "version", "extensions"}
        assert "binary_tensor_data" in metadata["extensions"]


def test_model_routes(server: Served, version: str) -> None:
    assert server.ask(f"{MODEL}/versions/{version}/ready").status == 200
    metadata = server.ask(MODEL).json
    assert metadata["name"] == "demand"
    assert metadata["versions"] == [version]
    assert metadata["platform"]
    assert [(each["name"], each["datatype"], each["shape"]) for each in metadata["inputs"]] == [
        (name, kind, [-1]) for name, kind, _ in TENSORS
    ]
    assert metadata["outputs"] == [{"name": "prediction", "datatype": "FP64", "shape": [-1]}]
    assert server.ask(f"{MODEL}/versions/{version}").json == metadata


def test_a_reply_has_id_model_version_and_tensors(
    server: Served, version: str, expected: list[float]
) -> None:
    for path in (f"{MODEL}/infer", f"{MODEL}/versions/{version}/infer"):
        reply = infer(server, request(id="42"), path)
        assert reply.headers["content-type"] == "application/json"
        found = reply.json
        assert (found["id"], found["model_name"], found["model_version"]) == (
            "42",
            "demand",
            version,
        )
        [output] = found["outputs"]
        assert output == {
            "name": "prediction", "shape": [2], "datatype": "FP64", "data": expected
        }  # fmt: skip
    assert "id" not in infer(server, request()).json


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"inputs": []}, 400),
        ({"inputs": request()["inputs"][:1]}, 400),
        ({"inputs": request()["inputs"] * 2}, 400),
        ({"inputs": "none"}, 400),
        ({"id": 5}, 400),
        ({"outputs": [{"name": "nothing"}]}, 400),
        ({"parameters": []}, 400),
    ],
)
def test_a_request_that_is_wrong_is_refused(
    server: Served, change: dict[str, Any], status: int
) -> None:
    reply = infer(server, request(**change))
    assert (reply.status, list(reply.json)) == (status, ["error"])


@pytest.mark.parametrize(
    "change",
    [
        {"name": "unknown"},
        {"shape": [3]},
        {"shape": [-2]},
        {"shape": [2, 2]},
        {"shape": "2"},
        {"datatype": "FP65"},
        {"datatype": "BYTES"},
        {"data": [1.0]},
        {"data": [1.0, "two"]},
        {"data": None},
    ],
)
def test_a_tensor_that_is_wrong_is_refused(server: Served, change: dict[str, Any]) -> None:
    body = request()
    body["inputs"][1].update(change)
    reply = infer(server, body)
    assert reply.status in (400, 422)
    assert reply.json["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/nothing", 404),
        ("/v2/models/nothing/ready", 404),
        (f"{MODEL}/versions/9", 404),
        (f"{MODEL}/versions/9/ready", 404),
        (f"{MODEL}/infer", 405),
        ("/v2/repository/index", 404),
        ("/v2/models/stats", 404),
        ("/v2/nothing", 404),
    ],
)
def test_every_refusal_has_an_error(server: Served, path: str, status: int) -> None:
    reply = server.ask(path)
    assert (reply.status, list(reply.json)) == (status, ["error"])


def test_bodies_that_are_not_json_are_refused(server: Served) -> None:
    for body in (b"", b"{", b"[]", b"\xff", b"null"):
        assert infer(server, body).status == 400
    assert infer(server, request(), Content_Type="text/plain").status == 415
    assert infer(server, request(), f"{MODEL}/versions/9/infer").status == 404


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_bodies(server: Served, expected: list[float], encoding: str, pack: Any) -> None:
    reply = infer(server, pack(json.dumps(request()).encode()), Content_Encoding=encoding)
    assert reply.json["outputs"][0]["data"] == expected
    assert infer(server, b"damaged", Content_Encoding=encoding).status == 400


def triton_inputs(*, binary: bool) -> list[Any]:
    found = []
    for name, kind, data in TENSORS:
        tensor = triton.InferInput(name, [2], kind)
        values = np.array(data, dtype=object if kind == "BYTES" else np.float64)
        tensor.set_data_from_numpy(values, binary_data=binary)
        found.append(tensor)
    return found


def test_the_client_of_triton_works_unchanged(
    server: Served, version: str, expected: list[float]
) -> None:
    client = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("demand", version)
        assert client.get_model_metadata("demand")["versions"] == [version]
        for at in range(8):
            outputs = [triton.InferRequestedOutput("prediction", binary_data=bool(at & 1))]
            found = client.infer(
                "demand",
                triton_inputs(binary=bool(at & 2)),
                outputs=outputs if at & 4 else None,
                request_id="7",
                request_compression_algorithm=(None, "gzip", "deflate")[at % 3],
                timeout=60_000_000,
            )
            assert found.as_numpy("prediction").tolist() == expected
            assert found.get_response()["id"] == "7"
        with pytest.raises(triton.InferenceServerException, match="no endpoint 'nothing'"):
            client.infer("nothing", triton_inputs(binary=True))
        with pytest.raises(triton.InferenceServerException, match="no route"):
            client.get_model_repository_index()
    finally:
        client.close()


def test_the_client_of_the_protocol_works_unchanged(
    server: Served, version: str, expected: list[float]
) -> None:
    body = InferenceRequest.parse_obj(request(id="3"))
    with httpx.Client(timeout=60) as connections:
        client = OpenInferenceClient(base_url=server.url, httpx_client=connections)
        client.check_server_liveness()
        client.check_server_readiness()
        client.check_model_readiness("demand")
        client.check_model_version_readiness("demand", version)
        assert client.read_server_metadata().name == "tidemill"
        assert client.read_model_metadata("demand").versions == [version]
        assert client.read_model_version_metadata("demand", version).name == "demand"
        for reply in (
            client.model_infer("demand", request=body),
            client.model_version_infer("demand", version, request=body),
        ):
            assert (reply.id, reply.outputs[0].data.__root__) == ("3", expected)
        with pytest.raises(ApiError, match="no endpoint 'nothing'"):
            client.model_infer("nothing", request=body)


def test_the_checks_that_other_servers_are_compared_by_are_passed(server: Served) -> None:
    checked = Server(port=server.port, model="demand", tensors=request()["inputs"])
    assert failures(checked) == (28, {})


# The shape of a model's inputs can't be described: that each occurs once, with as many values as the others,
# and that no row breaks a rule. So refusals of well-formed requests are no findings, but other statuses are.
CHECKS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "422"]
[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx"]
"""


def run_schemathesis(document: Any, server: Served, folder: Path, examples: int) -> None:
    """Send requests that fit a document, and such that don't; the replies are what it says."""
    (folder / "schemathesis.toml").write_text(CHECKS)
    (folder / "openapi.json").write_text(json.dumps(document))
    phases = ["--phases", "examples,coverage,fuzzing", "--max-examples", str(examples)]
    program = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--seed", "1"]
    done = subprocess.run(
        [*program, "--url", server.url, *phases],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    operations = sum(len(methods.keys() - {"parameters"}) for methods in document["paths"].values())
    assert f"Tested: {operations}" in done.stdout


@pytest.mark.slow
def test_schemathesis_finds_nothing_by_the_document_of_the_server(
    server: Served, tmp_path: Path
) -> None:
    document = server.ask("/openapi.json").json
    # A deadline that passes is a 503, and beside headers that are numbers it takes any other for a violation.
    timeout = {"$ref": "#/components/parameters/timeout"}
    for methods in document["paths"].values():
        if "post" in methods:
            methods["post"]["parameters"].remove(timeout)
    run_schemathesis(document, server, tmp_path, 10)


@pytest.mark.slow
def test_schemathesis_finds_nothing_by_the_description_of_the_protocol(
    server: Served, version: str, tmp_path: Path
) -> None:
    document = protocol_description("demand", version, request(id="42"))
    run_schemathesis(document, server, tmp_path, 20)
